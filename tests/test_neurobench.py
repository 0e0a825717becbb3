"""NeuroBench's figures, by its own definitions: reference cases that were measured with it, and rules by hand."""

from typing import Any

import numpy as np
import pytest

from reading import Case, cases_of
from snnsim import Network
from snnsim.neurobench import NeuroBench, NeuroBenchFigures

MEASURED = [case for case in cases_of("accounting") if "neurobench" in case.meta]


def figures(network: Network, x: Any, **options: Any) -> NeuroBenchFigures:
    view = NeuroBench(network)
    view(network.run(x, record="step_counts", **options))
    return view.figures()


def test_cases_were_found() -> None:
    """There are some to agree with."""
    assert len(MEASURED) >= 7


@pytest.mark.parametrize("case", MEASURED, ids=lambda case: case.name)
@pytest.mark.parametrize("expected", ["neurobench", "neurobench_batch_size_1"])
def test_reference_cases(case: Case, expected: str) -> None:
    """Every figure that NeuroBench itself gave for the same network of snnTorch."""
    network = Network.from_config(case.network, input_shape=case.meta["input_shape"])
    for name, value in case.parameters.items():
        network.parameters[name][...] = value
    found = figures(network, case.inputs["x"], input_coding=case.meta["input_coding"]).summary()
    for name, value in case.meta[expected].items():
        # NeuroBench averages over batches: the last digit of a double depends on how it adds up.
        assert found[name] == pytest.approx(value, rel=1e-15, abs=0), name


@pytest.mark.parametrize(
    ("image", "acs", "macs"),
    [
        ([[1, 0], [0, 0]], 3, 0),  # a sum of 1
        ([[1, 1], [0, 0]], 0, 3),  # a sum of 2
        ([[0, 0], [0, 0]], 0, 0),
    ],
)
def test_the_values_of_a_step_decide(image: list[list[float]], acs: float, macs: float) -> None:
    """A graded edge is ACs at a step where only ones arrive, and MACs where one other value does."""
    network = Network.from_config([{"sum_pool2d": 2}, {"dense": 3}, "li"], input_shape=(1, 2, 2))
    found = figures(network, np.array([[[image]]], np.float32))
    assert (found.effective_acs, found.effective_macs, found.dense) == (acs, macs, 3)


def test_samples_are_batches_of_their_own() -> None:
    """What one sample's values are changes nothing for another; figures are means over all samples shown."""
    network = Network.from_config([{"dense": 4}, "li"], input_shape=(2,))
    view = NeuroBench(network)
    view(_run(network, [[1, 0]]))
    view(_run(network, [[0.5, 1], [1, 1]]))
    found = view.figures()
    assert (found.effective_acs, found.effective_macs) == ((4 + 8) / 3, 8 / 3)
    assert found.dense == 8


def _run(network: Network, samples: list[list[float]]) -> Any:
    return network.run([samples], input_coding="direct", record="step_counts")


@pytest.mark.parametrize(
    ("neurons", "parameters", "footprint"),
    [
        ({"lif": {}}, 0, 8 + 12),
        ({"if": {}}, 0, 8 + 12),
        ({"lif": {"beta": [0.5, 0.6, 0.7]}}, 0, 4 * 3 + 4 + 12),
        ({"lif": {"learn_beta": True, "learn_threshold": True}}, 2, 8 + 12),
        ({"cuba_lif": {}}, 0, 12 + 12),
        ({"lif": {"recurrent": True}}, 9 + 3, 4 * 12 + 8 + 12),
        ({"alif": {}}, 0, 16 + 12),
    ],
)
def test_what_neurons_hold(neurons: Any, parameters: int, footprint: int) -> None:
    """Constants, snnTorch's bookkeeping and the bias of its recurrent weights, beside the weights of other layers."""
    network = Network.from_config([{"dense": 3}, neurons, {"dense": 2}, "li"], input_shape=(4,))
    found = figures(network, np.ones((2, 1, 4)))
    others = (4 * 3 + 3) + (3 * 2 + 2)
    assert found.parameter_count == others + parameters
    assert found.footprint == 4 * others + footprint + (8 + 12)


def test_an_ann() -> None:
    """Of an ANN, relu's zeros are sparse activations, and what passes it costs MACs."""
    network = Network.from_config([{"dense": {"out": 2, "bias": False}}, "relu", {"dense": 3}], input_shape=(2,))
    network.parameters["0.weight"][...] = [[1.0, 0.5], [-1.0, 0.0]]
    found = figures(network, [[[2, 1]]], input_coding="direct")
    assert (found.activation_sparsity, found.effective_macs, found.effective_acs) == (0.5, 3 + 3, 0)
    assert (found.footprint, found.connection_sparsity) == (4 * (4 + 6 + 3), round(1 / 10, 4))
