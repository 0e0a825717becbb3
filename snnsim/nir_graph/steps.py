"""Continuous time to steps and back: decays, input gains, time constants.

A NIR neuron is a differential equation, ``tau dv/dt = (v_leak - v) + r I``; a step of length dt makes of it
``v[t] = decay v[t-1] + gain I[t] + (1 - decay) v_leak``:

==============  ================  =========================
discretization  decay             gain
==============  ================  =========================
``euler``       ``1 - dt/tau``    ``r dt/tau``
``exp``         ``exp(-dt/tau)``  ``r (1 - exp(-dt/tau))``
==============  ================  =========================

All arrays are float64, one value per neuron; times are seconds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnsim.errors import InputError

Values = NDArray[np.float64]
DISCRETIZATIONS = ("euler", "exp")
DT = 1e-4

# A gain is the product of up to three numbers that other frameworks store in float32, each off by up to 2^-24: what is
# closer to 1 than this was meant to be 1, and leaves weights as they are. A time constant may fall short of a step by
# as much.
ROUNDING = 2.0**-21


@dataclass(frozen=True)
class Step:
    """How continuous time is cut into steps of ``dt`` seconds.

    Raises
    ------
    InputError
        A length that is not positive and finite, or a rule of another name.
    """

    dt: float = DT
    discretization: str = "euler"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.dt) and self.dt > 0):
            raise InputError(f"dt: must be a positive number of seconds (got {self.dt!r})")
        if self.discretization not in DISCRETIZATIONS:
            raise InputError(
                f"discretization: must be one of {', '.join(DISCRETIZATIONS)} (got {self.discretization!r})"
            )

    def fits(self, tau: ArrayLike) -> bool:
        """Whether time constants are not too short for a step: euler would make a decay below 0 of them."""
        return self.discretization == "exp" or bool(np.min(tau) >= self.dt * (1 - ROUNDING))

    def decay(self, tau: ArrayLike) -> Values:
        """Return by what factor a value decays in a step, from time constants that `fits`."""
        ratio = self.dt / np.asarray(tau, np.float64)
        return np.exp(-ratio) if self.discretization == "exp" else np.maximum(1.0 - ratio, 0.0)

    def gain(self, tau: ArrayLike, r: ArrayLike) -> Values:
        """Return what an input is multiplied by."""
        ratio = self.dt / np.asarray(tau, np.float64)
        return np.asarray(r, np.float64) * (-np.expm1(-ratio) if self.discretization == "exp" else ratio)

    def time_constant(self, decay: ArrayLike) -> Values:
        """Return the time constant of a decay below 1; the inverse of `decay`."""
        factor = np.asarray(decay, np.float64)
        if self.discretization == "exp":
            with np.errstate(divide="ignore"):  # a decay of 0 takes no time: -1 / log 0 is 0
                return np.asarray(-self.dt / np.log(factor))
        return np.asarray(self.dt / (1.0 - factor))

    def resistance(self, decay: ArrayLike) -> Values:
        """Return the r with which the gain is 1."""
        return np.asarray(1.0 / (1.0 - np.asarray(decay, np.float64)))


def settled(gain: Values) -> Values:
    """Return gains with those that differ from 1 by rounding alone set to 1."""
    return np.where(np.abs(gain - 1.0) <= ROUNDING, 1.0, gain)
