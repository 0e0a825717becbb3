"""What flows between layers: events or analog values forwards, gradients back."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from snnsim.events import Events
from snnsim.kernels import propagate

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Analog:
    """Analog values ``[M, S, N]``: S is T, or 1 where they are the same at every step."""

    values: FloatArray

    @cached_property
    def per_sample(self) -> NDArray[np.int64]:
        """Number of values of each sample that are not zero, int64 [M]; of constant ones, at one step."""
        counts = np.empty(self.values.shape[0], np.int64)
        propagate.count_nonzero(np.ascontiguousarray(self.values.reshape(counts.size, -1)), counts)
        return counts


Signal = Events | Analog


@dataclass(frozen=True, eq=False)
class Gradient:
    """The loss's gradient with respect to a signal.

    Attributes
    ----------
    values : float32 [M, S, N]
        Per step (S = T), or the same at every step (S = 1) but for ``weights``.
    weights : float32 [T] or None
        With S = 1: the gradient at step t is ``weights[t] * values[:, 0]``. None stands for the gradient of a
        signal that is itself constant in time: ``values`` is then the sum over all steps.
    total : float32 [M, N] or None
        Sum over the steps, where the layer above has it anyway.
    """

    values: FloatArray
    weights: FloatArray | None = None
    total: FloatArray | None = None

    def over_steps(self) -> "Gradient":
        """Return the same gradient as one array per step."""
        return self if self.weights is None else Gradient(self.values * self.weights[:, None])

    def over_constant(self) -> "Gradient":
        """Return the gradient of a signal that is the same at every step: the sum over the steps."""
        if self.weights is not None:
            return Gradient(self.values * self.weights.sum(dtype=np.float32))
        if self.values.shape[1] == 1:
            return self
        total = self.total if self.total is not None else self.values.sum(axis=1)
        return Gradient(total[:, None], total=total)

    def steps(self, start: int, stop: int) -> "Gradient":
        """Return the gradient of the steps ``start`` to ``stop``, in memory of its own, of a signal that varies."""
        if self.weights is not None:
            return Gradient(self.values.copy(), self.weights[start:stop])
        return Gradient(self.values[:, start:stop].copy())


def samples_of(signal: Signal) -> int:
    """Return how many samples a signal has."""
    return signal.batch if isinstance(signal, Events) else int(signal.values.shape[0])


def constant(signal: Signal) -> bool:
    """Say whether a signal is the same at every step."""
    return isinstance(signal, Analog) and signal.values.shape[1] == 1


def event_values(events: Events) -> FloatArray:
    """Return the values of graded events; empty for binary ones, as the kernels expect."""
    return _NO_VALUES if events.values is None else events.values


_NO_VALUES = np.empty(0, np.float32)
