"""Losses: per-sample terms and their gradients with respect to the logits.

Shapes: logits ``z`` [M, K], step logits ``Z`` [M, T, K], labels ``y`` [M]. A term is not yet divided by the batch
size; arithmetic is float64, since these arrays are small.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from snnsim.spec import CountMse, CrossEntropy, LossChoice, StepCrossEntropy

Float64Array = NDArray[np.float64]
Labels = NDArray[np.int64]


class Loss(Protocol):
    """A loss as the network calls it; ``per_step`` says whether it takes step logits instead of logits."""

    per_step: bool
    needs_counts: bool

    def __call__(self, z: Float64Array, labels: Labels, steps: int) -> tuple[Float64Array, Float64Array]:
        """Return the samples' terms [M] and the gradient of each, in the shape of ``z``."""


def log_softmax(z: Float64Array) -> Float64Array:
    """Return the logarithm of the softmax over the last axis."""
    shifted = z - z.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def smoothed_targets(labels: Labels, classes: int, smoothing: float) -> Float64Array:
    """Return ``(1 - eps) * onehot + eps / K`` (Szegedy et al. 2016), float64 [M, K]."""
    targets = np.full((labels.size, classes), smoothing / classes)
    targets[np.arange(labels.size), labels] += 1 - smoothing
    return targets


@dataclass(frozen=True)
class SoftmaxCrossEntropy:
    """Softmax cross entropy with label smoothing, on the logits."""

    label_smoothing: float
    per_step = False
    needs_counts = False

    def __call__(self, z: Float64Array, labels: Labels, steps: int) -> tuple[Float64Array, Float64Array]:
        """Return terms and gradient for logits [M, K]."""
        targets = smoothed_targets(labels, z.shape[-1], self.label_smoothing)
        log_p = log_softmax(z)
        return -(targets * log_p).sum(axis=-1), np.exp(log_p) - targets


@dataclass(frozen=True)
class StepSoftmaxCrossEntropy:
    """Cross entropy averaged over the steps' logits (TET: Deng et al., ICLR 2022, arXiv:2202.11946)."""

    label_smoothing: float
    per_step = True
    needs_counts = False

    def __call__(self, z: Float64Array, labels: Labels, steps: int) -> tuple[Float64Array, Float64Array]:
        """Return terms and gradient for step logits [M, T, K]."""
        targets = smoothed_targets(labels, z.shape[-1], self.label_smoothing)[:, None]
        log_p = log_softmax(z)
        terms = -(targets * log_p).sum(axis=-1).mean(axis=1)
        return terms, (np.exp(log_p) - targets) / z.shape[1]


@dataclass(frozen=True)
class SpikeCountMse:
    """Mean over classes of ``(count - rate * T)^2``, with a target rate for the correct and the other classes."""

    correct: float
    incorrect: float
    per_step = False
    needs_counts = True

    def __call__(self, z: Float64Array, labels: Labels, steps: int) -> tuple[Float64Array, Float64Array]:
        """Return terms and gradient for spike counts [M, K]."""
        targets = np.full(z.shape, self.incorrect * steps)
        targets[np.arange(labels.size), labels] = self.correct * steps
        error = z - targets
        return (error**2).mean(axis=-1), 2 * error / z.shape[-1]


def make_loss(choice: LossChoice) -> Loss:
    """Return the loss of a spec."""
    options = choice.options
    if isinstance(options, StepCrossEntropy):
        return StepSoftmaxCrossEntropy(options.label_smoothing)
    if isinstance(options, CountMse):
        return SpikeCountMse(options.correct, options.incorrect)
    assert isinstance(options, CrossEntropy)
    return SoftmaxCrossEntropy(options.label_smoothing)
