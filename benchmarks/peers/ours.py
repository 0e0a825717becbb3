"""snnsim: the plain row, and the one with a surrogate of compact support, whose backward pass is sparse."""

from typing import Any

import numpy as np
from numba.core.registry import cpu_target
from numpy.typing import NDArray
from workloads import BETA, SLOPE, THRESHOLD, Batch, FloatArray, Workload, cores

from snnsim import Events, Network
from snnsim.encoders import BatchInput, ConstantInput, EventInput
from snnsim.losses import make_loss
from snnsim.regularizers import Penalties
from snnsim.spec import LossChoice, OptimizerChoice
from snnsim.training.optimizers import make_optimizer

Encoded = tuple[BatchInput, NDArray[np.int64]]
SURROGATES = {"snnsim": {"fast_sigmoid": SLOPE}, "snnsim-compact": {"triangle": 0.25}}


def layers(workload: Workload, surrogate: object) -> list[Any]:
    """Return a workload's network in the network language."""
    lif = {"beta": BETA, "threshold": THRESHOLD, "surrogate": surrogate, "recurrent": workload.kind == "recurrent"}
    outs = [weight.shape[0] for weight in workload.weights]
    described: list[Any] = []
    for out in outs[:1] if workload.kind == "recurrent" else outs[:-1]:
        if workload.kind == "conv":
            described += [{"conv2d": {"out": out, "kernel": 5, "bias": False}}, {"lif": lif}, {"avg_pool2d": 2}]
        else:
            described += [{"dense": {"out": out, "bias": False}}, {"lif": lif}]
    return [*described, {"dense": {"out": outs[-1], "bias": False}}, {"li": {"beta": BETA}}]


class Snnsim:
    """snnsim's network, trained as its own trainer does."""

    def __init__(self, surrogate: object, workload: Workload, weights: list[FloatArray]) -> None:
        self._workload, self._weights = workload, weights
        self.network = Network.from_config(layers(workload, surrogate), input_shape=workload.input_shape)
        self._loss, self._penalties, self._threads = make_loss(LossChoice.of("cross_entropy")), Penalties(), cores()
        self.restart()

    def restart(self) -> None:
        """Go back to the initial weights and a new optimizer."""
        for parameter, initial in zip(self.network.parameters.values(), self._weights, strict=True):
            parameter[...] = initial
        self._optimizer = make_optimizer(OptimizerChoice.of("adam"), self.network.parameters, self._threads)

    def encode(self, batch: Batch) -> Encoded:
        """Return constant currents or events as the engine takes them."""
        if isinstance(batch.x, Events):
            return EventInput(batch.x), batch.y
        return ConstantInput(batch.x, self._workload.steps), batch.y

    def train_step(self, batch: Encoded) -> float:
        """Take a step of Adam."""
        step = self.network.train_step(*batch, self._loss, self._penalties, threads=self._threads)
        self._optimizer.step(step.gradients, self._workload.lr)
        return step.loss

    def infer(self, batch: Encoded) -> NDArray[np.int64]:
        """Return the answers; every operation is counted on the way."""
        answers: NDArray[np.int64] = self.network.evaluate_batch(batch[0], threads=self._threads).logits.argmax(axis=1)
        return answers


def build(row: str, workload: Workload, weights: list[FloatArray]) -> Snnsim:
    """Build the network, with Numba's code in memory.

    Numba imports the larger part of itself when the first kernel is loaded, some 58 MB. It is an import like that of
    torch or JAX, which are in memory by now, and not what a step takes.
    """
    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()
    return Snnsim(SURROGATES[row], workload, weights)
