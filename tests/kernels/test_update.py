"""Optimizer steps over flat arrays, against the formulas in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeds

from snnsim.kernels import update

f32 = np.float32


@given(
    seeds,
    st.integers(0, 20),
    st.sampled_from([0.0, 0.9]),
    st.booleans(),
    st.sampled_from([0.0, 0.1]),
)
def test_sgd(seed: int, size: int, momentum: float, nesterov: bool, decay: float) -> None:
    """Three steps of SGD follow the formulas, with momentum, Nesterov's form and weight decay."""
    rng = np.random.default_rng(seed)
    parameter = rng.normal(size=size).astype(np.float32)
    velocity = np.zeros(size, np.float32)
    p, v = parameter.astype(np.float64), velocity.astype(np.float64)
    for _ in range(3):
        gradient = rng.normal(size=size).astype(np.float32)
        before = gradient.copy()
        update.sgd(parameter, gradient, velocity, f32(0.1), f32(momentum), nesterov, f32(decay))
        assert np.array_equal(gradient, before)
        g = gradient + decay * p
        v = momentum * v + g
        p -= 0.1 * (g + momentum * v if nesterov else v)
        np.testing.assert_allclose(velocity, v, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(parameter, p, rtol=1e-5, atol=1e-6)


@given(seeds, st.integers(0, 20), st.sampled_from([0.0, 0.1]), st.sampled_from([1.0, 0.99]))
def test_adam(seed: int, size: int, coupled: float, kept: float) -> None:
    """Three steps of Adam follow the formulas, with decay in the gradient or of the parameters themselves."""
    rng = np.random.default_rng(seed)
    parameter = rng.normal(size=size).astype(np.float32)
    first, second = np.zeros(size, np.float32), np.zeros(size, np.float32)
    p, m, v = (array.astype(np.float64) for array in (parameter, first, second))
    for step in (1, 2, 3):
        gradient = rng.normal(size=size).astype(np.float32)
        update.adam(
            parameter,
            gradient,
            first,
            second,
            f32(0.01 / (1 - 0.9**step)),
            f32(0.9),
            f32(0.999),
            f32(1 - 0.9),
            f32(1 - 0.999),
            f32(np.sqrt(1 - 0.999**step)),
            f32(1e-8),
            f32(coupled),
            f32(kept),
        )
        g = gradient + coupled * p
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        p = kept * p - 0.01 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        np.testing.assert_allclose(first, m, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(second, v, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(parameter, p, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_not_hidden(bad: float) -> None:
    """A gradient that is no number reaches the parameter, where training sees it."""
    parameter, gradient = np.ones(9, np.float32), np.zeros(9, np.float32)
    gradient[4] = bad
    update.sgd(parameter, gradient, np.zeros(9, np.float32), f32(1), f32(0), False, f32(0))
    assert np.isfinite(parameter).tolist() == [k != 4 for k in range(9)]
