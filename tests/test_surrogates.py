"""Surrogate derivatives against their formulas in float64."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from snnsim.surrogates import derivative

Function = Callable[[NDArray[np.float64], float], NDArray[np.float64]]


def sigmoid(x: NDArray[np.float64], slope: float) -> NDArray[np.float64]:
    y = 1 / (1 + np.exp(-slope * x))
    return np.asarray(slope * y * (1 - y))


FORMULAS: dict[str, tuple[str, float, Function]] = {
    "fast_sigmoid": ("slope", 25.0, lambda x, k: 1 / (k * np.abs(x) + 1) ** 2),
    "superspike": ("slope", 100.0, lambda x, k: 1 / (k * np.abs(x) + 1) ** 2),
    "atan": ("alpha", 2.0, lambda x, k: k / 2 / (1 + (np.pi / 2 * k * x) ** 2)),
    "sigmoid": ("slope", 25.0, sigmoid),
    "triangle": ("width", 1.0, lambda x, w: np.maximum(0, 1 - np.abs(x) / w) / w),
    "boxcar": ("width", 0.5, lambda x, w: np.where(np.abs(x) < w, 1 / (2 * w), 0)),
}
POINTS = np.array([-3, -1, -0.5, -0.25, -0.01, 0, 0.01, 0.25, 0.5, 1, 3])


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas(name: str) -> None:
    """Each surrogate is its formula, with the default sharpness and with another, on both sides of the threshold."""
    option, default, formula = FORMULAS[name]
    np.testing.assert_allclose(derivative(name, POINTS), formula(POINTS, default), rtol=1e-5, atol=1e-9)
    other = derivative({name: {option: 0.75}}, POINTS)
    np.testing.assert_allclose(other, formula(POINTS, 0.75), rtol=1e-5, atol=1e-9)


def test_straight_through() -> None:
    """The straight-through estimator is 1 everywhere."""
    assert derivative("straight_through", POINTS).tolist() == [1] * POINTS.size


@pytest.mark.parametrize("name", ["triangle", "boxcar"])
def test_compact_support(name: str) -> None:
    """Outside its support a compact surrogate is exactly zero: a sparse backward pass may rely on it."""
    width = FORMULAS[name][1]
    x = np.array([width, -width, 1.001 * width, -7.0])
    assert derivative(name, x).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("name", [*FORMULAS, "straight_through"])
@pytest.mark.parametrize("x", [1e6, -1e6, 1e30, -1e30])
def test_far_from_the_threshold(name: str, x: float) -> None:
    """A membrane that ran away gives a finite derivative: neither NaN nor an overflow."""
    value = derivative(name, x)
    assert value.shape == ()
    assert np.isfinite(value)
    assert 0 <= value <= 1
