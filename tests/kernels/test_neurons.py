"""Kernels of neurons, step by step against a few lines of NumPy in the same precision."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles import assert_same_bits, assert_same_events
from strategies import FloatArray, exact_values, seeds

from snnsim import Events
from snnsim.kernels import neurons

RESETS = (neurons.SUBTRACT, neurons.ZERO, neurons.NONE, neurons.SUBTRACT_DELAYED)


@dataclass(frozen=True, eq=False)
class Cells:
    """Neurons and the currents [M, S, N] that drive them."""

    current: FloatArray
    steps: int
    beta: FloatArray
    threshold: FloatArray
    fire_above: FloatArray
    rng: np.random.Generator


@st.composite
def cells(draw: st.DrawFn) -> Cells:
    """Draw layers around multiples of eight neurons; silent, saturated, and with membranes at the threshold."""
    samples, steps, n = draw(st.integers(1, 3)), draw(st.integers(1, 7)), draw(st.integers(1, 25))
    rng = np.random.default_rng(draw(seeds))
    constant = draw(st.booleans())
    offset = draw(st.sampled_from([-9.0, 0.0, 0.5, 9.0]))
    current = exact_values(rng, (samples, 1 if constant else steps, n), 1.5) + np.float32(offset)
    beta = rng.choice([0, 0.5, 0.9, 1], n).astype(np.float32)
    threshold = rng.choice([0.25, 0.5, 1], n).astype(np.float32)
    below = np.nextafter(threshold, np.float32(-np.inf))
    return Cells(current, steps, beta, threshold, below if draw(st.booleans()) else threshold, rng)


def expected_run(cell: Cells, reset: int) -> tuple[FloatArray, FloatArray]:
    """Return membranes and spikes [M, T, N], one line per rule."""
    samples, _, n = cell.current.shape
    membrane = np.empty((samples, cell.steps, n), np.float32)
    spikes = np.empty_like(membrane)
    rest = np.zeros((samples, n), np.float32)
    pending = np.zeros((samples, n), np.float32)
    for t in range(cell.steps):
        u = cell.beta * rest + cell.current[:, t if cell.current.shape[1] > 1 else 0] - pending
        s = (u > cell.fire_above).astype(np.float32)
        membrane[:, t], spikes[:, t] = u, s
        match reset:
            case neurons.SUBTRACT:
                rest = u - cell.threshold * s
            case neurons.ZERO:
                rest = u * (1 - s)
            case neurons.NONE:
                rest = u
            case neurons.SUBTRACT_DELAYED:
                rest, pending = u, cell.threshold * s
    return membrane, spikes


def run(cell: Cells, reset: int, *, constant: bool) -> tuple[FloatArray, Events]:
    """Run the kernel on scratch full of rubbish, its indices in a buffer with a guard behind the documented size."""
    samples, _, n = cell.current.shape
    membrane = np.full((samples, cell.steps, n), np.nan, np.float32)
    if not constant:
        membrane[...] = cell.current
    drive = np.ascontiguousarray(cell.current[:, 0]) if constant else np.empty((0, 0), np.float32)
    fired = np.zeros(-(-n // 8) * 8, np.uint8)
    indptr = np.full(samples * cell.steps + 1, -7)
    most = samples * cell.steps * n + 8
    indices = np.full(most + 64, -7, np.int32)
    neurons.integrate_and_fire(
        drive,
        membrane,
        cell.beta,
        cell.threshold,
        cell.fire_above,
        reset,
        np.full((2, n), np.nan, np.float32),
        fired,
        fired.view(np.uint64),
        indptr,
        indices,
    )
    assert (indices[most:] == -7).all(), "wrote beyond the documented size of the buffer"
    return membrane, Events(indptr, indices[: indptr[-1]], None, cell.steps, samples, (n,))


@given(cells(), st.sampled_from(RESETS))
def test_integrate_and_fire(cell: Cells, reset: int) -> None:
    """Membranes and events are those of the recurrence, to the bit, for every reset and for constant currents."""
    membrane, events = run(cell, reset, constant=cell.current.shape[1] == 1)
    expected, spikes = expected_run(cell, reset)
    assert np.array_equal(membrane, expected)
    assert_same_events(events, Events.from_dense(spikes.swapaxes(0, 1)))


@given(cells(), st.sampled_from(RESETS))
def test_constant_currents(cell: Cells, reset: int) -> None:
    """A current given once gives the same bits as one repeated at every step."""
    once = Cells(cell.current[:, :1], cell.steps, cell.beta, cell.threshold, cell.fire_above, cell.rng)
    repeated = np.repeat(once.current, cell.steps, axis=1)
    many = Cells(repeated, cell.steps, cell.beta, cell.threshold, cell.fire_above, cell.rng)
    (membrane, events), (other, other_events) = run(once, reset, constant=True), run(many, reset, constant=False)
    assert_same_bits(membrane, other)
    assert_same_events(events, other_events)


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("n", [1, 7, 8, 9, 16, 17])
def test_all_fire_at_every_step(reset: int, n: int) -> None:
    """Where every neuron fires at every step, the last events still fit into the documented buffer."""
    full = np.full((2, 3, n), 100, np.float32)
    ones = np.ones(n, np.float32)
    cell = Cells(full, 3, ones, ones, ones, np.random.default_rng(0))
    _, events = run(cell, reset, constant=False)
    assert_same_events(events, Events.from_dense(np.ones((3, 2, n))))


def test_membrane_at_the_threshold() -> None:
    """At exactly the threshold a strict neuron is silent, and one that fires from just below it fires."""
    one = np.ones(1, np.float32)
    for fire_above, fired in ((one, 0), (np.nextafter(one, np.float32(0)), 1)):
        cell = Cells(one[None, None], 1, one, one, fire_above, np.random.default_rng(0))
        assert run(cell, neurons.SUBTRACT, constant=False)[1].indices.size == fired


def backward_by_recurrence(
    cell: Cells, membrane: FloatArray, gradient: FloatArray, reset: int, detach: bool, h: FloatArray
) -> NDArray[np.float64]:
    """Return dL/dI in float64: ``delta[t] = h g + (du[t + 1] / du[t]) delta[t + 1]``."""
    u, beta, threshold = membrane.astype(np.float64), cell.beta.astype(np.float64), cell.threshold.astype(np.float64)
    s = (membrane > cell.fire_above).astype(np.float64)
    soft = np.zeros_like(u) if detach else h.astype(np.float64)
    factor = {
        neurons.SUBTRACT: beta * (1 - threshold * soft),
        neurons.ZERO: beta * (1 - s - u * soft),
        neurons.NONE: beta + 0 * u,
        neurons.SUBTRACT_DELAYED: beta - threshold * soft,
    }[reset]
    delta = np.zeros_like(u)
    carried = np.zeros_like(u[:, 0])
    for t in range(cell.steps - 1, -1, -1):
        carried = delta[:, t] = h[:, t] * gradient[:, t].astype(np.float64) + factor[:, t] * carried
    return delta


@given(
    cells(),
    st.sampled_from(RESETS),
    st.booleans(),
    st.sampled_from([(neurons.ATAN, 2.0), (neurons.TRIANGLE, 1.0), (neurons.STRAIGHT_THROUGH, 1.0)]),
    st.sampled_from(["per step", "same", "in place", "sum only"]),
)
def test_backpropagate(cell: Cells, reset: int, detach: bool, surrogate: tuple[int, float], kind: str) -> None:
    """Deltas follow the recurrence for every reset; a gradient may be one for all steps, and be overwritten."""
    membrane, _ = expected_run(cell, reset)
    samples, steps, n = membrane.shape
    gradient = cell.rng.normal(size=(samples, 1 if kind in ("same", "sum only") else steps, n)).astype(np.float32)
    weights = cell.rng.normal(size=steps).astype(np.float32)
    extra = cell.rng.normal(size=(samples, n)).astype(np.float32)
    code, sharpness = surrogate[0], np.float32(surrogate[1])
    h = np.empty((samples * steps, n), np.float32)
    neurons.surrogate_derivative(code, sharpness, membrane.reshape(-1, n), cell.threshold, h)
    total_gradient = gradient * weights[:, None] + extra[:, None]
    expected = backward_by_recurrence(cell, membrane, total_gradient, reset, detach, h.reshape(membrane.shape))

    delta = {"in place": gradient, "sum only": np.empty((0, 0, 0), np.float32)}.get(kind)
    delta = np.full(membrane.shape, np.nan, np.float32) if delta is None else delta
    delta_sum = np.full((samples, n), np.nan, np.float32)
    before = membrane.copy()
    neurons.backpropagate(
        membrane,
        gradient,
        weights,
        extra,
        delta,
        delta_sum,
        cell.beta,
        cell.threshold,
        cell.fire_above,
        reset,
        detach,
        code,
        sharpness,
        np.full((3, n), np.nan, np.float32),
    )
    assert_same_bits(membrane, before)
    tolerance = 1e-5 * (1 + np.abs(expected).max())
    np.testing.assert_allclose(delta_sum, expected.sum(axis=1), rtol=1e-4, atol=tolerance * steps)
    if kind != "sum only":
        np.testing.assert_allclose(delta, expected, rtol=1e-4, atol=tolerance)


@given(cells())
def test_integrate(cell: Cells) -> None:
    """A leaky integrator's membrane is the recurrence's, to the bit, also where the current is given once."""
    samples, _, n = cell.current.shape
    membrane = np.full((samples, cell.steps, n), np.nan, np.float32)
    neurons.integrate(cell.current, membrane, cell.beta, np.full((1, n), np.nan, np.float32))
    u = np.zeros((samples, n), np.float32)
    for t in range(cell.steps):
        u = cell.beta * u + cell.current[:, t if cell.current.shape[1] > 1 else 0]
        assert np.array_equal(membrane[:, t], u)


@given(cells())
def test_backpropagate_integration(cell: Cells) -> None:
    """The integrator's backward pass is the transpose of its forward pass, and gives the sum over time too."""
    samples, _, n = cell.current.shape
    current = cell.rng.normal(size=(samples, cell.steps, n)).astype(np.float32)
    membrane, gradient = np.empty_like(current), cell.rng.normal(size=current.shape).astype(np.float32)
    neurons.integrate(current, membrane, cell.beta, np.empty((1, n), np.float32))
    forward = (membrane.astype(np.float64) * gradient).sum(axis=(1, 2))
    delta, total = gradient.copy(), np.full((samples, n), np.nan, np.float32)
    neurons.backpropagate_integration(delta, total, cell.beta, np.full((2, n), np.nan, np.float32))
    np.testing.assert_allclose((delta.astype(np.float64) * current).sum(axis=(1, 2)), forward, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(total, delta.sum(axis=1), rtol=1e-4, atol=1e-4)
