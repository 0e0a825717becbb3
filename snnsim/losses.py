"""Losses: per-sample terms and their gradients with respect to the logits.

Shapes: logits ``z`` [M, K], step logits ``Z`` [M, T, K]; targets are classes, integers [M], or values, floats [M, K].
A term is not yet divided by the batch size; arithmetic is float64, since these arrays are small.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnsim.errors import InputError
from snnsim.spec import CountMse, CrossEntropy, FirstSpikeCrossEntropy, LossChoice, Mse, StepCrossEntropy

Float64Array = NDArray[np.float64]
FloatArray = NDArray[np.float32]
Labels = NDArray[np.int64]
Targets = Labels | FloatArray | Float64Array


class Loss(ABC):
    """A loss as the network calls it.

    Attributes
    ----------
    name
        As in the network language.
    per_step
        Whether it takes step logits instead of logits.
    needs_spikes
        Whether the last layer must fire.
    needs_counts
        Whether its logits are spike counts, also where the readout is a rate.
    takes_values
        Whether targets may be values, floats [M, K], instead of classes.
    """

    name: ClassVar[str]
    per_step: bool = False
    needs_spikes: bool = False
    needs_counts: bool = False
    takes_values: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, z: Float64Array, targets: Targets, steps: int) -> tuple[Float64Array, Float64Array]:
        """Return the samples' terms [M] and the gradient of each, in the shape of ``z``."""

    def for_samples(self, part: slice) -> "Loss":
        """Return the loss of some of a batch's samples: itself, unless it knows more of them than their targets."""
        return self

    def answers(self, logits: FloatArray, step_logits: FloatArray | None) -> Labels:
        """Return the class that a network trained by this loss names, int64 [M]: that of the largest logit.

        Parameters
        ----------
        logits
            [M, K].
        step_logits
            [M, T, K]; needed where the loss is ``per_step``.
        """
        return np.asarray(logits.argmax(axis=-1), np.int64)


def log_softmax(z: Float64Array) -> Float64Array:
    """Return the logarithm of the softmax over the last axis."""
    shifted = z - z.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def smoothed_targets(labels: Targets, classes: int, smoothing: float) -> Float64Array:
    """Return ``(1 - eps) * onehot + eps / K`` (Szegedy et al. 2016), float64 [M, K]."""
    targets = np.full((labels.size, classes), smoothing / classes)
    targets[np.arange(labels.size), labels] += 1 - smoothing
    return targets


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Loss):
    """Softmax cross entropy with label smoothing, on the logits.

    With leaky integrators of ``readout: max`` it is the cross entropy of their largest membranes over time.
    """

    label_smoothing: float
    name = "cross_entropy"

    def __call__(self, z: Float64Array, targets: Targets, steps: int) -> tuple[Float64Array, Float64Array]:
        """Return terms and gradient for logits [M, K]."""
        # In as few calls as there can be: what each takes is more than its arithmetic.
        eps, rows = self.label_smoothing, np.arange(targets.size)
        shifted = z - z.max(axis=-1, keepdims=True)
        gradient = np.exp(shifted)
        total = gradient.sum(axis=-1)
        terms = np.log(total) - (1 - eps) * shifted[rows, targets]
        gradient /= total[:, None]
        gradient[rows, targets] -= 1 - eps
        if eps:
            terms -= eps * shifted.mean(axis=-1)
            gradient -= eps / z.shape[-1]
        return terms, gradient


@dataclass(frozen=True)
class StepSoftmaxCrossEntropy(Loss):
    """Cross entropy averaged over the steps' logits (TET: Deng et al., ICLR 2022, arXiv:2202.11946)."""

    label_smoothing: float
    name = "step_cross_entropy"
    per_step = True

    def __call__(self, z: Float64Array, targets: Targets, steps: int) -> tuple[Float64Array, Float64Array]:
        """Return terms and gradient for step logits [M, T, K]."""
        wanted = smoothed_targets(targets, z.shape[-1], self.label_smoothing)[:, None]
        log_p = log_softmax(z)
        terms = -(wanted * log_p).sum(axis=-1).mean(axis=1)
        return terms, (np.exp(log_p) - wanted) / z.shape[1]


@dataclass(frozen=True)
class SpikeCountMse(Loss):
    """Mean over classes of ``(count - rate * T)^2``, with a target rate for the correct and the other classes."""

    correct: float
    incorrect: float
    name = "count_mse"
    needs_spikes = True
    needs_counts = True

    def __call__(self, z: Float64Array, targets: Targets, steps: int) -> tuple[Float64Array, Float64Array]:
        """Return terms and gradient for spike counts [M, K]."""
        wanted = _of_classes(targets, z.shape[-1], self.correct * steps, self.incorrect * steps)
        return _squared(z - wanted)


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """Mean over outputs of ``(z - y)^2``: y are the targets, or ``correct`` and ``incorrect`` for a class."""

    correct: float
    incorrect: float
    name = "mse"
    takes_values = True

    def __call__(self, z: Float64Array, targets: Targets, steps: int) -> tuple[Float64Array, Float64Array]:
        """Return terms and gradient for logits [M, K]."""
        if targets.dtype.kind == "f":
            return _squared(z - targets)
        return _squared(z - _of_classes(targets, z.shape[-1], self.correct, self.incorrect))


def _of_classes(labels: Targets, classes: int, correct: float, incorrect: float) -> Float64Array:
    wanted = np.full((labels.size, classes), incorrect)
    wanted[np.arange(labels.size), labels] = correct
    return wanted


def _squared(error: Float64Array) -> tuple[Float64Array, Float64Array]:
    return (error**2).mean(axis=-1), 2 * error / error.shape[-1]


@dataclass(frozen=True)
class FirstSpikeSoftmaxCrossEntropy(Loss):
    """Softmax cross entropy of the first spike times, on the logits ``-t_k / tau``.

    The first spike time of output neuron k is the number of steps before its first spike, T if it never fires::

        t_k = sum over t of prod over t' <= t of (1 - s_k[t'])

    This is linear in each ``s_k[t]``, and its gradient is the exact derivative of that expression::

        dt_k / ds_k[j] = - (prod over t' < j of (1 - s_k[t'])) * sum over t >= j of prod over j < t' <= t of (...)

    A spike at step j before the first one would bring the time forward to j; taking the first spike away would put
    it off to the second; later spikes change nothing.

    The loss on first spike times is that of Mostafa (2017), arXiv:1606.08165, who differentiates the times of neurons
    that fire at most once in continuous time; the product over the steps survived, and with it the use of surrogate
    gradients, is this package's own.
    """

    tau: float
    name = "first_spike_cross_entropy"
    per_step = True
    needs_spikes = True

    def __call__(self, z: Float64Array, targets: Targets, steps: int) -> tuple[Float64Array, Float64Array]:
        """Return terms and gradient for spikes [M, T, K]."""
        times, slopes = first_spike_times(z)
        wanted = smoothed_targets(targets, z.shape[-1], 0.0)
        log_p = log_softmax(-times / self.tau)
        of_times = (wanted - np.exp(log_p)) / self.tau
        return -(wanted * log_p).sum(axis=-1), of_times[:, None] * slopes

    def answers(self, logits: FloatArray, step_logits: FloatArray | None) -> Labels:
        """Return the class that fires first, int64 [M]; of equally early ones that with more spikes, then the first."""
        assert step_logits is not None
        steps = step_logits.shape[1]
        fires = step_logits > 0
        first = np.where(fires.any(axis=1), fires.argmax(axis=1), steps)
        # A count is at most T, so it decides between equal times alone.
        return np.asarray((fires.sum(axis=1) - first * (steps + 1)).argmax(axis=-1), np.int64)


def first_spike_times(spikes: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return first spike times [M, K] of spikes [M, T, K], and their derivatives [M, T, K]; see the loss on them."""
    silent = 1 - spikes
    survived = np.cumprod(silent, axis=1)
    before = np.ones_like(spikes)
    before[:, 1:] = survived[:, :-1]
    after = np.ones_like(spikes)  # sum over t >= j of the products over j < t' <= t
    for j in reversed(range(spikes.shape[1] - 1)):
        after[:, j] += silent[:, j + 1] * after[:, j + 1]
    return survived.sum(axis=1), -before * after


def make_loss(choice: LossChoice) -> Loss:
    """Return the loss of a spec."""
    options = choice.options
    if isinstance(options, StepCrossEntropy):
        return StepSoftmaxCrossEntropy(options.label_smoothing)
    if isinstance(options, CountMse):
        return SpikeCountMse(options.correct, options.incorrect)
    if isinstance(options, Mse):
        return MeanSquaredError(options.correct, options.incorrect)
    if isinstance(options, FirstSpikeCrossEntropy):
        return FirstSpikeSoftmaxCrossEntropy(options.tau)
    assert isinstance(options, CrossEntropy)
    return SoftmaxCrossEntropy(options.label_smoothing)


def checked_targets(given: ArrayLike, batch: int, outputs: int, loss: Loss) -> Targets:
    """Check the targets of a batch: classes, or values where the loss takes them.

    Raises
    ------
    InputError
        Wrong shape or type, a class that is no output, or a value that is not finite.
    """
    y = np.asarray(given)
    if y.dtype.kind == "f" and loss.takes_values:
        if y.shape != (batch, outputs) and not (outputs == 1 and y.shape == (batch,)):
            raise InputError(f"labels: values must have shape [{batch}, {outputs}] (got {list(y.shape)})")
        with np.errstate(over="ignore"):
            if not np.isfinite(y.astype(np.float32)).all():
                raise InputError("labels: values must be finite 32-bit numbers")
        return y.reshape(batch, outputs).astype(np.float64)
    if y.shape != (batch,) or y.dtype.kind not in "iu":
        hint = "; values, floats [B, K], need the loss mse" if y.dtype.kind == "f" else ""
        raise InputError(f"labels: must be {batch} integers (got shape {list(y.shape)}, {y.dtype}){hint}")
    if y.size and not 0 <= y.min() <= y.max() < outputs:
        raise InputError(f"labels: must lie in 0 to {outputs - 1} (got {y.min()} to {y.max()})")
    return y.astype(np.int64)
