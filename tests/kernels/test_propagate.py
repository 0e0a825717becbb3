"""Kernels of dense edges against plain NumPy; exact values make the order of sums irrelevant."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from oracles import assert_same_bits
from snnsim import Events
from snnsim.kernels import propagate
from strategies import FloatArray, densities, exact_values, seeds, spike_trains

NOTHING = np.empty(0, np.float32)


@dataclass(frozen=True, eq=False)
class Edge:
    """A chunk of events on a dense edge; ``rows`` is the dense form of ``events``, [buckets, F]."""

    events: Events
    rows: FloatArray
    weight: FloatArray
    bias: FloatArray
    rng: np.random.Generator

    @property
    def values(self) -> FloatArray:
        return NOTHING if self.events.values is None else self.events.values


@st.composite
def edges(draw: st.DrawFn, *, graded: bool | None = None) -> Edge:
    """Draw up to 40 inputs (buckets of none, some and more than 16 events) and targets around multiples of 8."""
    steps, samples = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    inputs, targets = draw(st.integers(1, 40)), draw(st.integers(1, 19))
    rng = np.random.default_rng(draw(seeds))
    graded = draw(st.booleans()) if graded is None else graded
    x = spike_trains(rng, (steps, samples, inputs), draw(densities), graded=graded)
    x[:, rng.random(samples) < 0.2] = 0
    rows = np.ascontiguousarray(x.swapaxes(0, 1).reshape(-1, inputs))
    events = Events.from_dense(x)
    return Edge(events, rows, exact_values(rng, (inputs, targets)), exact_values(rng, (targets,)), rng)


def rubbish(*shape: int) -> FloatArray:
    """Return what a buffer may hold before it is overwritten."""
    return np.full(shape, np.nan, np.float32)


@given(edges())
def test_gather_graded(edge: Edge) -> None:
    """Graded events add their rows of weights times their values."""
    values = np.ones(edge.events.indices.size, np.float32) if edge.events.values is None else edge.events.values
    current = rubbish(edge.rows.shape[0], edge.bias.size)
    propagate.gather_graded(edge.events.indptr, edge.events.indices, values, edge.weight, edge.bias, current)
    assert np.array_equal(current, edge.rows @ edge.weight + edge.bias)


def sort(edge: Edge, *, order: bool) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Sort by input, into buffers with a guard behind the size that the docstring asks for."""
    size = edge.events.indices.size
    starts = np.full(edge.rows.shape[1] + 1, -7)
    rows = np.full(size + 1, -7, np.int32)
    places = np.full(size + 1 if order else 0, -7, np.int32)
    propagate.sort_by_input(edge.events.indptr, edge.events.indices, starts, rows, places)
    assert rows[-1] == -7
    assert not order or places[-1] == -7
    return starts, rows[:-1], places[:-1]


@given(edges(), st.booleans())
def test_sort_by_input(edge: Edge, order: bool) -> None:
    """Every input's buckets come in order, with the events' places, and buffers need hold no more than the events."""
    starts, rows, places = sort(edge, order=order)
    index, bucket = np.nonzero(edge.rows.T)
    assert starts.tolist() == [0, *np.cumsum(np.count_nonzero(edge.rows, axis=0))]
    assert rows.tolist() == bucket.tolist()
    if order:
        assert edge.events.indices[places].tolist() == index.tolist()
        assert sorted(places) == list(range(index.size))


@given(edges(), st.data())
def test_sort_by_input_of_a_chunk(edge: Edge, data: st.DataObject) -> None:
    """A chunk that begins in the middle of the events counts buckets and places from its own beginning."""
    first = data.draw(st.integers(0, edge.rows.shape[0] - 1))
    indptr = edge.events.indptr[first:]
    size = int(indptr[-1] - indptr[0])
    starts = np.empty(edge.rows.shape[1] + 1, np.int64)
    rows, places = np.empty(size, np.int32), np.empty(size, np.int32)
    propagate.sort_by_input(indptr, edge.events.indices, starts, rows, places)
    assert rows.tolist() == np.nonzero(edge.rows[first:].T)[1].tolist()
    assert sorted(places) == list(range(size))


@given(edges(graded=True))
def test_add_weight_gradient_graded(edge: Edge) -> None:
    """Every graded event adds its bucket's delta times its value."""
    delta = exact_values(edge.rng, (edge.rows.shape[0], edge.bias.size))
    gradient = exact_values(edge.rng, edge.weight.shape)
    expected = gradient + edge.rows.T @ delta
    starts, rows, places = sort(edge, order=True)
    propagate.add_weight_gradient_graded(starts, rows, places, edge.values, delta, gradient)
    assert np.array_equal(gradient, expected)


@given(edges())
def test_weighted_activity(edge: Edge) -> None:
    """Events sum up over time with a weight per step, binary ones as 1, on top of what is there."""
    steps, samples, inputs = edge.events.num_steps, edge.events.batch, edge.rows.shape[1]
    weights = exact_values(edge.rng, (steps,))
    activity = np.ones((samples, inputs), np.float32)
    propagate.weighted_activity(edge.events.indptr, edge.events.indices, edge.values, weights, activity)
    assert np.array_equal(activity - 1, np.einsum("t,btf->bf", weights, edge.rows.reshape(samples, steps, inputs)))


@given(edges())
def test_scatter_dense(edge: Edge) -> None:
    """Buckets become dense rows; rows beyond the buckets stay as they are."""
    dense = rubbish(edge.rows.shape[0] + 1, edge.rows.shape[1])
    propagate.scatter_dense(edge.events.indptr, edge.events.indices, edge.values, dense)
    assert_same_bits(dense[:-1], edge.rows)
    assert np.isnan(dense[-1]).all()


@given(edges())
def test_count_delivered(edge: Edge) -> None:
    """Every event of the first steps counts its input's synapses for its sample."""
    steps, inputs = edge.events.num_steps, edge.rows.shape[1]
    fan_out = edge.rng.integers(0, 2**40, (inputs,))
    for delivered in range(steps + 1):
        counts = np.full(edge.events.batch, -1)
        propagate.count_delivered(edge.events.indptr, edge.events.indices, fan_out, steps, delivered, counts)
        present = (edge.rows != 0).reshape(edge.events.batch, steps, inputs)[:, :delivered].sum(axis=1)
        assert np.array_equal(counts, present @ fan_out)


@given(edges())
def test_count_reached(edge: Edge) -> None:
    """Every value other than zero counts its input's synapses for its sample."""
    fan_out = edge.rng.integers(0, 2**40, (edge.rows.shape[1],))
    values = edge.rows.reshape(edge.events.batch, edge.events.num_steps, -1)
    counts = np.full(edge.events.batch, -1)
    propagate.count_reached(values, fan_out, counts)
    assert np.array_equal(counts, (values != 0).sum(axis=1) @ fan_out)


@pytest.mark.parametrize("events", [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 25])
@pytest.mark.parametrize("targets", [1, 7, 8, 9])
def test_unrolled_loops_miss_no_event(events: int, targets: int) -> None:
    """Whatever remains after four rows a pass, each of n events counts once."""
    weight = np.arange(1, 26 * targets + 1, dtype=np.float32).reshape(26, targets)
    indices, nil = np.arange(events, dtype=np.int32), np.zeros(targets, np.float32)
    total = weight[:events].sum(axis=0, keepdims=True)
    current = rubbish(1, targets)
    propagate.gather_graded(np.array([0, events]), indices, np.ones(events, np.float32), weight, nil, current)
    assert np.array_equal(current, total)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=9))
def test_alike(pairs: list[tuple[int, int]]) -> None:
    """What sets say of the same numbers."""
    first, second = np.array(pairs).T.copy()
    expected = len(set(first.tolist())) == 1, len(set(second.tolist())) == 1, first.tolist() == second.tolist()
    assert propagate.alike(first, second) == expected
