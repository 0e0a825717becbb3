"""Surrogates of compact support: the input gradient is computed only where it matters, and nothing changes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from images import LIF, image_problems
from oracles import assert_same_bits
from snnsim import Events, Network
from snnsim.layers import conv, dense, neurons
from snnsim.layers.base import MicroBatch
from snnsim.layers.neurons import FiringNeurons
from snnsim.surrogates import derivative
from strategies import FloatArray, Problem, seeds, spike_trains

SURROGATES = [{"boxcar": {"width": 0.25}}, {"boxcar": {"width": 0.6}}, {"triangle": {"width": 0.5}}, "triangle"]
surrogates = st.sampled_from(SURROGATES)


@st.composite
def dense_networks(draw: st.DrawFn) -> Problem:
    """Draw a network of dense layers and neurons of every kind, with a dropout between some."""
    layers: list[Any] = []
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(["lif", "if", "cuba_lif", "alif"]))
        options: dict[str, Any] = {"surrogate": draw(surrogates), "threshold": 0.5}
        options["reset"] = draw(st.sampled_from(["subtract", "zero", "none"]))
        options["detach_reset"] = draw(st.booleans())
        options["recurrent"] = draw(st.booleans())
        layers += [{"dense": draw(st.integers(1, 70))}, {name: options}]
        if draw(st.booleans()):
            layers.append({"dropout": 0.5})
    layers += [{"dense": 3}, {"li": {"readout": draw(st.sampled_from(["mean", "max"]))}}]
    steps, batch, seed = draw(st.integers(1, 6)), draw(st.integers(1, 4)), draw(seeds)
    x = spike_trains(np.random.default_rng(seed), (steps, batch, 12), 0.3, graded=False)
    return Problem(layers, (12,), x, steps, "events", seed, exact=False)


def gradients(
    network: Network, problem: Problem, up_to: float, active: Callable[..., Any] | None = None
) -> dict[str, FloatArray]:
    """Return the gradients, with products one by one up to a part of all places, and other places as active."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dense, "NEEDED_UP_TO", up_to)
        patch.setattr(conv, "NEEDED_UP_TO", up_to)
        patch.setattr(conv, "FEWER_UP_TO", up_to)
        patch.setattr(neurons, "NEEDED_UP_TO", up_to)
        if active is not None:
            patch.setattr(FiringNeurons, "active", active)
        labels = np.arange(problem.batch) % 3
        _, result = network.loss_and_gradients(problem.input, labels, threads=1, **problem.options)
        return {name: array.copy() for name, array in result.items()}


def everywhere(layer: FiringNeurons, micro: MicroBatch, up_to: float) -> Events:
    """Say that the derivative is nowhere zero."""
    return Events.from_dense(np.ones((micro.steps, micro.samples, *layer.out_shape)))


def assert_same_as_the_full_pass(problem: Problem) -> None:
    """Compare with all products one by one, to the bit, and with one matrix product, to rounding."""
    network = problem.network()
    sparse = gradients(network, problem, 2.0)
    full = gradients(network, problem, 2.0, everywhere)
    product = gradients(network, problem, 0.0)
    for name, array in sparse.items():
        assert_same_bits(array, full[name])
        largest = np.abs(product[name]).max(initial=0)
        np.testing.assert_allclose(array, product[name], rtol=1e-4, atol=1e-5 * largest)


@given(dense_networks())
def test_dense_layers(problem: Problem) -> None:
    """Leaving out the products that nobody needs changes no bit of any gradient."""
    assert_same_as_the_full_pass(problem)


@given(dense_networks(), st.integers(1, 4))
def test_segments(problem: Problem, length: int) -> None:
    """Run again in segments, neurons are active where they were: the same gradients but for rounding."""
    network = problem.network()
    labels = np.arange(problem.batch) % 3
    _, whole = network.loss_and_gradients(problem.input, labels, threads=1)
    expected = {name: array.copy() for name, array in whole.items()}
    _, again = network.loss_and_gradients(problem.input, labels, threads=1, recompute_every=length)
    for name, array in again.items():
        largest = np.abs(expected[name]).max(initial=0)
        np.testing.assert_allclose(array, expected[name], rtol=1e-4, atol=1e-5 * largest)


@given(image_problems(), surrogates)
def test_convolutions_and_pools(problem: Problem, surrogate: Any) -> None:
    """So it is in convolutions of any geometry, with pools of any kind on the way."""
    compact = {"lif": LIF["lif"] | {"surrogate": surrogate}}
    layers = [compact if layer is LIF else layer for layer in problem.layers]
    drawn = Problem(layers, problem.input_shape, problem.x, problem.steps, problem.coding, problem.seed, False)
    assert_same_as_the_full_pass(Problem(**{**vars(drawn), "options": problem.options}))


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("neuron", ["lif", "alif"])
def test_active_places(surrogate: Any, neuron: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Active are exactly the places at which the derivative is not zero; a part of all."""
    adaptation = {"rho": 0.9, "adaptation": 0.3} if neuron == "alif" else {}
    options = {"surrogate": surrogate, **adaptation}
    layers = [{"dense": 70}, {neuron: options}, {"dense": 40}, "lif", {"dense": 3}, "li"]
    network = Network.from_config(layers, input_shape=(30,))
    network.parameters["0.weight"][...] *= 4
    x = spike_trains(np.random.default_rng(1), (9, 5, 30), 0.3, graded=False)
    found: list[Events] = []
    active = FiringNeurons.active

    def spy(layer: FiringNeurons, micro: MicroBatch, up_to: float) -> Events:
        result = active(layer, micro, 1.0)
        assert result is not None
        result = result.copy()
        assert (active(layer, micro, up_to) is None) == (result.indices.size > int(up_to * micro.steps * 5 * 70))
        found.append(result)
        return result

    monkeypatch.setattr(FiringNeurons, "active", spy)
    network.loss_and_gradients(x, np.zeros(5, int), threads=1)
    run = network.run(x, record=("membrane", "spikes"), threads=1)
    level = np.ones((9, 5, 70), np.float32)
    if neuron == "alif":
        trace = np.zeros((5, 70), np.float32)
        for t in range(9):
            level[t] = np.float32(1) + np.float32(0.3) * trace
            trace = np.float32(0.9) * trace + run.spikes[1][t]
    expected = derivative(surrogate, run.membrane[1] - level) != 0
    assert 0.01 < expected.mean() < 0.9
    (places,) = found
    np.testing.assert_array_equal(places.to_dense() != 0, expected)


def test_surrogates_without_compact_support_need_every_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arctangent is nowhere zero: nobody looks for places."""
    monkeypatch.setattr(FiringNeurons, "active", None)
    network = Network.from_config([{"dense": 4}, "lif", {"dense": 3}, "lif", {"dense": 3}, "li"], input_shape=(5,))
    network.loss_and_gradients(np.ones((2, 3, 5)), [0, 1, 2], threads=1)
