"""Small training problems on numbers that float32 holds exactly, and the comparison with the reference.

Weights, inputs and thresholds are multiples of 1/256, decays multiples of 1/4 and adaptations of 1/16, so that over a
few steps every membrane is exact in float32: spikes are the same in any arithmetic, and membranes meet thresholds
exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reference.forward import FIRING, Trace, is_ann, named
from reference.losses import loss_and_gradients
from snnsim import Network
from snnsim.kernels import random as keyed

EPOCH = 3
RELATIVE = 1e-4


@dataclass(frozen=True, eq=False)
class Problem:
    """A network with its parameters, a labelled batch, and what is minimised.

    ``taught`` is what a teacher says: arguments of both implementations.
    """

    network: Sequence[str | dict[str, Any]]
    parameters: Mapping[str, NDArray[np.float32]]
    x: NDArray[np.float32]
    y: NDArray[Any]
    loss: dict[str, Any]
    regularizers: Sequence[dict[str, Any]] = ()
    input_coding: str = "events"
    recompute_every: int | None = None
    truncate_every: int | None = None
    taught: Mapping[str, Any] = field(default_factory=dict)

    def with_(self, **changes: Any) -> "Problem":
        """Return the problem with some fields changed."""
        return replace(self, **changes)

    def snnsim(self) -> Network:
        """Return snnsim's network with the problem's parameters."""
        network = Network.from_config(self.network, input_shape=self.x.shape[2:], seed=7)
        assert network.parameters.keys() == self.parameters.keys()
        for name, value in self.parameters.items():
            network.parameters[name][...] = value
        return network

    def masks(self, network: Network) -> dict[int, NDArray[np.float32]]:
        """Return what the dropout layers multiply by."""
        samples = np.arange(self.x.shape[1])
        masks = {}
        for layer in network.layers:
            if layer.name == "dropout":
                p = named(self.network[layer.index])[1].get("p", 0.5)
                mask = masks[layer.index] = np.empty((samples.size, layer.size), np.float32)
                keyed.dropout_mask(network.seed, EPOCH, layer.index, samples, p, np.float32(1 / (1 - p)), mask)
        return masks


def make_problem(
    network: Sequence[str | dict[str, Any]],
    *,
    seed: int = 0,
    steps: int = 5,
    batch: int = 4,
    inputs: int = 9,
    drive: float = 1.0,
    **fields: Any,
) -> Problem:
    """Draw parameters and a batch for a network; ``drive`` is the spread of the currents."""
    rng = np.random.default_rng(seed)
    parameters: dict[str, NDArray[np.float32]] = {}
    size = inputs
    for index, layer in enumerate(network):
        name, options = named(layer)
        if name == "dense":
            spread = drive * 256 / np.sqrt(size)
            parameters[f"{index}.weight"] = exact(rng.normal(spread / 4, spread, (options["out"], size)))
            if options.get("bias", True):
                parameters[f"{index}.bias"] = exact(rng.normal(40 * drive, 40, options["out"]))
            size = options["out"]
        elif name in FIRING:
            values = {key: options[key] for key in ("beta", "alpha", "threshold") if options.get(f"learn_{key}")}
            parameters |= {f"{index}.{key}": np.array(value, np.float32) for key, value in values.items()}
            if options.get("recurrent"):
                spread = 128 / np.sqrt(size)
                parameters[f"{index}.recurrent_weight"] = exact(rng.normal(-spread / 4, spread, (size, size)))
    if fields.get("input_coding") == "direct":
        x = np.repeat(rng.integers(-4, 9, (1, batch, inputs)) / 4, 1 if is_ann(network) else steps, axis=0)
    else:
        x = (rng.random((steps, batch, inputs)) < 0.4).astype(np.float64)
    fields = {"loss": {"cross_entropy": {}}} | fields
    return Problem(network, parameters, x.astype(np.float32), rng.integers(0, size, batch), **fields)


def exact(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round to whole numbers and divide by 256."""
    return (np.rint(values) / 256).astype(np.float32)


def assert_gradients_agree(problem: Problem) -> tuple[Trace, dict[str, NDArray[np.float64]]]:
    """Compare spikes, loss and every gradient with the reference; return the reference's trace and gradients."""
    network = problem.snnsim()
    masks = problem.masks(network)
    expected_loss, expected, trace = loss_and_gradients(
        problem.network,
        problem.parameters,
        problem.x,
        problem.y,
        loss=problem.loss,
        regularizers=problem.regularizers,
        input_coding=problem.input_coding,
        masks=masks or None,
        truncate_every=problem.truncate_every,
        **problem.taught,
    )
    if not masks:
        run = network.run(problem.x, record="spikes", input_coding=problem.input_coding)
        for index, spikes in trace.spikes.items():
            found = run.spikes[index].reshape(spikes.shape)
            np.testing.assert_array_equal(found, spikes, err_msg=f"spikes of layer {index}")
    loss, gradients = network.loss_and_gradients(
        problem.x,
        problem.y,
        loss=problem.loss,
        regularizers=problem.regularizers,
        input_coding=problem.input_coding,
        epoch=EPOCH,
        recompute_every=problem.recompute_every,
        truncate_every=problem.truncate_every,
        **problem.taught,
    )
    assert loss == pytest.approx(expected_loss, rel=1e-5, abs=1e-7)
    assert gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        assert gradients[name].shape == gradient.shape
        furthest = np.abs(gradients[name] - gradient).max()
        # A value that all neurons share has a gradient that may cancel down to next to nothing.
        floor = 1e-12 if gradient.ndim else 1e-6
        assert furthest <= RELATIVE * np.abs(gradient).max() + floor, f"gradient of {name}"
    return trace, expected


def assert_alive(trace: Trace, gradients: Mapping[str, NDArray[np.float64]]) -> None:
    """Check that a comparison meant something: some neurons fire, some do not, and every gradient is there."""
    for index, spikes in trace.spikes.items():
        assert 0.02 < spikes.mean() < 0.98, f"layer {index} fires at {spikes.mean():.3f}"
    for name, gradient in gradients.items():
        assert np.abs(gradient).max() > 1e-7, f"{name} has no gradient"
