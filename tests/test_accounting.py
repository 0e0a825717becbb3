"""Counters are exact integers: equal to brute force, whatever the path, the threads and the batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles import COUNTERS, assert_same_counts, brute_force_counts
from snnsim import Network
from snnsim.accounting import LayerCounts, RunCounts
from snnsim.results import BatchRun
from strategies import Problem, problems


def run_all(problem: Problem, network: Network, **options: object) -> BatchRun:
    arguments = {"record": ("spikes", "membrane"), "threads": 1} | dict(problem.options) | options
    return network.run(problem.input, **arguments)  # type: ignore[arg-type]


@given(st.one_of(problems(), problems(ann=True)))
def test_counters_equal_brute_force(problem: Problem) -> None:
    """Every counter of every layer and sample is what plain loops over steps, inputs and outputs count."""
    network = problem.network()
    run = run_all(problem, network)
    records, inputs = brute_force_counts(problem, network, run)
    assert run.counts.input.events.tolist() == inputs
    for layer, expected in zip(run.counts, records, strict=True):
        for name in COUNTERS:
            counter = getattr(layer, name)
            assert counter.dtype == np.int64
            assert (name, counter.tolist()) == (name, expected[name])


@pytest.mark.parametrize("coding", ["events", "direct"])
def test_neurobench_example(coding: str) -> None:
    """NeuroBench's documented example has 4 effective and 9 dense operations; a zero weight is structural only."""
    network = Network.from_config([{"dense": {"out": 3, "bias": False}}, "li"], input_shape=(3,))
    network.parameters["0.weight"][...] = [[1.3, 0, -3.2], [0, 1.2, -5.1], [-1.1, 2.7, 0]]
    counts = network.run([[[0, 1.3, -1]]], input_coding=coding).counts[0]
    expected = {"synops_effective": 4, "macs": 4, "acs": 0, "synops_structural": 6, "macs_dense": 9}
    assert {name: counts.totals()[name] for name in expected} == expected


@given(problems())
def test_invariants(problem: Problem) -> None:
    """ACs and MACs are the effective synops, of which there are at most the structural, and those at most dense."""
    counts = run_all(problem, problem.network()).counts
    for layer in counts:
        effective = layer.synops_effective + layer.synops_recurrent_effective
        assert np.array_equal(layer.acs + layer.macs, effective)
        assert (layer.synops_effective <= layer.synops_structural).all()
        assert (layer.synops_structural <= layer.macs_dense).all()
        if layer.macs_once.any():
            assert problem.coding == "direct"
            assert np.array_equal(layer.macs_once * problem.steps, layer.macs)
        assert (layer.synops_recurrent_effective <= layer.synops_recurrent).all()
        assert (layer.undelivered <= layer.spikes).all()
        assert (layer.synops_recurrent <= layer.macs_dense).all()
    for (options,), layer in zip((choice.values() for choice in problem.network().spec), counts, strict=True):
        size = int(layer.neuron_updates[0]) // problem.steps
        delivered = layer.spikes - layer.undelivered if options.get("recurrent") else 0
        assert np.array_equal(layer.synops_recurrent, delivered * np.int64(size) + np.zeros(problem.batch, np.int64))


@given(problems())
def test_counters_do_not_depend_on_execution(problem: Problem) -> None:
    """Path, threads and what is recorded change no counter."""
    network = problem.network()
    expected = run_all(problem, network)
    for path in ("events", "dense"):
        assert_same_counts(run_all(problem, network, path=path), expected)
    assert_same_counts(run_all(problem, network, threads=2, record=()), expected)


@given(problems(), st.data())
def test_counters_do_not_depend_on_the_batch_split(problem: Problem, data: st.DataObject) -> None:
    """A sample's counters are the same in a batch of its own as beside others."""
    network = problem.network()
    whole = run_all(problem, network).counts
    b = data.draw(st.integers(0, problem.batch - 1))
    # The kind of the events is that of the whole batch, also where a part happens to hold only ones.
    x = problem.input
    part = x[:, b : b + 1] if isinstance(x, np.ndarray) else x.samples(b, b + 1)
    alone = network.run(part, threads=1, **problem.options).counts
    assert alone.input.events[0] == whole.input.events[b]
    for one, layer in zip(alone, whole, strict=True):
        for name in COUNTERS:
            assert getattr(one, name)[0] == getattr(layer, name)[b]


@given(problems())
def test_totals_are_sums(problem: Problem) -> None:
    """RunCounts.total sums a counter over the layers, totals over samples too, and join keeps every sample."""
    counts = run_all(problem, problem.network()).counts
    for name in COUNTERS:
        per_layer = [getattr(layer, name) for layer in counts]
        assert np.array_equal(counts.total(name), np.sum(per_layer, axis=0))
        assert counts.totals()[name] == sum(int(counter.sum()) for counter in per_layer)
    assert counts.totals()["input_events"] == counts.input.events.sum()
    twice = RunCounts.join([counts, counts])
    assert len(twice) == len(counts)
    assert twice.input.events.tolist() == counts.input.events.tolist() * 2
    assert twice.total("spikes").tolist() == counts.total("spikes").tolist() * 2


def test_recurrent_counters_by_hand() -> None:
    """Two neurons that fire at every of three steps reach four synapses a step, twice; one of them is zero."""
    network = Network.from_config(
        [{"if": {"threshold": 0.5, "reset": "zero", "recurrent": True}}, {"dense": 1}, "li"], input_shape=(2,)
    )
    network.parameters["0.recurrent_weight"][...] = [[1, 0], [2, 3]]
    counts = network.run(np.ones((3, 1, 2)), record="spikes").counts[0]
    expected = {
        "spikes": 6,
        "synops_structural": 0,
        "synops_effective": 0,
        "synops_recurrent": 8,
        "synops_recurrent_effective": 6,
        "undelivered": 2,
        "acs": 6,
        "macs_dense": 12,
        "neuron_updates": 6,
    }
    assert {name: counts.totals()[name] for name in expected} == expected


@pytest.mark.parametrize("kind", ["lif", "if", "cuba_lif", "alif"])
def test_a_single_step_delivers_nothing(kind: str) -> None:
    """With one step, every spike of a recurrent layer is undelivered."""
    network = Network.from_config([{kind: {"threshold": 0.5, "recurrent": True}}, {"dense": 1}, "li"], input_shape=(9,))
    counts = network.run(np.ones((1, 2, 9))).counts[0]
    assert counts.undelivered.tolist() == counts.spikes.tolist() == [9, 9]
    assert counts.synops_recurrent.tolist() == counts.acs.tolist() == [0, 0]


@given(problems())
def test_fan_outs_count_for_several_batches(problem: Problem) -> None:
    """Counted once, they give the counters that counting them for each batch gives, zero weights left out."""
    network = problem.network()
    for name, array in network.parameters.items():
        if name.endswith("weight"):
            array[::2] = 0
    batch, fan_out = problem.encoded, network.fan_outs()
    alone = network.evaluate_batch(batch, threads=1)
    for _ in range(2):
        assert_same_counts(network.evaluate_batch(batch, threads=1, fan_out=fan_out), alone)


def test_counting_nothing() -> None:
    """A layer without a counter has zeros, int64, one per sample."""
    zeros = LayerCounts.zeros(3)
    for name in COUNTERS:
        assert getattr(zeros, name).tolist() == [0, 0, 0]
        assert getattr(zeros, name).dtype == np.int64
    assert set(zeros.totals()) == set(COUNTERS)


def test_counters_beyond_float32_stay_exact() -> None:
    """Counts above 2^24, where float32 sums skip integers, are exact."""
    size, steps = 512, 65
    network = Network.from_config([{"dense": size}, "li"], input_shape=(size,))
    network.parameters["0.weight"][...] = 1
    network.parameters["0.weight"][0, 0] = 0
    counts = network.run(np.ones((steps, 1, size)), threads=1).counts[0]
    assert counts.synops_structural[0] == steps * size * size > 2**24
    assert counts.acs[0] == steps * (size * size - 1)
