"""How well a network answers, and at what cost, if it is stopped early: everything against the number of steps."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnsim.layers.readout import step_readout
from snnsim.losses import Loss, Targets
from snnsim.network import Network
from snnsim.results import BatchRun

# Of more steps than these, so many are looked at, evenly spread.
MOST_ROWS = 64
COLUMNS = ("steps", "accuracy", "spikes_per_sample", "synops_per_sample")


class ByStep:
    """Watches an evaluation; `rows` are its figures if every sample ended after the first t steps.

    Nothing is run again: what a network does at a step does not depend on later ones. (Latency coding spreads a
    sample over all T steps; of it, t steps are a part and not a faster code.) The last row is the evaluation itself.

    Parameters
    ----------
    network, loss
        What is evaluated, and the loss that says which class is the answer.
    """

    def __init__(self, network: Network, loss: Loss) -> None:
        self._network = network
        self._loss = loss
        self._samples = 0
        self._steps: NDArray[np.int64] = np.zeros(0, np.int64)
        self._scores: NDArray[np.float64] = np.zeros(0)
        self._spikes: NDArray[np.int64] = np.zeros(0, np.int64)
        self._synops: NDArray[np.int64] = np.zeros(0, np.int64)
        self._is_regression = False

    def __call__(self, run: BatchRun, targets: Targets) -> None:
        """Add a batch."""
        assert run.step_logits is not None
        assert run.step_counts is not None
        if not self._samples:
            self._begin(run.steps, targets)
        self._samples += len(targets)
        z = np.ascontiguousarray(np.moveaxis(run.step_logits, 0, 1))
        logits = step_readout(self._network.layers[-1]).logits_by_step(z).copy()
        logits[:, -1] = run.logits  # the same but for the order of a sum
        for row, steps in enumerate(self._steps):
            self._scores[row] += self._score(logits[:, steps - 1], z[:, :steps], targets)
        of_layers = zip(self._network.layers, run.step_counts, strict=True)
        self._spikes += self._reached([counts.active for layer, counts in of_layers if layer.fires], run.steps)
        self._synops += self._reached([counts.synops for counts in run.step_counts], run.steps)

    def _begin(self, steps: int, targets: Targets) -> None:
        self._is_regression = targets.ndim == 2
        self._steps = np.unique(np.linspace(1, steps, min(steps, MOST_ROWS)).round().astype(np.int64))
        self._scores = np.zeros(self._steps.size)
        self._spikes, self._synops = np.zeros((2, self._steps.size), np.int64)

    def _score(self, logits: NDArray[np.float32], z: NDArray[np.float32], targets: Targets) -> float:
        """Return the number of right answers, or of a regression the sum of the samples' losses."""
        if not self._is_regression:
            return float((self._loss.answers(logits, z) == targets).sum())
        steps = z.shape[1]
        given = z if self._loss.per_step else logits
        return float(self._loss(self._network.loss_input(self._loss, given, steps), targets, steps)[0].sum())

    def _reached(self, layers: list[NDArray[np.int64]], steps: int) -> NDArray[np.int64]:
        """Add counters [T, B] up over layers, samples, and the steps so far; int64 [rows]."""
        total = np.zeros(steps, np.int64)
        for counter in layers:
            total += counter.sum(axis=1)
        return np.asarray(np.cumsum(total)[self._steps - 1])

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each number of steps: `COLUMNS`, and of a regression the loss, with no accuracy."""
        rows: list[dict[str, Any]] = []
        for row, steps in enumerate(self._steps):
            score = float(self._scores[row] / self._samples)
            rows.append(
                {
                    "steps": int(steps),
                    "accuracy": None if self._is_regression else score,
                    "spikes_per_sample": float(self._spikes[row] / self._samples),
                    "synops_per_sample": float(self._synops[row] / self._samples),
                }
                | ({"loss": score} if self._is_regression else {})
            )
        return rows
