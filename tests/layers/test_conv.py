"""Convolutions: against the reference, in counts and in bits."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from images import convolutions, image_problems, image_shapes, training
from oracles import COUNTERS, assert_same_bits, assert_same_run, brute_force_counts
from problems import Problem as Training
from problems import assert_alive, assert_gradients_agree
from reference.convolution import connections
from snnsim import InputError, Network
from snnsim.layers import Conv2d
from strategies import Problem, exact_values, spike_trains

LIF: dict[str, Any] = {"lif": {"beta": 0.75, "threshold": 0.5}}
ALL = ("spikes", "membrane")


def network(*layers: Any, shape: tuple[int, ...] = (2, 7, 6)) -> Network:
    return Network.from_config(layers, input_shape=shape)


@given(image_problems())
def test_spikes_and_gradients_are_the_references(problem: Problem) -> None:
    """Any geometry, with pools and neurons in any order, on binary, graded and analog input."""
    assert_gradients_agree(training(problem))


@given(image_problems())
def test_counts_are_those_of_plain_loops(problem: Problem) -> None:
    """Every counter equals a loop over steps, samples, inputs and outputs."""
    net = problem.network()
    run = net.run(problem.input, record=ALL, threads=1, **problem.options)
    records, inputs = brute_force_counts(problem, net, run)
    np.testing.assert_array_equal(run.counts.input.events, inputs)
    for counts, expected in zip(run.counts, records, strict=True):
        for name in COUNTERS:
            np.testing.assert_array_equal(getattr(counts, name), expected[name], err_msg=name)


@given(image_problems())
def test_paths_agree_to_the_bit_on_exact_weights(problem: Problem) -> None:
    """Event by event, as a product, or as it pays: the same bits for weights of n/256."""
    net = problem.network()
    runs = [
        net.run(problem.input, record=ALL, path=path, threads=1, **problem.options)
        for path in ("events", "dense", "auto")
    ]
    assert_same_run(runs[1], runs[0])
    assert_same_run(runs[2], runs[0])


@settings(max_examples=10)
@given(image_problems(kinds=("binary", "direct")), st.sampled_from(["events", "dense", "auto"]))
def test_a_samples_bits_are_its_own(problem: Problem, path: str) -> None:
    """On any weights, a sample alone gives the bits that it gives among others, whatever the threads."""
    net = Network.from_config(problem.layers, input_shape=problem.input_shape, seed=3)
    x = np.concatenate([problem.x] * 5, axis=1)
    together = net.run(x, threads=2, path=path, record=ALL, **problem.options)
    for b in range(problem.batch):
        alone = net.run(x[:, b : b + 1], threads=1, path=path, record=ALL, **problem.options)
        for at in (b, b + 4 * problem.batch):
            assert_same_bits(together.logits[at], alone.logits[0])
            for index, membrane in alone.membrane.items():
                assert_same_bits(together.membrane[index][:, at], membrane[:, 0])


@settings(max_examples=10)
@given(image_problems())
def test_threads_change_no_bit_of_a_gradient(problem: Problem) -> None:
    """Nor of the loss, whether the first convolution's input is constant or events."""
    net = Network.from_config(problem.layers, input_shape=problem.input_shape, seed=3)
    x, labels = np.concatenate([problem.x] * 9, axis=1), np.zeros(9 * problem.batch, np.int64)
    (loss, one), (again, two) = (net.loss_and_gradients(x, labels, threads=n, **problem.options) for n in (1, 2))
    assert loss == again
    for name, gradient in one.items():
        assert_same_bits(two[name], gradient)


@given(image_shapes().flatmap(lambda shape: st.tuples(st.just(shape), convolutions(shape))))
def test_fan_out_is_exact_at_borders(drawn: tuple[tuple[int, ...], dict[str, Any]]) -> None:
    """An input's synapses are the taps inside the image; effective ones have a weight other than zero."""
    shape, layer = drawn
    net = network(layer, "li", shape=shape)
    weight = net.parameters["0.weight"]
    weight[...] = exact_values(np.random.default_rng(0), weight.shape)
    exists, values = connections(weight, layer["conv2d"], shape)
    conv = net.layers[0]
    assert isinstance(conv, Conv2d)
    np.testing.assert_array_equal(conv.fan_out()[:, 0], exists.sum(axis=0))
    np.testing.assert_array_equal(conv.fan_out()[:, 1], (values != 0).sum(axis=0))


@pytest.mark.parametrize(
    ("shape", "options", "structural"),
    [
        ((1, 28, 28), {"kernel": 5}, 14400),
        ((1, 8, 8), {"kernel": 3, "padding": 1}, 484),
        ((1, 34, 34), {"kernel": 3, "stride": 2, "padding": 1}, 2500),
    ],
)
def test_fan_out_of_known_shapes(shape: tuple[int, ...], options: dict[str, Any], structural: int) -> None:
    """Spikes at every pixel reach fewer synapses than kernel area times outputs says."""
    conv = network({"conv2d": {"out": 1, **options}}, "li", shape=shape).layers[0]
    assert isinstance(conv, Conv2d)
    assert conv.fan_out()[:, 0].sum() == structural


@pytest.mark.parametrize(
    ("layers", "shape", "path", "message"),
    [
        ([{"conv2d": {"out": 2, "kernel": 3}}], (784,), (0, "conv2d"), "needs an image"),
        (["flatten", {"conv2d": {"out": 2, "kernel": 3}}], (1, 8, 8), (1, "conv2d"), "needs an image"),
        (
            [{"conv2d": {"out": 2, "kernel": [3, 9]}}],
            (1, 8, 8),
            (0, "conv2d", "kernel"),
            "spans 9, more than the padded width 8",
        ),
        (
            [{"conv2d": {"out": 2, "kernel": 3, "dilation": 5, "padding": 1}}],
            (1, 8, 8),
            (0, "conv2d", "kernel"),
            "spans 11, more than the padded height 10",
        ),
        ([{"conv2d": {"out": 4, "kernel": 3, "groups": 2}}], (3, 8, 8), (0, "conv2d", "groups"), "must divide"),
        ([{"conv2d": {"out": 3, "kernel": 3, "groups": 2}}], (2, 8, 8), (0, "conv2d", "groups"), "must divide"),
        (
            [{"conv2d": {"out": 3, "kernel": 3, "stride": 2, "padding": "same"}}],
            (2, 8, 8),
            (0, "conv2d", "padding"),
            "same needs stride 1",
        ),
        ([{"conv2d": {"out": 2**30, "kernel": 3}}], (2, 8, 8), (0, "conv2d"), "needs .* GiB"),
    ],
)
def test_what_does_not_fit_is_refused(layers: list[Any], shape: tuple[int, ...], path: Any, message: str) -> None:
    """Flat input, a kernel beyond the padded image, groups that do not divide, too large: errors that name the key."""
    with pytest.raises(InputError, match=message) as caught:
        network(*layers, "lif", {"dense": 2}, "li", shape=shape)
    assert caught.value.path == ("network", *path)


@pytest.mark.parametrize("key", ["beta", "threshold"])
def test_values_per_channel(key: str) -> None:
    """A list of C values is one per channel, the same as each value for every neuron of its channel."""
    values = [0.25, 0.5, 0.75]
    per_neuron = [value for value in values for _ in range(20)]
    conv, end = {"conv2d": {"out": 3, "kernel": 3}}, [{"dense": 2}, "li"]
    x = spike_trains(np.random.default_rng(0), (4, 2, 2, 7, 6), 0.5, graded=False)
    runs = [network(conv, {"lif": {key: v}}, *end).run(x, record=ALL) for v in (values, per_neuron)]
    assert_same_run(runs[0], runs[1])
    with pytest.raises(InputError, match="must have one value per channel, 3, or per neuron, 60") as caught:
        network(conv, {"lif": {key: [0.5, 0.5]}}, *end)
    assert caught.value.path == ("network", 1, "lif", key)


REGULARIZERS: list[dict[str, Any]] = [
    {"synops": {"weight": 0.02}},
    {"synops": {"weight": 0.02, "budget": 500.0}},
    {"rate_upper": {"weight": 2.0, "max_rate": 0.25}},
]


@pytest.mark.parametrize("between", [[], [{"avg_pool2d": 2}], [{"max_pool2d": {"kernel": 3, "stride": 2}}]], ids=str)
@pytest.mark.parametrize("regularizer", REGULARIZERS, ids=str)
def test_penalties_on_spikes_go_through_pools(between: list[Any], regularizer: dict[str, Any]) -> None:
    """A spike weighs what the windows that it lies in reach; a row or column that pools drop weighs nothing."""
    conv: list[Any] = [{"conv2d": {"out": 3, "kernel": 3, "padding": 1}}, LIF, *between]
    layers = [*conv, {"conv2d": {"out": 4, "kernel": 3}}, LIF, {"dense": 3}, {"li": {"beta": 0.75}}]
    rng = np.random.default_rng(1)
    parameters = {n: exact_values(rng, a.shape) for n, a in network(*layers, shape=(2, 9, 7)).parameters.items()}
    x = spike_trains(rng, (4, 3, 2, 9, 7), 0.4, graded=False)
    problem = Training(layers, parameters, x, rng.integers(0, 3, 3), {"cross_entropy": {}}, [regularizer])
    assert_alive(*assert_gradients_agree(problem))


@pytest.mark.parametrize("density", [0.02, 0.9])
def test_gradients_of_sparse_and_crowded_samples(density: float) -> None:
    """Whether samples go event by event or by the product, or some each: the same gradients."""
    layers = [{"conv2d": {"out": 5, "kernel": 3}}, LIF, {"conv2d": {"out": 6, "kernel": [2, 3]}}, LIF]
    layers = [*layers, {"dense": 3}, {"li": {"beta": 0.75}}]
    rng = np.random.default_rng(2)
    parameters = {n: exact_values(rng, a.shape) for n, a in network(*layers).parameters.items()}
    x = spike_trains(rng, (4, 6, 2, 7, 6), density, graded=False)
    x[:, 1] = 1
    x[:, 3:5] = 0
    assert_gradients_agree(Training(layers, parameters, x, rng.integers(0, 3, 6), {"cross_entropy": {}}))


def test_an_ann_with_convolutions() -> None:
    """Convolution, relu and pools without time have the reference's gradients."""
    layers: list[Any] = [
        {"conv2d": {"out": 4, "kernel": 3}},
        "relu",
        {"max_pool2d": 2},
        {"conv2d": {"out": 3, "kernel": 2}},
    ]
    layers = [*layers, "relu", {"avg_pool2d": {"kernel": [1, 2], "stride": 1}}, {"dense": 3}]
    rng = np.random.default_rng(4)
    shape = (2, 8, 9)
    parameters = {n: exact_values(rng, a.shape) for n, a in network(*layers, shape=shape).parameters.items()}
    x = exact_values(rng, (1, 5, *shape), 2.0)
    loss: dict[str, Any] = {"cross_entropy": {}}
    assert_gradients_agree(Training(layers, parameters, x, rng.integers(0, 3, 5), loss, input_coding="direct"))


def test_a_convolution_as_the_readouts_edge() -> None:
    """A last convolution needs one product a sample, and has the reference's gradients."""
    layers: list[Any] = [{"conv2d": {"out": 4, "kernel": 3}}, LIF, {"conv2d": {"out": 3, "kernel": [5, 4]}}]
    layers = [*layers, {"li": {"beta": 0.75}}]
    rng = np.random.default_rng(5)
    parameters = {n: exact_values(rng, a.shape) for n, a in network(*layers).parameters.items()}
    x = spike_trains(rng, (4, 3, 2, 7, 6), 0.4, graded=False)
    assert_alive(*assert_gradients_agree(Training(layers, parameters, x, rng.integers(0, 3, 3), {"cross_entropy": {}})))
