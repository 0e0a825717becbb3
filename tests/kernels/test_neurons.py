"""Kernels of neurons, step by step against a few lines of NumPy in the same precision."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from oracles import assert_same_bits, assert_same_events
from reference.backward import through_spikes
from reference.forward import Neuron, States
from snnsim import Events
from snnsim.kernels import codes, integrators, neurons, neurons_back, neurons_back_all, vectors
from snnsim.layers.base import NOT_CARRIED
from strategies import FloatArray, exact_values, seeds

RESETS = (codes.SUBTRACT, codes.ZERO, codes.NONE, codes.SUBTRACT_DELAYED)
RESET_NAMES = {codes.ZERO: "zero", codes.NONE: "none"}
NONE = np.empty(0, np.float32)
NO_WEIGHTS = np.empty((0, 0), np.float32)


@dataclass(frozen=True, eq=False)
class Cells:
    """Neurons and the currents [M, S, N] that drive them; arrays are empty where they have no such thing.

    ``recurrent`` has one row per neuron that fires.
    """

    current: FloatArray
    steps: int
    beta: FloatArray
    threshold: FloatArray
    fire_above: FloatArray
    rng: np.random.Generator
    alpha: FloatArray = field(default_factory=lambda: NONE)
    rho: FloatArray = field(default_factory=lambda: NONE)
    adaptation: FloatArray = field(default_factory=lambda: NONE)
    recurrent: FloatArray = field(default_factory=lambda: NO_WEIGHTS)

    @property
    def values(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What the kernels take beside beta and threshold, in their order."""
        return self.alpha, self.rho, self.adaptation


@st.composite
def cells(draw: st.DrawFn, *, plain: bool = False) -> Cells:
    """Draw layers around multiples of four and eight; silent, saturated, and with membranes at the threshold."""
    samples, steps = draw(st.integers(1, 3)), draw(st.integers(1, 7))
    n = draw(st.integers(1, 25) | st.sampled_from([64, 75, 136]))  # also whole blocks, and more than one
    rng = np.random.default_rng(draw(seeds))
    constant = draw(st.booleans())
    offset = draw(st.sampled_from([-9.0, 0.0, 0.5, 9.0]))
    current = exact_values(rng, (samples, 1 if constant else steps, n), 1.5) + np.float32(offset)
    beta = rng.choice([0, 0.5, 0.9, 1], n).astype(np.float32)
    threshold = rng.choice([0.25, 0.5, 1], n).astype(np.float32)
    below = np.nextafter(threshold, np.float32(-np.inf))
    cell = Cells(current, steps, beta, threshold, below if draw(st.booleans()) else threshold, rng)
    kind = "lif" if plain else draw(st.sampled_from(["lif", "cuba_lif", "alif", "all"]))
    if kind in ("cuba_lif", "all"):
        cell = replace(cell, alpha=rng.choice([0, 0.5, 0.8, 1], n).astype(np.float32))
    if kind in ("alif", "all"):
        rho, adaptation = rng.choice([0, 0.5, 0.97, 1], n), rng.choice([0, 0.1, 0.5, 4], n)
        cell = replace(cell, rho=rho.astype(np.float32), adaptation=adaptation.astype(np.float32))
    if not plain and draw(st.booleans()):
        # Multiples of 1/256, as the currents: their sums are exact in any order.
        cell = replace(cell, recurrent=exact_values(rng, (n, n)))
    return cell


def expected_states(cell: Cells, reset: int) -> States:
    """Return what the neurons go through [T, M, N], one line per rule, in the kernel's precision."""
    samples, _, n = cell.current.shape
    states = States(*np.empty((5, cell.steps, samples, n), np.float32))
    rest, pending, synaptic, trace, s = np.zeros((5, samples, n), np.float32)
    for t in range(cell.steps):
        u = cell.current[:, t if cell.current.shape[1] > 1 else 0]
        if cell.recurrent.size:
            u = u + s @ cell.recurrent
        if cell.alpha.size:
            synaptic = u = cell.alpha * synaptic + u
        u = cell.beta * rest + u - pending
        limit = cell.fire_above
        if cell.rho.size:
            trace = cell.rho * trace + s
            limit = cell.threshold + cell.adaptation * trace
            if (cell.fire_above < cell.threshold).all():
                limit = np.nextafter(limit, np.float32(-np.inf))
        s = (u > limit).astype(np.float32)
        match reset:
            case codes.SUBTRACT:
                rest = u - cell.threshold * s
            case codes.ZERO:
                rest = u * (1 - s)
            case codes.NONE:
                rest = u
            case codes.SUBTRACT_DELAYED:
                rest, pending = u, cell.threshold * s
        states.membrane[t], states.spikes[t], states.rest[t] = u, s, rest
        states.synaptic[t], states.trace[t] = synaptic, trace
    return states


def run(cell: Cells, reset: int, *, constant: bool, carried: FloatArray = NOT_CARRIED) -> tuple[FloatArray, Events]:
    """Run the kernel on scratch full of rubbish, its indices in a buffer with a guard behind the documented size."""
    samples, _, n = cell.current.shape
    membrane = np.full((samples, cell.steps, n), np.nan, np.float32)
    if not constant:
        membrane[...] = cell.current
    drive = np.ascontiguousarray(cell.current[:, 0]) if constant else np.empty((0, 0), np.float32)
    indptr = np.full(samples * cell.steps + 1, -7)
    most = samples * cell.steps * n + vectors.SLACK
    indices = np.full(most + 64, -7, np.int32)
    neurons.integrate_and_fire(
        drive,
        membrane,
        cell.beta,
        cell.threshold,
        cell.fire_above,
        reset,
        *cell.values,
        cell.recurrent,
        np.full((5, n), np.nan, np.float32),
        np.full((cell.steps, -(-n // neurons.FIRED_BLOCK) * neurons.FIRED_BLOCK // 8), 255, np.uint8),
        indptr,
        indices,
        carried,
    )
    assert (indices[most:] == -7).all(), "wrote beyond the documented size of the buffer"
    return membrane, Events(indptr, indices[: indptr[-1]], None, cell.steps, samples, (n,))


@pytest.mark.parametrize("reset", RESETS)
@given(cells())
def test_integrate_and_fire(reset: int, cell: Cells) -> None:
    """Membranes and events are those of the recurrence, to the bit, for every reset and for constant currents."""
    membrane, events = run(cell, reset, constant=cell.current.shape[1] == 1)
    expected = expected_states(cell, reset)
    assert np.array_equal(membrane.swapaxes(0, 1), expected.membrane)
    assert_same_events(events, Events.from_dense(expected.spikes))


@pytest.mark.parametrize("reset", RESETS)
@given(cells())
def test_constant_currents(reset: int, cell: Cells) -> None:
    """A current given once gives the same bits as one repeated at every step."""
    once = replace(cell, current=cell.current[:, :1])
    many = replace(once, current=np.repeat(once.current, cell.steps, axis=1))
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
        assert run(cell, codes.SUBTRACT, constant=False)[1].indices.size == fired


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("n", [1, 3, 4, 5, 8, 9])
def test_what_is_absent_adds_nothing(reset: int, n: int) -> None:
    """No synaptic memory, no adaptation and no recurrent weight: the bits of neurons that have no such thing."""
    rng = np.random.default_rng(n)
    ones, zeros = np.ones(n, np.float32), np.zeros(n, np.float32)
    current = rng.normal(0.5, 1, (2, 6, n)).astype(np.float32)
    plain = Cells(current, 6, 0.9 * ones, ones, ones, rng)
    idle = replace(plain, alpha=zeros, rho=ones, adaptation=zeros, recurrent=np.zeros((n, n), np.float32))
    (membrane, events), (other, other_events) = run(plain, reset, constant=False), run(idle, reset, constant=False)
    assert np.array_equal(membrane, other)
    assert_same_events(events, other_events)


def backward_by_hand(
    cell: Cells, states: States, gradient: FloatArray, reset: int, detach: bool, surrogate: dict[str, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return dL/dI [M, T, N] and the gradients of beta, alpha and threshold [3, N], in float64."""
    options = {
        "reset": RESET_NAMES.get(reset, "subtract"),
        "reset_delay": reset == codes.SUBTRACT_DELAYED,
        "detach_reset": detach,
        "surrogate": surrogate,
    }
    n = cell.threshold.size
    zeros = np.zeros(n)
    alpha, rho, adaptation = (array.astype(np.float64) if array.size else zeros for array in cell.values)
    weight = cell.recurrent.T.astype(np.float64) if cell.recurrent.size else np.zeros((n, n))
    beta, threshold = cell.beta.astype(np.float64), cell.threshold.astype(np.float64)
    neuron = Neuron(options, beta, threshold, alpha, rho, adaptation, weight)
    exact = States(*(np.asarray(a, np.float64) for a in vars(states).values()))
    delta, values = through_spikes(gradient.astype(np.float64).swapaxes(0, 1), exact, neuron)
    return delta.swapaxes(0, 1), np.stack([values["beta"], values["alpha"], values["threshold"]])


@pytest.mark.parametrize("reset", RESETS)
@given(cells(), st.data())
def test_states_are_carried(reset: int, cell: Cells, data: st.DataObject) -> None:
    """Steps in two stretches are the steps in one, to the bit, where the second begins with what the first carries."""
    samples, given_steps, n = cell.current.shape
    constant = given_steps == 1
    membrane, events = run(cell, reset, constant=constant)
    border = data.draw(st.integers(0, cell.steps))
    carried = np.zeros((samples, codes.CARRIED, n), np.float32)
    for start, stop in ((0, border), (border, cell.steps)):
        if start == stop:
            continue
        current = cell.current if constant else np.ascontiguousarray(cell.current[:, start:stop])
        part = replace(cell, current=current, steps=stop - start)
        found, fired = run(part, reset, constant=constant, carried=carried)
        assert_same_bits(found, membrane[:, start:stop])
        assert_same_events(fired, events.steps(start, stop))
    assert np.array_equal(carried[:, codes.FIRED], events.to_dense()[-1])


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("detach", [False, True])
@given(
    cells(),
    st.sampled_from(
        [
            (codes.ATAN, {"atan": 2.0}),
            (codes.TRIANGLE, {"triangle": 1.0}),
            (codes.STRAIGHT_THROUGH, {"straight_through": 1.0}),
        ]
    ),
    st.sampled_from(["per step", "same", "in place", "sum only"]),
    st.booleans(),
)
def test_backpropagate(
    reset: int, detach: bool, cell: Cells, surrogate: tuple[int, dict[str, float]], kind: str, learn: bool
) -> None:
    """Deltas follow the recurrence for every reset; a gradient may be one for all steps, and be overwritten."""
    states = expected_states(cell, reset)
    membrane = np.ascontiguousarray(states.membrane.swapaxes(0, 1), np.float32)
    samples, steps, n = membrane.shape
    given_steps = 1 if kind in ("same", "sum only") else steps
    gradient = cell.rng.normal(size=(samples, given_steps, n)).astype(np.float32)
    weights = cell.rng.normal(size=(steps,)).astype(np.float32)
    extra = cell.rng.normal(size=(samples, n)).astype(np.float32)
    total_gradient = gradient * weights[:, None] + extra[:, None]
    expected, expected_values = backward_by_hand(cell, states, total_gradient, reset, detach, surrogate[1])

    first_gradient = gradient.copy()
    # One row per neuron that fires, or per neuron that is reached.
    few = bool(cell.rng.integers(2))
    recurrent = cell.recurrent if few else np.ascontiguousarray(cell.recurrent.T)
    delta = {"in place": gradient, "sum only": np.empty((0, 0, 0), np.float32)}.get(kind)
    delta = np.full(membrane.shape, np.nan, np.float32) if delta is None else delta
    delta_sum = np.full((samples, n), np.nan, np.float32)
    adaptive_steps = steps if cell.rho.size else 0
    before = membrane.copy()
    learned = np.full((3 if learn else 0, n), 5.0)
    neurons_back_all.backpropagate_all(
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
        surrogate[0],
        np.float32(next(iter(surrogate[1].values()))),
        NOT_CARRIED,
        np.full((8, n), np.nan, np.float32),
        recurrent,
        few,
        detach,
        *cell.values,
        np.full((adaptive_steps, n), np.nan, np.float32),
        np.full((adaptive_steps, n), np.nan, np.float32),
        learned,
        NOT_CARRIED,
    )
    assert_same_bits(membrane, before)
    if detach and not (learn or cell.alpha.size or cell.rho.size):
        again = np.full(membrane.shape, np.nan, np.float32) if delta.size else delta
        again = first_gradient if kind == "in place" else again
        again_sum = np.full((samples, n), np.nan, np.float32)
        simpler: Any = neurons_back.backpropagate_recurrent if recurrent.size else neurons_back.backpropagate
        if delta.size or not recurrent.size:
            simpler(
                membrane,
                first_gradient,
                weights,
                extra,
                again,
                again_sum,
                cell.beta,
                cell.threshold,
                cell.fire_above,
                reset,
                surrogate[0],
                np.float32(next(iter(surrogate[1].values()))),
                NOT_CARRIED,
                np.full((neurons_back.BACK_ROWS * (2 if recurrent.size else 1), n), np.nan, np.float32),
                *([recurrent, few] if recurrent.size else []),
            )
            assert_same_bits(again, delta)
            assert_same_bits(again_sum, delta_sum)
    tolerance = 1e-5 * (1 + np.abs(expected).max())
    np.testing.assert_allclose(delta_sum, expected.sum(axis=1), rtol=1e-4, atol=tolerance * steps)
    if kind != "sum only":
        np.testing.assert_allclose(delta, expected, rtol=1e-4, atol=tolerance)
    if learn:
        # To what is there, the gradients are added; alpha has none where there is no synaptic current.
        added = learned - 5
        scale = tolerance * steps * samples * (1 + np.abs(membrane).max())
        # float32 deltas against float64 ones; the scale grows with how many are summed.
        np.testing.assert_allclose(added[0::2], expected_values[0::2], rtol=1e-4, atol=scale)
        np.testing.assert_allclose(added[1], expected_values[1] if cell.alpha.size else 0, rtol=1e-4, atol=scale)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 23, 24, 25, 33, 40, 49])
@pytest.mark.parametrize("adaptive", [False, True])
def test_samples_side_by_side(n: int, adaptive: bool) -> None:
    """A sample's deltas have the same bits alone, and side by side with others in whole and incomplete blocks."""
    rng = np.random.default_rng(n)
    samples, steps = 2 * vectors.TOGETHER - 1, 3
    membrane, gradient = rng.normal(1, 1, (2, samples, steps, n)).astype(np.float32)
    ones, recurrent = np.ones(n, np.float32), rng.normal(size=(n, n)).astype(np.float32)

    def back(part: slice, together: int) -> FloatArray:
        u = membrane[part]
        delta = np.full(u.shape, np.nan, np.float32)
        levels, limits = np.full((2, together * steps if adaptive else 0, n), np.nan, np.float32)
        no_extra, total = np.zeros((len(u), n), np.float32), np.empty((len(u), n), np.float32)
        values = (0.9 * ones, ones, ones, codes.SUBTRACT, codes.ATAN, np.float32(2), NOT_CARRIED)
        given: tuple[Any, ...] = (u, gradient[part], np.ones(steps, np.float32), no_extra, delta, total, *values)
        kernel: Any
        if adaptive:
            kernel, state = neurons_back_all.backpropagate_all, np.full((8 * together, n), np.nan, np.float32)
            adaptive_values = (0.9 * ones, 0.1 * ones, levels, limits, np.zeros((0, n)), NOT_CARRIED)
            own: tuple[Any, ...] = (recurrent, False, True, NONE, *adaptive_values)
        else:
            rows = neurons_back.BACK_ROWS * (1 + together)
            kernel, state = neurons_back.backpropagate_recurrent, np.full((rows, n), np.nan, np.float32)
            own = (recurrent, False)
        kernel(*given, state, *own)
        return delta

    alone = np.concatenate([back(slice(b, b + 1), 1) for b in range(samples)])
    for together in range(1, vectors.TOGETHER + 1):
        assert_same_bits(back(slice(None), together), alone)


@pytest.mark.parametrize("reset", RESETS)
@given(cells(), st.booleans(), st.data())
def test_gradients_are_carried(reset: int, cell: Cells, detach: bool, data: st.DataObject) -> None:
    """The way back in two stretches is that in one: deltas to the bit, and the gradients of values."""
    cell = replace(cell, current=cell.current.repeat(cell.steps // cell.current.shape[1], axis=1))
    samples, steps, n = cell.current.shape
    membrane, _ = run(cell, reset, constant=False)
    gradient = cell.rng.normal(size=membrane.shape).astype(np.float32)

    def back(start: int, stop: int, begun: FloatArray, carried: FloatArray) -> tuple[FloatArray, NDArray[np.float64]]:
        part = np.ascontiguousarray(membrane[:, start:stop])
        delta, learned = np.empty_like(part), np.zeros((3, n))
        adaptive = (stop - start if cell.rho.size else 0, n)
        neurons_back_all.backpropagate_all(
            part,
            np.ascontiguousarray(gradient[:, start:stop]),
            np.ones(stop - start, np.float32),
            np.zeros((samples, n), np.float32),
            delta,
            np.empty((samples, n), np.float32),
            cell.beta,
            cell.threshold,
            cell.fire_above,
            reset,
            codes.ATAN,
            np.float32(2),
            carried,
            np.full((8, n), np.nan, np.float32),
            np.ascontiguousarray(cell.recurrent.T),
            False,
            detach,
            *cell.values,
            np.full(adaptive, np.nan, np.float32),
            np.full(adaptive, np.nan, np.float32),
            learned,
            begun,
        )
        return delta, learned

    whole, expected = back(0, steps, NOT_CARRIED, NOT_CARRIED)
    border = data.draw(st.integers(1, steps - 1)) if steps > 1 else 0
    begun = np.zeros((samples, codes.CARRIED, n), np.float32)
    carried = np.zeros((samples, codes.CARRIED_BACK, n), np.float32)
    states = begun.copy()
    if border:
        first = replace(cell, current=np.ascontiguousarray(cell.current[:, :border]), steps=border)
        run(first, reset, constant=False, carried=states)
    later, learned = back(border, steps, states, carried)
    assert_same_bits(later, whole[:, border:])
    if border:
        earlier, more = back(0, border, begun, carried)
        assert_same_bits(earlier, whole[:, :border])
        learned = learned + more
    # Sums of float32 deltas, taken in another order in two stretches than in one.
    np.testing.assert_allclose(learned, expected, rtol=1e-4, atol=1e-4 * (1 + np.abs(expected).max()))


@given(cells(plain=True))
def test_integrate(cell: Cells) -> None:
    """A leaky integrator's membrane is the recurrence's, to the bit, also where the current is given once."""
    samples, _, n = cell.current.shape
    membrane = np.full((samples, cell.steps, n), np.nan, np.float32)
    integrators.integrate(cell.current, membrane, cell.beta, np.full((1, n), np.nan, np.float32), NOT_CARRIED)
    u = np.zeros((samples, n), np.float32)
    for t in range(cell.steps):
        u = cell.beta * u + cell.current[:, t if cell.current.shape[1] > 1 else 0]
        assert np.array_equal(membrane[:, t], u)


@given(cells(plain=True))
def test_backpropagate_integration(cell: Cells) -> None:
    """The integrator's backward pass is the transpose of its forward pass, and gives the sum over time too."""
    samples, _, n = cell.current.shape
    current = cell.rng.normal(size=(samples, cell.steps, n)).astype(np.float32)
    membrane, gradient = np.empty_like(current), cell.rng.normal(size=current.shape).astype(np.float32)
    integrators.integrate(current, membrane, cell.beta, np.empty((1, n), np.float32), NOT_CARRIED)
    forward = (membrane.astype(np.float64) * gradient).sum(axis=(1, 2))
    delta, total = gradient.copy(), np.full((samples, n), np.nan, np.float32)
    integrators.backpropagate_integration(delta, total, cell.beta, np.full((2, n), np.nan, np.float32), NOT_CARRIED)
    np.testing.assert_allclose((delta.astype(np.float64) * current).sum(axis=(1, 2)), forward, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(total, delta.sum(axis=1), rtol=1e-4, atol=1e-4)
