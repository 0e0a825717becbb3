"""Surrogate derivatives h(x), x = membrane - threshold."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# What says how sharp each is: a slope, alpha, or a width.
DEFAULTS = {
    "fast_sigmoid": 25.0,
    "superspike": 100.0,
    "atan": 2.0,
    "sigmoid": 25.0,
    "triangle": 1.0,
    "boxcar": 0.5,
    "straight_through": 1.0,
}


def derivative(surrogate: str | dict[str, Any], x: Array) -> Array:
    """Return h(x) for a name, or for a map from the name to its options or to its one option."""
    name, options = (surrogate, {}) if isinstance(surrogate, str) else next(iter(surrogate.items()))
    given = options.values() if isinstance(options, dict) else [options]
    return np.asarray(formula(name, float(next(iter(given), DEFAULTS[name])), np.asarray(x, np.float64)))


def formula(name: str, k: float, x: Array) -> Array:
    """Return h(x), ``k`` being the slope, alpha or width."""
    if name in ("fast_sigmoid", "superspike"):
        return np.asarray(1 / (k * np.abs(x) + 1) ** 2)
    if name == "atan":
        return k / 2 / (1 + (np.pi / 2 * k * x) ** 2)
    if name == "sigmoid":  # y (1 - y) is even and, so written, neither overflows nor cancels
        tail = np.exp(-k * np.abs(x))
        return np.asarray(k * tail / (1 + tail) ** 2)
    if name == "triangle":
        return np.maximum(0, 1 - np.abs(x) / k) / k
    if name == "boxcar":
        return np.where(np.abs(x) < k, 1 / (2 * k), 0)
    return np.ones_like(x)
