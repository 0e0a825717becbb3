"""What results are held against: counters by brute force, and equality to the bit."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.convolution import connections, geometry, pool
from snnsim import Events, Network
from snnsim.results import BatchRun
from strategies import FloatArray, Problem

COUNTERS = (
    "spikes",
    "synops_structural",
    "synops_effective",
    "synops_recurrent",
    "synops_recurrent_effective",
    "undelivered",
    "acs",
    "macs",
    "macs_once",
    "macs_dense",
    "bias_adds",
    "neuron_updates",
    "resets",
)


def assert_same_bits(actual: NDArray[Any], expected: NDArray[Any]) -> None:
    """Assert equal shape, type and bytes: -0 is not 0 here."""
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    assert np.ascontiguousarray(actual).tobytes() == np.ascontiguousarray(expected).tobytes()


def assert_same_events(actual: Events, expected: Events) -> None:
    """Assert that both are in canonical form, and equal to the bit."""
    actual.check()
    expected.check()
    assert (actual.num_steps, actual.batch, actual.shape) == (expected.num_steps, expected.batch, expected.shape)
    assert_same_bits(actual.indptr, expected.indptr)
    assert_same_bits(actual.indices, expected.indices)
    assert (actual.values is None) == (expected.values is None)
    if actual.values is not None and expected.values is not None:
        assert_same_bits(actual.values, expected.values)


def assert_same_run(actual: BatchRun, expected: BatchRun) -> None:
    """Assert that two runs with everything recorded agree to the bit."""
    assert_same_bits(actual.logits, expected.logits)
    assert actual.step_logits is not None
    assert expected.step_logits is not None
    assert_same_bits(actual.step_logits, expected.step_logits)
    assert actual.events.keys() == expected.events.keys()
    for index, events in expected.events.items():
        assert_same_events(actual.events[index], events)
    assert actual.membrane.keys() == expected.membrane.keys()
    for index, membrane in expected.membrane.items():
        assert_same_bits(actual.membrane[index], membrane)
    assert_same_counts(actual, expected)


def assert_same_counts(actual: BatchRun, expected: BatchRun) -> None:
    """Assert that two runs counted the same."""
    assert_same_bits(actual.counts.input.events, expected.counts.input.events)
    for one, other in zip(actual.counts, expected.counts, strict=True):
        for name in COUNTERS:
            assert_same_bits(getattr(one, name), getattr(other, name))


@dataclass(frozen=True)
class _Signal:
    """What flows between two layers: dense values [T, B, N], and of which kind."""

    values: FloatArray
    kind: str  # binary, graded, analog, or constant: analog and the same at every step


def brute_force_counts(problem: Problem, network: Network, run: BatchRun) -> tuple[list[dict[str, Any]], list[int]]:
    """Count a run, recorded with spikes and membranes, in plain loops over steps, samples, inputs and outputs.

    Returns one dict per layer, counter to a list [B], and the input's events [B].
    """
    steps = 1 if network.is_ann else problem.steps
    signal = _input_signal(problem, network, steps)
    inputs = [int(np.count_nonzero(signal.values[:, b])) for b in range(problem.batch)]
    records = []
    for index, layer in enumerate(network.spec):
        ((name, options),) = layer.items()
        zeros: dict[str, Any] = {counter: [0] * problem.batch for counter in COUNTERS}
        match name:
            case "dense" | "conv2d":
                zeros |= _count_edge(signal, network, index, steps)
                signal = _currents(signal, network, index)
            case "avg_pool2d" | "sum_pool2d" | "max_pool2d":
                signal = _pooled(signal, name, options, network.layers[index].in_shape)
            case "lif" | "if" | "cuba_lif" | "alif":
                spikes = run.spikes[index]
                signal = _Signal(spikes.reshape(steps, problem.batch, -1), "binary")
                fired = [int(np.count_nonzero(spikes[:, b])) for b in range(problem.batch)]
                zeros["spikes"] = fired
                zeros["resets"] = fired if options["reset"] != "none" else zeros["resets"]
                zeros["neuron_updates"] = [steps * signal.values.shape[2]] * problem.batch
                if options["recurrent"]:
                    zeros |= _count_recurrent(signal.values, network.parameters[f"{index}.recurrent_weight"])
            case "li" | "cuba_li":
                zeros["neuron_updates"] = [steps * network.classes] * problem.batch
            case "relu":
                positive = np.maximum(run.membrane[index], 0)
                signal = _Signal(positive.reshape(steps, problem.batch, -1), signal.kind)
        records.append(zeros)
    return records, inputs


def _input_signal(problem: Problem, network: Network, steps: int) -> _Signal:
    flat = problem.x.reshape(*problem.x.shape[:2], -1)
    if problem.coding == "direct":
        return _Signal(np.broadcast_to(flat, (steps, *flat.shape[1:])), "constant")
    if network.is_ann:
        return _Signal(flat.sum(axis=0, keepdims=True), "constant")
    return _Signal(flat, "binary" if np.isin(flat, [0, 1]).all() else "graded")


def _pooled(signal: _Signal, name: str, options: dict[str, Any], shape: tuple[int, ...]) -> _Signal:
    images = signal.values.astype(np.float64).reshape(-1, *shape)
    values = pool(name, images, geometry(name, options, shape)).reshape(*signal.values.shape[:2], -1)
    graded = signal.kind == "binary" and name != "max_pool2d"
    return _Signal(values.astype(np.float32), "graded" if graded else signal.kind)


def _connections(network: Network, index: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return which synapses a layer with weights has, [outputs, inputs], and their weights."""
    ((name, options),) = network.spec[index].items()
    weight = network.parameters[f"{index}.weight"]
    if name == "conv2d":
        return connections(weight, options, network.layers[index].in_shape)
    return np.ones(weight.shape, bool), weight


def _currents(signal: _Signal, network: Network, index: int) -> _Signal:
    _, weight = _connections(network, index)
    layer = network.layers[index]
    current = signal.values.astype(np.float64) @ weight.T.astype(np.float64)
    if "bias" in layer.parameters:
        current += np.repeat(layer.parameters["bias"], layer.size // layer.out_shape[0])
    # A single step is the same at every step.
    constant = signal.kind == "constant" or len(current) == 1
    return _Signal(current.astype(np.float32), "constant" if constant else "analog")


def _count_edge(signal: _Signal, network: Network, index: int, steps: int) -> dict[str, Any]:
    exists, weight = _connections(network, index)
    outputs, inputs = weight.shape
    batch = signal.values.shape[1]
    structural, effective, once = [0] * batch, [0] * batch, [0] * batch
    for t in range(steps):
        for b in range(batch):
            for i in range(inputs):
                if signal.values[t, b, i] == 0:
                    continue
                for o in np.flatnonzero(exists[:, i]):
                    structural[b] += 1
                    effective[b] += int(weight[o, i] != 0)
                    once[b] += int(weight[o, i] != 0 and t == 0 and signal.kind == "constant")
    record: dict[str, Any] = {
        "synops_structural": structural,
        "synops_effective": effective,
        "acs" if signal.kind == "binary" else "macs": effective,
        "macs_once": once,
        "macs_dense": [steps * int(exists.sum())] * batch,
    }
    if f"{index}.bias" in network.parameters:
        record["bias_adds"] = [steps * outputs] * batch
    return record


def _count_recurrent(spikes: FloatArray, weight: FloatArray) -> dict[str, Any]:
    """Count what spikes [T, B, N] reach in their own layer, one step later; those of the last step reach nothing."""
    steps, batch, n = spikes.shape
    structural, effective, undelivered = [0] * batch, [0] * batch, [0] * batch
    for t in range(steps):
        for b in range(batch):
            for i in range(n):
                if spikes[t, b, i] == 0:
                    continue
                if t == steps - 1:
                    undelivered[b] += 1
                    continue
                for o in range(n):
                    structural[b] += 1
                    effective[b] += int(weight[o, i] != 0)
    return {
        "synops_recurrent": structural,
        "synops_recurrent_effective": effective,
        "acs": effective,
        "macs_dense": [steps * n * n] * batch,
        "undelivered": undelivered,
    }
