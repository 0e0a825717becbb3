"""What must not change a bit: path, recording, threads, who else is in the batch, and in which order."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from oracles import assert_same_bits, assert_same_counts, assert_same_events, assert_same_run
from snnsim import Events, Network
from snnsim.results import BatchRun
from strategies import FloatArray, Problem, problems, spike_trains

BATCH = 37
ALL = ("spikes", "membrane")


@given(problems())
def test_paths_agree_to_the_bit_on_exact_weights(problem: Problem) -> None:
    """Events one by one, as a product, or as it pays: equal spikes, membranes and logits for weights of n/256."""
    network = problem.network()
    runs = [
        network.run(problem.input, record=ALL, path=path, threads=1, **problem.options)
        for path in ("events", "dense", "auto")
    ]
    assert_same_run(runs[1], runs[0])
    assert_same_run(runs[2], runs[0])


@given(problems(), st.sampled_from([(), ("spikes",), ("membrane",)]))
def test_recording_changes_no_bit(problem: Problem, record: tuple[str, ...]) -> None:
    """What is recorded changes neither logits nor counters, and is the same beside other records."""
    network = problem.network()
    everything = network.run(problem.input, record=ALL, threads=1, **problem.options)
    some = network.run(problem.input, record=record, threads=1, **problem.options)
    assert_same_bits(some.logits, everything.logits)
    assert some.step_logits is not None
    assert everything.step_logits is not None
    assert_same_bits(some.step_logits, everything.step_logits)
    assert_same_counts(some, everything)
    for index, events in some.events.items():
        assert_same_events(events, everything.events[index])
    for index, membrane in some.membrane.items():
        assert_same_bits(membrane, everything.membrane[index])


@pytest.mark.parametrize(
    "end",
    [
        [{"dense": 3}, {"li": {"readout": "mean"}}],
        [{"dense": 3}, {"li": {"readout": "max"}}],
        [{"dense": 3}, {"li": {"readout": "last"}}],
        [{"dense": 3}, {"lif": {"readout": "count", "threshold": 0.2}}],
    ],
    ids=["mean", "max", "last", "count"],
)
def test_every_sample_of_a_large_batch_keeps_its_step_logits(end: list[Any]) -> None:
    """A worker carries several micro-batches one after another; a later one leaves the step logits as they were."""
    network = Network.from_config([{"dense": 8}, {"lif": {"threshold": 0.3}}, *end], input_shape=(6,), seed=1)
    x = np.random.default_rng(0).random((1, 300, 6)).astype(np.float32)
    together = network.run(x, input_coding="direct", num_steps=4, threads=1)
    assert together.step_logits is not None
    for part in (slice(0, 30), slice(270, 300)):
        alone = network.run(x[:, part], input_coding="direct", num_steps=4, threads=1)
        assert alone.step_logits is not None
        assert_same_bits(together.step_logits[:, part], alone.step_logits)


def test_every_sample_of_a_large_batch_keeps_its_logits_of_one_step() -> None:
    """The last of one step is all there is: it is not left in a buffer that a later micro-batch overwrites."""
    layers = [{"dense": 8}, {"lif": {"threshold": 0.3}}, {"dense": 2}, {"li": {"readout": "last", "beta": [0.5, 0.9]}}]
    network = Network.from_config(layers, input_shape=(6,), seed=1)
    x = np.random.default_rng(0).random((1, 300, 6)).astype(np.float32)
    together = network.run(x, input_coding="direct", num_steps=1, threads=1)
    alone = network.run(x[:, :30], input_coding="direct", num_steps=1, threads=1)
    assert_same_bits(together.logits[:30], alone.logits)


def shaped(value: Any, shape: tuple[int, ...]) -> FloatArray:
    """Return a value of neurons that broadcasts over a layer's signal: one for all, or one each."""
    array = np.asarray(value, np.float32)
    return array.reshape(shape) if array.ndim else array


def adapted(threshold: FloatArray, spikes: FloatArray, options: dict[str, Any]) -> FloatArray:
    """Return what adaptive neurons are tested against, [T, B, N]."""
    rho, adaptation = (shaped(options[key], spikes.shape[2:]) for key in ("rho", "adaptation"))
    limits = np.empty_like(spikes)
    trace = np.zeros_like(spikes[0])
    for t in range(len(spikes)):
        limits[t] = threshold + adaptation * trace
        trace = rho * trace + spikes[t]
    return limits


@given(problems())
def test_what_a_run_records(problem: Problem) -> None:
    """Spikes of firing layers, membranes of all with one; spikes are where the membrane passes the threshold."""
    network = problem.network()
    run = network.run(problem.input, record=ALL, threads=1, **problem.options)
    firing = [layer.index for layer in network.layers if layer.fires]
    assert sorted(run.spikes) == firing
    assert sorted(run.membrane) == sorted({*firing, *(x.index for x in network.layers if x.name in ("li", "cuba_li"))})
    assert run.logits.shape == (problem.batch, network.classes)
    assert run.step_logits is not None
    assert run.step_logits.shape == (problem.steps, problem.batch, network.classes)
    for index in firing:
        ((_, options),) = network.spec[index].items()
        threshold = shaped(options["threshold"], network.layers[index].out_shape)
        if "rho" in options:
            threshold = adapted(threshold, run.spikes[index], options)
        above = run.membrane[index] > threshold
        reached = above if options["spike_at"] == ">" else run.membrane[index] >= threshold
        assert_same_bits(run.spikes[index], reached.astype(np.float32))
    last = len(network.layers) - 1
    shown = run.spikes[last] if last in firing else run.membrane[last]
    assert_same_bits(run.step_logits, shown)
    assert_same_bits(run.predictions, run.logits.argmax(axis=1))


# Ordinary weights, sizes on both sides of tiles and of the rule for the path; narrow ones, where a BLAS may take
# another routine for what is hardly a matrix.
LEARN = {"learn_beta": True, "learn_threshold": True}
NETWORKS: dict[str, list[Any]] = {
    "wide": [{"dense": 70}, {"lif": {"threshold": 0.2}}, {"dense": 33}, "lif", {"dense": 10}, "li"],
    "narrow": [{"dense": 1}, {"lif": {"threshold": 0.01}}, {"dense": 2}, "li"],
    "one output": [{"dense": 24}, {"if": {"threshold": 0.2}}, {"dense": 1}, {"li": {"readout": "last"}}],
    "per step": [{"dense": 31}, {"lif": {"threshold": 0.2}}, {"dense": 3}, {"li": {"readout": "max"}}],
    "synaptic readout": [{"dense": 31}, {"lif": {"threshold": 0.2}}, {"dense": 3}, {"cuba_li": {"alpha": 0.7}}],
    "firing readout": [{"dense": 31}, {"lif": {"threshold": 0.2}}, {"dense": 4}, {"lif": {"readout": "rate"}}],
    "recurrent": [{"dense": 33}, {"lif": {"threshold": 0.2, "recurrent": True}}, {"dense": 4}, "li"],
    "cuba": [
        {"dense": 30},
        {"cuba_lif": {"threshold": 0.3, "recurrent": True, **LEARN, "learn_alpha": True}},
        {"dense": 4},
        {"cuba_lif": {"threshold": 0.1, "recurrent": True, "readout": "count"}},
    ],
    "alif": [
        {"dense": 31},
        {"alif": {"threshold": 0.2, "recurrent": True, **LEARN}},
        {"dense": 9},
        {"alif": {"beta": [k / 9 for k in range(9)], "threshold": 0.05, **LEARN}},
        {"dense": 3},
        "li",
    ],
    "recurrent drive": [{"if": {"threshold": 0.9, "recurrent": True}}, {"dense": 9}, "li"],
    "no hidden layer": [{"dense": 7}, "li"],
    "drive without weights": [{"lif": {"threshold": 0.9}}, {"dense": 9}, "li"],
    "dropout": [{"dropout": 0.3}, {"dense": 20}, {"lif": {"threshold": 0.2}}, {"dropout": 0.5}, {"dense": 4}, "li"],
    "two products": [{"dense": 20}, {"dense": 11}, {"lif": {"threshold": 0.05}}, {"dense": 4}, "li"],
    "ann": [{"dense": 50}, "relu", {"dense": 17}, "relu", {"dense": 3}],
}
CODINGS = ("binary", "graded", "direct")


def ordinary(name: str, coding: str, *, inputs: int = 45, steps: int = 12) -> Problem:
    """Return a network with its own first weights and a batch with samples from silent to saturated."""
    rng = np.random.default_rng(7)
    options: dict[str, Any] = {}
    if coding == "direct":
        x = rng.normal(size=(1, BATCH, inputs)).astype(np.float32)
        options = {"input_coding": "direct", "num_steps": steps}
    else:
        x = spike_trains(rng, (steps, BATCH, inputs), 1.0, graded=False)
        x *= rng.random(x.shape) < np.linspace(0, 1, BATCH)[:, None]
        if coding == "graded":
            x *= rng.normal(size=x.shape).astype(np.float32)
    kind = "direct" if coding == "direct" else "events"
    return Problem(NETWORKS[name], (inputs,), x, steps, kind, 3, exact=False, options=options)


def samples_of(problem: Problem, rows: NDArray[np.int64]) -> "Events | FloatArray":
    """Return some samples, in any order, with the kind of the whole batch."""
    x = problem.input
    if isinstance(x, Events):
        return Events.join([x.samples(b, b + 1) for b in rows.tolist()])
    return np.ascontiguousarray(x[:, rows])


def assert_samples(part: BatchRun, rows: NDArray[np.int64], whole: BatchRun) -> None:
    """Assert that a run of some samples is what the run of all has for them, to the bit."""
    assert_same_bits(part.logits, whole.logits[rows])
    assert part.step_logits is not None
    assert whole.step_logits is not None
    assert_same_bits(part.step_logits, whole.step_logits[:, rows])
    for index, membrane in whole.membrane.items():
        assert_same_bits(part.membrane[index], membrane[:, rows])
    for index in whole.spikes:
        assert_same_bits(part.spikes[index], whole.spikes[index][:, rows])


SPLITS = [[BATCH], [1] * BATCH, [16, 16, 5], [5, 16, 16], [2, 3, 7, 25], [36, 1], [1, 36]]


@pytest.mark.parametrize("path", ["auto", "events", "dense"])
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_samples_bits_do_not_depend_on_its_batch(name: str, coding: str, path: str) -> None:
    """With ordinary weights, any split of a batch gives the same logits, spikes and membranes, to the bit."""
    problem = ordinary(name, coding)
    network = problem.network()
    whole = network.run(problem.input, record=ALL, path=path, threads=1, **problem.options)
    for split in SPLITS:
        bounds = [0, *np.cumsum(split)]
        for start, stop in pairwise(bounds):
            rows = np.arange(start, stop)
            part = network.run(samples_of(problem, rows), record=ALL, path=path, threads=1, **problem.options)
            assert_samples(part, rows, whole)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("name", NETWORKS)
def test_permuting_samples_permutes_results(name: str, coding: str) -> None:
    """The order of the samples in a batch changes the order of the results and nothing else."""
    problem = ordinary(name, coding)
    network = problem.network()
    whole = network.run(problem.input, record=ALL, threads=1, **problem.options)
    order = np.random.default_rng(1).permutation(BATCH)
    assert_samples(network.run(samples_of(problem, order), record=ALL, threads=1, **problem.options), order, whole)


@settings(max_examples=40)
@given(
    st.integers(1, 300),
    st.integers(1, 70),
    st.integers(1, 20),
    st.sampled_from(CODINGS),
    st.sampled_from(["auto", "dense"]),
    st.sampled_from([("lif", "cuba_lif"), ("alif", "lif"), ("cuba_lif", "alif")]),
    st.sets(st.integers(0, BATCH - 1), min_size=1, max_size=20),
)
def test_batch_independence_for_any_size(
    inputs: int, size: int, steps: int, coding: str, path: str, kinds: tuple[str, str], picked: set[int]
) -> None:
    """Whatever the sizes of the products, some of the samples have the bits that they have among all."""
    problem = ordinary("wide", coding, inputs=inputs, steps=steps)
    first, second = {"threshold": 0.1, "recurrent": True}, {"threshold": 0.3, "recurrent": True}
    layers = [{"dense": size}, {kinds[0]: first}, {"dense": size}, {kinds[1]: second}, {"dense": 3}, "li"]
    network = Network.from_config(layers, input_shape=(inputs,), seed=size)
    whole = network.run(problem.input, record=ALL, path=path, threads=1, **problem.options)
    rows = np.array(sorted(picked))
    part = network.run(samples_of(problem, rows), record=ALL, path=path, threads=1, **problem.options)
    assert_samples(part, rows, whole)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("name", NETWORKS)
def test_threads_change_no_bit(name: str, coding: str) -> None:
    """One, two or three workers give the same run, and the same loss and gradients, to the bit."""
    problem = ordinary(name, coding)
    network = problem.network()
    labels = np.arange(BATCH) % network.classes
    expected = network.run(problem.input, record=ALL, threads=1, **problem.options)
    regularizers = [{"spike_l1": 1e-3}, {"logit_l2": 1e-3}]

    def gradients(threads: int) -> tuple[float, dict[str, FloatArray]]:
        return network.loss_and_gradients(
            problem.input, labels, regularizers=regularizers, threads=threads, **problem.options
        )

    loss, expected_gradients = gradients(1)
    assert np.isfinite(loss)
    assert any(gradient.any() for gradient in expected_gradients.values())
    for threads in (2, 3):
        assert_same_run(network.run(problem.input, record=ALL, threads=threads, **problem.options), expected)
        for _ in range(3):
            other, other_gradients = gradients(threads)
            assert other == loss
            assert other_gradients.keys() == expected_gradients.keys()
            for key, gradient in expected_gradients.items():
                assert_same_bits(other_gradients[key], gradient)


def test_a_network_carries_nothing_from_call_to_call() -> None:
    """Buffers are used again, but a call's result depends on its arguments alone, and is not overwritten later."""
    small, large = ordinary("wide", "binary", steps=3), ordinary("wide", "graded", steps=12)
    network = small.network()
    first = network.run(small.input, record=ALL, threads=1)
    kept = [first.logits.copy(), first.spikes[1].copy(), first.membrane[1].copy()]
    network.run(large.input, record=ALL, threads=2)
    network.loss_and_gradients(large.input, np.zeros(BATCH, int), threads=2)
    for now, before in zip([first.logits, first.spikes[1], first.membrane[1]], kept, strict=True):
        assert_same_bits(now, before)
    assert_same_run(network.run(small.input, record=ALL, threads=1), first)


def test_gradients_are_the_callers_own() -> None:
    """The next call does not overwrite gradients that were handed out."""
    problem = ordinary("wide", "binary")
    network = problem.network()
    _, gradients = network.loss_and_gradients(problem.input, np.zeros(BATCH, int), threads=1)
    before = {name: gradient.copy() for name, gradient in gradients.items()}
    network.loss_and_gradients(problem.input, np.ones(BATCH, int), threads=1)
    for name, gradient in gradients.items():
        assert_same_bits(gradient, before[name])


def test_an_ann_ignores_the_number_of_steps() -> None:
    """An ANN sees direct input once, and events summed over time."""
    problem = ordinary("ann", "graded")
    network = problem.network()
    total = problem.x.sum(axis=0, keepdims=True)
    once = network.run(total, input_coding="direct", threads=1)
    assert once.steps == 1
    assert_same_bits(network.run(total, input_coding="direct", num_steps=9, threads=1).logits, once.logits)
    np.testing.assert_allclose(network.run(problem.input, threads=1).logits, once.logits, rtol=1e-5, atol=1e-6)
