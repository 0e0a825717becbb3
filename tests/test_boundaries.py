"""Where a definition leaves one choice: equal maxima, zeros, the float next to a threshold, the next micro-batch."""

from typing import Any

import numpy as np
import pytest

from problems import EPOCH, assert_alive, assert_gradients_agree, make_problem
from snnsim import Network
from snnsim.execution import MOST_SAMPLES

Layers = list[str | dict[str, Any]]

ONE = np.float32(1)


@pytest.mark.parametrize("input_coding", ["events", "direct"])
def test_equal_maxima(input_coding: str) -> None:
    """Of equal maxima over time, the first step takes the gradient."""
    network: Layers = [{"dense": {"out": 3, "bias": False}}, {"li": {"beta": 0.0, "readout": "max"}}]
    problem = make_problem(network, steps=4, batch=2, inputs=4, input_coding=input_coding)
    weight = np.repeat(np.array([[0.25], [0.5], [0.75]], np.float32), 4, axis=1)
    x = problem.x
    if input_coding == "events":  # another input at every step, all with the same weight
        x = np.zeros((4, 2, 4), np.float32)
        x[np.arange(4), :, np.arange(4)] = 1
    trace, gradients = assert_gradients_agree(problem.with_(x=x, parameters={"0.weight": weight}))
    assert (trace.step_logits == trace.step_logits[0]).all()
    if input_coding == "events":
        assert gradients["0.weight"][:, 0].all()
        assert not gradients["0.weight"][:, 1:].any()


@pytest.mark.parametrize(("spike_at", "fired"), [(">", [0, 0, 1]), (">=", [0, 1, 1])])
@pytest.mark.parametrize("threshold", [1.0, [1.0]], ids=["shared", "each"])
def test_the_floats_next_to_a_threshold(spike_at: str, fired: list[int], threshold: Any) -> None:
    """The float below a threshold never fires, the one above always, the threshold itself as ``spike_at`` says."""
    neuron = {"if": {"threshold": threshold, "spike_at": spike_at, "readout": "count"}}
    network = Network.from_config([{"dense": {"out": 1, "bias": False}}, neuron], input_shape=(1,))
    found = []
    for weight in (np.nextafter(ONE, np.float32(0)), ONE, np.nextafter(ONE, np.float32(2))):
        network.parameters["0.weight"][...] = weight
        found.append(int(network.run(np.ones((1, 1, 1))).logits[0, 0]))
    assert found == fired


def test_relu_at_zero() -> None:
    """A ``relu`` whose input is exactly zero sends no gradient."""
    problem = make_problem([{"dense": 4}, "relu", {"dense": 3}], seed=1)
    nothing = {"0.weight": np.zeros((4, 9), np.float32), "0.bias": np.zeros(4, np.float32)}
    trace, gradients = assert_gradients_agree(problem.with_(parameters={**problem.parameters, **nothing}))
    assert not trace.membrane[1].any()
    assert not gradients["0.weight"].any()
    assert gradients["2.bias"].any()


DROPOUT: Layers = [
    {"dense": 8},
    {"lif": {"beta": 0.75, "threshold": 0.5}},
    {"dropout": 0.5},
    {"dense": 3},
    {"li": {"beta": 0.5}},
]


@pytest.mark.parametrize("input_coding", ["events", "direct"])
def test_dropout_beyond_the_first_micro_batch(input_coding: str) -> None:
    """Samples of every micro-batch have masks of their own."""
    problem = make_problem(DROPOUT, seed=1, batch=3 * MOST_SAMPLES + 2, input_coding=input_coding)
    (mask,) = problem.masks(problem.snnsim()).values()
    assert (mask[:MOST_SAMPLES] != mask[MOST_SAMPLES : 2 * MOST_SAMPLES]).any()
    assert_alive(*assert_gradients_agree(problem))


def test_dropout_is_keyed_by_the_samples_numbers() -> None:
    """A sample has the same mask alone, under its number, as in its place among others."""
    problem = make_problem(DROPOUT, seed=1, batch=MOST_SAMPLES + 4)
    network = problem.snnsim()
    samples = np.arange(MOST_SAMPLES + 4)[::-1] * 7
    _, together = network.loss_and_gradients(problem.x, problem.y, epoch=EPOCH, samples=samples)
    alone = [
        network.loss_and_gradients(
            problem.x[:, b : b + 1], problem.y[b : b + 1], epoch=EPOCH, samples=samples[b : b + 1]
        )[1]
        for b in range(samples.size)
    ]
    others = network.loss_and_gradients(problem.x, problem.y, epoch=EPOCH)[1]
    for name, gradient in together.items():
        mean = np.mean([gradients[name] for gradients in alone], axis=0, dtype=np.float64)
        np.testing.assert_allclose(gradient, mean, rtol=0, atol=1e-5 * np.abs(mean).max())
        assert name != "3.weight" or np.abs(others[name] - gradient).max() > 1e-3 * np.abs(gradient).max()
