"""Sums of rows against plain NumPy, packed and not; exact values make the order of sums irrelevant, others test it."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numba.core.errors import TypingError
from numpy.typing import NDArray

from oracles import assert_same_bits
from snnsim import Events
from snnsim.kernels import propagate, row_sums
from strategies import FloatArray, densities, exact_values, seeds, spike_trains

GUARD = np.float32(-7)


@dataclass(frozen=True, eq=False)
class Edge:
    """Binary events on a dense edge; ``dense`` is their dense form, [buckets, F]."""

    events: Events
    dense: FloatArray
    weight: FloatArray
    bias: FloatArray
    rng: np.random.Generator


@st.composite
def edges(draw: st.DrawFn) -> Edge:
    """Draw buckets of none, some and more than 16 events, and targets around multiples of vectors and blocks."""
    steps, samples, inputs = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(1, 40))
    targets = draw(st.integers(1, 19) | st.integers(29, 35) | st.sampled_from([63, 64, 65, 100, 136]))
    rng = np.random.default_rng(draw(seeds))
    x = spike_trains(rng, (steps, samples, inputs), draw(densities), graded=False)
    x[:, rng.random(samples) < 0.2] = 0
    dense = np.ascontiguousarray(x.swapaxes(0, 1).reshape(-1, inputs))
    return Edge(Events.from_dense(x), dense, exact_values(rng, (inputs, targets)), exact_values(rng, (targets,)), rng)


def packed(table: FloatArray, pack: bool, spare: int = 0) -> FloatArray:
    """Return a table by blocks, NaN where nothing is copied to and in ``spare`` rows behind; no blocks if not."""
    blocks = -(-table.shape[1] // row_sums.WIDTH) if pack else 0
    result = np.full((blocks, table.shape[0] + spare, row_sums.WIDTH), np.nan, np.float32)
    row_sums.pack(table, result)
    return result


def guarded(table: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return a copy of a table and the numbers that lie behind it in memory, where nobody may write."""
    memory = np.full(table.size + row_sums.WIDTH, GUARD, np.float32)
    copy = memory[: table.size].reshape(table.shape)
    copy[...] = table
    return copy, memory[table.size :]


def gathered(edge: Edge, weight: FloatArray, pack: bool) -> FloatArray:
    """Return the currents of all buckets, written over NaN."""
    current, behind = guarded(np.full((edge.dense.shape[0], edge.bias.size), np.nan, np.float32))
    events = edge.events
    row_sums.gather(events.indptr, events.indices, weight, packed(weight, pack), edge.bias, current)
    assert (behind == GUARD).all()
    return current


def sort(edge: Edge) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    starts = np.empty(edge.dense.shape[1] + 1, np.int64)
    buckets = np.empty(edge.events.indices.size, np.int32)
    propagate.sort_by_input(edge.events.indptr, edge.events.indices, starts, buckets, np.empty(0, np.int32))
    return starts, buckets


@given(st.integers(0, 5), st.integers(1, 100), st.integers(0, 3))
def test_pack(inputs: int, targets: int, spare: int) -> None:
    """Every column is at its place in its block, and nothing else is written."""
    table = np.arange(inputs * targets, dtype=np.float32).reshape(inputs, targets)
    blocks = packed(table, True, spare)
    side_by_side = blocks.swapaxes(0, 1).reshape(inputs + spare, blocks.shape[0] * row_sums.WIDTH)
    assert np.array_equal(side_by_side[:inputs, :targets], table)
    assert np.isnan(side_by_side[:, targets:]).all()
    assert np.isnan(side_by_side[inputs:]).all()


@given(edges(), st.booleans())
def test_gather(edge: Edge, pack: bool) -> None:
    """Events add their rows of weights to the bias, in every bucket, over what stood there and nowhere else."""
    assert np.array_equal(gathered(edge, edge.weight, pack), edge.dense @ edge.weight + edge.bias)


@given(edges())
def test_packing_changes_no_bit(edge: Edge) -> None:
    """With ordinary weights too, packed ones give the same bits."""
    weight = edge.rng.normal(size=edge.weight.shape).astype(np.float32)
    assert_same_bits(gathered(edge, weight, True), gathered(edge, weight, False))


@given(edges(), st.booleans())
def test_a_bucket_depends_on_its_own_events_alone(edge: Edge, pack: bool) -> None:
    """With ordinary weights too, a bucket's currents have the same bits alone as among others."""
    weight = edge.rng.normal(size=edge.weight.shape).astype(np.float32)
    together = gathered(edge, weight, pack)
    blocks = packed(weight, pack)
    for r, (start, end) in enumerate(zip(edge.events.indptr, edge.events.indptr[1:], strict=False)):
        alone = np.empty((1, edge.bias.size), np.float32)
        indices = edge.events.indices[start:end].copy()
        row_sums.gather(np.array([0, end - start]), indices, weight, blocks, edge.bias, alone)
        assert_same_bits(alone[0], together[r])


@given(st.integers(0, 40), seeds)
@example(events=15, seed=0)
def test_the_tree_of_sums_is_fixed(events: int, seed: int) -> None:
    """Eight rows add up in pairs of pairs, then pairs, then one: in every column, whatever its place in a vector."""
    rng = np.random.default_rng(seed)
    weight, bias = (rng.normal(size=shape).astype(np.float32) for shape in ((events, 41), (41,)))
    indices = np.arange(events, dtype=np.int32)
    current = np.empty((1, 41), np.float32)
    row_sums.gather(np.array([0, events]), indices, weight, packed(weight, True), bias, current)
    gradient = bias[None].copy()
    row_sums.add_weight_gradient(np.array([0, events]), indices, weight, packed(weight, False), gradient)
    total, left = bias.copy(), weight
    while len(left) > 7:
        a, b, c, d, e, f, g, h = left[:8]
        total += ((a + b) + (c + d)) + ((e + f) + (g + h))
        left = left[8:]
    one_by_one = total.copy()
    for row in left:
        one_by_one += row
    while len(left) > 1:
        total += left[0] + left[1]
        left = left[2:]
    assert_same_bits(current[0], total + left[0] if len(left) else total)
    assert_same_bits(gradient[0], one_by_one)


@given(edges(), st.booleans(), st.integers(0, 3))
def test_add_weight_gradient(edge: Edge, pack: bool, spare: int) -> None:
    """Every event adds its bucket's delta to its input's gradient, onto what is there already and nowhere else."""
    delta = exact_values(edge.rng, (edge.dense.shape[0], edge.bias.size))
    before = exact_values(edge.rng, edge.weight.shape)
    gradient, behind = guarded(before)
    row_sums.add_weight_gradient(*sort(edge), delta, packed(delta, pack, spare), gradient)
    assert np.array_equal(gradient, before + edge.dense.T @ delta)
    assert (behind == GUARD).all()


@given(edges())
def test_packed_deltas_change_no_bit(edge: Edge) -> None:
    """With ordinary deltas too, packed ones give the same gradient."""
    delta = edge.rng.normal(size=(edge.dense.shape[0], edge.bias.size)).astype(np.float32)
    plain, blocks = np.zeros_like(edge.weight), np.zeros_like(edge.weight)
    row_sums.add_weight_gradient(*sort(edge), delta, packed(delta, False), plain)
    row_sums.add_weight_gradient(*sort(edge), delta, packed(delta, True), blocks)
    assert_same_bits(blocks, plain)


@pytest.mark.parametrize("pack", [False, True])
def test_not_a_number_stays_in_its_column(pack: bool) -> None:
    """NaN and infinity reach the columns they stand in, and no others of the same vector."""
    weight = np.ones((3, 45), np.float32)
    weight[0, 5], weight[2, 44] = np.nan, np.inf
    current = np.empty((1, 45), np.float32)
    nil = np.zeros(45, np.float32)
    row_sums.gather(np.array([0, 3]), np.arange(3, dtype=np.int32), weight, packed(weight, pack), nil, current)
    assert np.isnan(current[0, 5])
    assert current[0, 44] == np.inf
    assert (np.delete(current[0], [5, 44]) == 3).all()


def test_other_numbers_are_refused() -> None:
    """The code for vectors reads memory as 32-bit floats: arrays of other kinds do not compile."""
    wide = np.zeros((1, 8))
    with pytest.raises(TypingError):
        row_sums.gather(np.array([0, 0]), np.empty(0, np.int32), wide, packed(wide, False), wide[0], wide)  # type: ignore[arg-type]
