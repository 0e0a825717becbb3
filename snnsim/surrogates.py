"""Surrogate gradients: what replaces the derivative of Heaviside's step on the way back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnsim.kernels import codes, neurons_back
from snnsim.spec import SurrogateChoice

# Name to the kernels' code and the option that says how sharp it is. SuperSpike (Zenke & Ganguli 2018) is the
# fast sigmoid's form with a steeper default.
CODES: dict[str, tuple[int, str | None]] = {
    "fast_sigmoid": (codes.FAST_SIGMOID, "slope"),
    "superspike": (codes.FAST_SIGMOID, "slope"),
    "atan": (codes.ATAN, "alpha"),
    "sigmoid": (codes.SIGMOID, "slope"),
    "triangle": (codes.TRIANGLE, "width"),
    "boxcar": (codes.BOXCAR, "width"),
    "straight_through": (codes.STRAIGHT_THROUGH, None),
}


@dataclass(frozen=True)
class Surrogate:
    """A surrogate as the kernels take it: which form, and how sharp."""

    code: int
    sharpness: np.float32

    @property
    def compact(self) -> bool:
        """Whether the derivative is exactly zero away from the threshold."""
        return self.code in (codes.TRIANGLE, codes.BOXCAR)

    @classmethod
    def of(cls, choice: SurrogateChoice) -> "Surrogate":
        """Take a surrogate from its spec."""
        code, option = CODES[choice.name]
        return cls(code, np.float32(getattr(choice.options, option) if option else 1))


def derivative(surrogate: object, x: ArrayLike) -> NDArray[np.float32]:
    """Return h(x) at ``x = u - threshold``, as the backward pass uses it.

    Parameters
    ----------
    surrogate
        A name (``"atan"``) or a map (``{"atan": {"alpha": 2}}``).
    x
        Any shape.
    """
    chosen = Surrogate.of(SurrogateChoice.model_validate(surrogate))
    rows = np.atleast_1d(np.asarray(x, np.float32)).reshape(1, -1)
    h = np.empty_like(rows)
    zeros = np.zeros(rows.shape[1], np.float32)
    neurons_back.surrogate_derivative(chosen.code, chosen.sharpness, rows, zeros, h)
    return h.reshape(np.shape(x))
