"""Recurrent networks and learned values train: what must be kept in mind is learned, and values stay in range."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from snnsim import Network
from snnsim.config.schema import TrainSpec
from snnsim.datasets.samples import Dataset, Samples
from snnsim.progress import Silent
from snnsim.spec import EncoderChoice, OptimizerChoice
from snnsim.training.optimizers import make_optimizer
from snnsim.training.trainer import Trainer

STEPS = 6
CLASSES = 4


def cues(seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return recordings [T, B, 14] whose class shows in the first step only; after it there is noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(96) % CLASSES
    x = np.zeros((STEPS, y.size, 3 * CLASSES + 2), np.float32)
    for b, label in enumerate(y):
        x[0, b, 3 * label : 3 * label + 3] = [1, *(rng.random(2) < 0.8)]
    x[1:, :, -2:] = rng.random((STEPS - 1, y.size, 2)) < 0.3
    return x, y


def trained(neuron: dict[str, Any]) -> tuple[list[float], float, Network]:
    """Train for 60 full batches; return the losses, the accuracy on other recordings, and the network."""
    # The readout sees the last step alone, and nothing but recurrent weights carries the cue there.
    layers = [{"dense": 32}, neuron, {"dense": CLASSES}, {"li": {"beta": 0.0, "readout": "last"}}]
    network = Network.from_config(layers, input_shape=(3 * CLASSES + 2,), seed=1)
    optimizer = make_optimizer(OptimizerChoice.of({"adam": 0.02}), network.parameters)
    x, y = cues(0)
    losses = []
    for _ in range(60):
        loss, gradients = network.loss_and_gradients(x, y)
        losses.append(loss)
        optimizer.step(gradients, optimizer.lr)
        network.clip_parameters()
    x, y = cues(9)
    return losses, float((network.run(x).predictions == y).mean()), network


@pytest.mark.parametrize(
    "neuron",
    [
        {"lif": {"beta": 0.0, "threshold": 0.5}},
        {"cuba_lif": {"alpha": 0.0, "beta": 0.0, "threshold": 0.5}},
        {"alif": {"beta": 0.0, "rho": 0.0, "threshold": 0.5}},
        {"lif": {"beta": 0.0, "threshold": 0.5, "learn_beta": True, "learn_threshold": True}},
    ],
    ids=str,
)
def test_a_recurrent_network_remembers(neuron: dict[str, Any]) -> None:
    """A cue in the first step is known five steps later, the same way every time."""
    ((kind, options),) = neuron.items()
    recurrent = {kind: options | {"recurrent": True}}
    losses, accuracy, network = trained(recurrent)
    assert losses[-1] < 0.05 * losses[0]
    assert accuracy > 0.9
    again = trained(recurrent)
    assert again[0] == losses
    for name, array in network.parameters.items():
        np.testing.assert_array_equal(again[2].parameters[name], array)


def test_without_recurrent_weights_the_cue_is_lost() -> None:
    """The task above cannot be solved by neurons that forget: it is the recurrent weights that remember."""
    losses, accuracy, _ = trained({"lif": {"beta": 0.0, "threshold": 0.5}})
    assert losses[-1] > 0.8 * losses[0]
    assert accuracy < 0.5


def test_training_keeps_learned_values_in_their_ranges(tmp_path: Path) -> None:
    """Far too large a step leaves decays within [0, 1] and thresholds at 1e-3 or more, and training goes on."""
    rng = np.random.default_rng(0)
    part = Samples(rng.random((24, 6)).astype(np.float32), np.arange(24) % 3, np.arange(24))
    dataset = Dataset("own", part, part, part, (6,), 3, 1.0)
    learn = {"learn_beta": True, "learn_threshold": True, "learn_alpha": True, "threshold": [0.2] * 8}
    network = Network.from_config([{"dense": 8}, {"cuba_lif": learn}, {"dense": 3}, "li"], input_shape=(6,))
    before = {name: array.copy() for name, array in network.parameters.items()}
    trainer = Trainer(
        network,
        dataset,
        EncoderChoice.of({"direct": 5}),
        TrainSpec(epochs=3, batch_size=8, optimizer=OptimizerChoice.of({"adam": 0.5})),
        seed=0,
        folder=tmp_path,
        threads=1,
        progress=Silent(),
        on_epoch=lambda rows: None,
    )
    at_a_bound = False
    step = trainer.optimizer.step

    def step_and_look(gradients: Any, lr: float) -> None:
        nonlocal at_a_bound
        for name in ("1.beta", "1.alpha"):
            assert (network.parameters[name] >= 0).all()
            assert (network.parameters[name] <= 1).all()
            at_a_bound |= bool(np.isin(network.parameters[name], [0, 1]).any())
        assert (network.parameters["1.threshold"] >= np.float32(1e-3)).all()
        step(gradients, lr)

    trainer.optimizer.step = step_and_look  # type: ignore[method-assign]
    trainer.train()
    assert at_a_bound
    for name in ("1.beta", "1.alpha", "1.threshold"):
        assert (network.parameters[name] != before[name]).any()
