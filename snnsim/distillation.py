"""Knowledge distillation: what a student's logits lose against a teacher's, with gradients.

Methods take float64 student logits ``z`` [M, K] (or step logits ``Z`` [M, T, K]), teacher logits [M, K] and classes
[M]; they return the samples' terms [M], not yet divided by the batch size, with their gradient in the shape of ``z``.
A teacher never gets a gradient.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnsim import spec
from snnsim.errors import InputError
from snnsim.losses import (
    Float64Array,
    FloatArray,
    Labels,
    Loss,
    SoftmaxCrossEntropy,
    StepSoftmaxCrossEntropy,
    Targets,
    log_softmax,
    make_loss,
    smoothed_targets,
)

Terms = tuple[Float64Array, Float64Array]


class Method(ABC):
    """A way to compare a student with its teacher.

    Attributes
    ----------
    per_step
        Whether it takes step logits.
    complete
        Whether it holds the labels' term itself; other methods stand beside an ordinary loss.
    """

    per_step: ClassVar[bool] = False
    complete: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, z: Float64Array, teacher: Float64Array, labels: Labels) -> Terms:
        """Return the samples' terms and the gradient of each with respect to ``z``."""


class Distillation(Loss):
    """``(1 - alpha) * loss of the labels + alpha * method``, or a method that holds both."""

    name = "distill"

    def __init__(
        self, of_labels: Loss, method: Method, alpha: float, *, needs_teacher: bool, teacher: FloatArray | None = None
    ) -> None:
        self.of_labels = of_labels
        self.method = method
        self.alpha = alpha
        self.needs_teacher = needs_teacher
        self.teacher = teacher
        self.per_step = method.per_step
        self.needs_spikes = of_labels.needs_spikes
        self.needs_counts = of_labels.needs_counts

    def taught(self, teacher: FloatArray | None) -> "Distillation":
        """Return this loss for a batch, of which the teacher's logits are ``teacher`` [B, K]."""
        return Distillation(self.of_labels, self.method, self.alpha, needs_teacher=self.needs_teacher, teacher=teacher)

    def for_samples(self, part: slice) -> "Distillation":
        """Return this loss for some of the batch's samples."""
        return self if self.teacher is None else self.taught(self.teacher[part])

    def __call__(self, z: Float64Array, targets: Targets, steps: int) -> Terms:
        """Return terms and gradient of the samples whose teacher's logits this loss holds."""
        assert self.teacher is not None or not self.needs_teacher or self.alpha == 0
        theirs = np.zeros((z.shape[0], z.shape[-1])) if self.teacher is None else self.teacher.astype(np.float64)
        terms, gradient = self.method(z, theirs, np.asarray(targets, np.int64))
        if self.method.complete:
            return terms, gradient
        own_terms, own_gradient = self.of_labels(z, targets, steps)
        rest = 1 - self.alpha
        return rest * own_terms + self.alpha * terms, rest * own_gradient + self.alpha * gradient


def taught_loss(choice: spec.TaughtLossChoice) -> Loss:
    """Return a loss that may have a teacher; the labels' term beside it is cross entropy."""
    options = choice.options
    if isinstance(options, spec.Distill):
        return make_distillation(options, SoftmaxCrossEntropy(0.0))
    return make_loss(choice)


def make_distillation(options: spec.Distill, of_labels: Loss) -> Distillation:
    """Return the loss of a ``distill`` map beside that of the labels.

    A method on step logits compares every step, and so does the labels' term beside it.

    Raises
    ------
    InputError
        A loss of the labels that does not go with it.
    """
    method = _method(options)
    if not isinstance(of_labels, SoftmaxCrossEntropy | StepSoftmaxCrossEntropy):
        raise InputError(f"goes with cross_entropy or step_cross_entropy (got {of_labels.name})", ("train", "loss"))
    smoothing = of_labels.label_smoothing
    if method.per_step:
        of_labels = StepSoftmaxCrossEntropy(smoothing)
    elif of_labels.per_step:
        raise InputError("compares each step, but distillation the logits: take cross_entropy", ("train", "loss"))
    return Distillation(of_labels, method, options.alpha, needs_teacher=options.needs_teacher)


def _method(options: spec.Distill) -> Method:
    if options.method is None or options.features is not None:
        return HeterogeneousTemperatures(options.teacher_temperature, options.student_temperature, options.scale)
    chosen = options.method.options
    if isinstance(chosen, spec.LogitStandardisation):
        return LogitStandardisation(chosen.temperature, chosen.ddof, chosen.eps)
    if isinstance(chosen, spec.Decoupled):
        return Decoupled(chosen.temperature, chosen.alpha, chosen.beta)
    if isinstance(chosen, spec.PerStep):
        return PerStep(chosen.temperature, chosen.alpha, chosen.entropy)
    if isinstance(chosen, spec.TemporalSelf):
        return TemporalSelf(chosen.temperature)
    assert isinstance(chosen, spec.HeadTail)
    return HeadTail(chosen.temperature)


def checked_teacher(given: ArrayLike | None, batch: int, outputs: int, loss: Loss) -> FloatArray | None:
    """Check a teacher's logits for a batch, [B, K]; where they have no weight they may be missing.

    Raises
    ------
    InputError
        Missing, not asked for, of another shape, or not finite.
    """
    if not isinstance(loss, Distillation) or not loss.needs_teacher:
        if given is not None:
            raise InputError("teacher_logits: this loss takes none")
        return None
    if given is None and loss.alpha == 0:
        return None
    if given is None:
        raise InputError(f"teacher_logits: distillation needs the teacher's logits, [{batch}, {outputs}]")
    logits = np.asarray(given)
    if logits.shape != (batch, outputs) or logits.dtype.kind not in "iuf":
        raise InputError(
            f"teacher_logits: must be numbers of shape [{batch}, {outputs}] (got {list(logits.shape)}, {logits.dtype})"
        )
    with np.errstate(over="ignore"):
        result: FloatArray = logits.astype(np.float32)
    if not np.isfinite(result).all():
        raise InputError("teacher_logits: holds NaN, infinite values, or values too large for float32")
    return result


def softened_divergence(
    z: Float64Array, teacher: Float64Array, student_temperature: float, teacher_temperature: float
) -> Terms:
    """Return ``KL(softmax(teacher / tau_t) || softmax(z / tau_s))`` over the last axis, and its gradient."""
    log_p = log_softmax(teacher / teacher_temperature)
    log_q = log_softmax(z / student_temperature)
    p = np.exp(log_p)
    return (p * (log_p - log_q)).sum(axis=-1), (np.exp(log_q) - p) / student_temperature


@dataclass(frozen=True)
class HeterogeneousTemperatures(Method):
    """``c * KL(softmax(z_t / tau_t) || softmax(z_s / tau_s))``, with a temperature for each of the two networks.

    Equal temperatures with ``c = tau^2`` are conventional distillation (Hinton et al. 2015, arXiv:1503.02531). A
    higher one for the teacher asks the student for smaller logits, ``z_s = (tau_s / tau_t) z_t + const``, which tends
    to mean fewer spikes. The idea is of Lee et al. 2021 (arXiv:2106.07172, withdrawn in 2022); the form is ours.
    """

    teacher_temperature: float
    student_temperature: float
    scale: str

    @property
    def factor(self) -> float:
        """The factor c: ``tau_s^2``, ``tau_s * tau_t``, or 1."""
        tau = self.student_temperature
        return {"ts^2": tau * tau, "ts*tt": tau * self.teacher_temperature, "1": 1.0}[self.scale]

    def __call__(self, z: Float64Array, teacher: Float64Array, labels: Labels) -> Terms:
        """Return terms and gradient."""
        terms, gradient = softened_divergence(z, teacher, self.student_temperature, self.teacher_temperature)
        return self.factor * terms, self.factor * gradient


@dataclass(frozen=True)
class LogitStandardisation(Method):
    """``tau^2 KL`` of logits that are first standardised over the classes (Sun et al., CVPR 2024, arXiv:2403.01427).

    ``ddof`` and ``eps`` as in ``(z - mean) / (std + eps)``. Logits that are all equal standardise to zero and get no
    gradient through their deviation.
    """

    temperature: float
    ddof: int
    eps: float

    def __call__(self, z: Float64Array, teacher: Float64Array, labels: Labels) -> Terms:
        """Return terms and gradient."""
        tau = self.temperature
        own, deviation = self._standardised(z)
        theirs, _ = self._standardised(teacher)
        terms, slope = softened_divergence(own, theirs, tau, tau)
        width = deviation + self.eps
        centred = z - z.mean(axis=-1, keepdims=True)
        moment = (slope * centred).sum(axis=-1, keepdims=True)
        # A deviation of zero means that all of `centred` is zero: there is nothing to divide.
        below = (z.shape[-1] - self.ddof) * width**2 * np.where(deviation > 0, deviation, 1)
        gradient = (slope - slope.mean(axis=-1, keepdims=True)) / width - centred * moment / below
        return tau * tau * terms, tau * tau * gradient

    def _standardised(self, z: Float64Array) -> tuple[Float64Array, Float64Array]:
        deviation = z.std(axis=-1, ddof=self.ddof, keepdims=True)
        return (z - z.mean(axis=-1, keepdims=True)) / (deviation + self.eps), deviation


@dataclass(frozen=True)
class Decoupled(Method):
    """``tau^2 (alpha TCKD + beta NCKD)``: target against rest, and the rest among itself (Zhao et al., CVPR 2022)."""

    temperature: float
    alpha: float
    beta: float

    def __call__(self, z: Float64Array, teacher: Float64Array, labels: Labels) -> Terms:
        """Return terms and gradient."""
        tau = self.temperature
        odds, log_q = _split(z / tau, labels)
        their_odds, log_p = _split(teacher / tau, labels)
        target, p = _sigmoid(their_odds), np.exp(log_p)
        binary = target * (_log_sigmoid(their_odds) - _log_sigmoid(odds))
        binary += _sigmoid(-their_odds) * (_log_sigmoid(-their_odds) - _log_sigmoid(-odds))
        gap = np.subtract(log_p, log_q, where=np.isfinite(log_p), out=np.zeros_like(log_p))
        rest = (p * gap).sum(axis=-1)
        q = np.exp(log_q)
        slope = (_sigmoid(odds) - target)[:, None]
        gradient = self.alpha * slope * -q + self.beta * (q - p)
        gradient[np.arange(labels.size), labels] = self.alpha * slope[:, 0]
        return tau * tau * (self.alpha * binary + self.beta * rest), tau * gradient


def _split(z: Float64Array, labels: Labels) -> tuple[Float64Array, Float64Array]:
    """Return the log-odds of the target, and the log-softmax of the other classes (-inf for the target)."""
    rows = np.arange(labels.size)
    others = z.copy()
    others[rows, labels] = -np.inf
    highest = others.max(axis=-1, keepdims=True)
    total = highest[:, 0] + np.log(np.exp(others - highest).sum(axis=-1))
    return z[rows, labels] - total, np.asarray(others - total[:, None])


def _sigmoid(x: Float64Array) -> Float64Array:
    return np.asarray(np.exp(_log_sigmoid(x)))


def _log_sigmoid(x: Float64Array) -> Float64Array:
    return np.asarray(-np.logaddexp(0, -x))


@dataclass(frozen=True)
class PerStep(Method):
    """Mean over the steps of ``(1 - alpha) CE(Z[t], y) + alpha KL_tau(teacher, Z[t]) - entropy H(softmax(Z[t]))``.

    Each step's logits learn from labels and teacher (arXiv:2501.15925); the entropy term keeps the student from being
    too sure (arXiv:2503.03144).
    """

    temperature: float
    alpha: float
    entropy: float
    per_step = True
    complete = True

    def __call__(self, z: Float64Array, teacher: Float64Array, labels: Labels) -> Terms:
        """Return terms and gradient for step logits [M, T, K]."""
        tau = self.temperature
        log_q = log_softmax(z)
        q = np.exp(log_q)
        targets = smoothed_targets(labels, z.shape[-1], 0)[:, None]
        kl, slope = softened_divergence(z, teacher[:, None], tau, tau)
        negative_entropy = (q * log_q).sum(axis=-1)
        terms = (1 - self.alpha) * -(targets * log_q).sum(axis=-1) + self.alpha * tau * tau * kl
        gradient = (1 - self.alpha) * (q - targets) + self.alpha * tau * tau * slope
        terms = terms + self.entropy * negative_entropy
        gradient = gradient + self.entropy * q * (log_q - negative_entropy[..., None])
        return terms.mean(axis=1), gradient / z.shape[1]


@dataclass(frozen=True)
class TemporalSelf(Method):
    """Mean over the steps of ``KL_tau(target, Z[t])``: the student's own mean over its correct steps is the teacher.

    The target has no gradient; a sample without a correct step has no term (arXiv:2501.15925).
    """

    temperature: float
    per_step = True

    def __call__(self, z: Float64Array, teacher: Float64Array, labels: Labels) -> Terms:
        """Return terms and gradient for step logits [M, T, K]; ``teacher`` is not looked at."""
        tau = self.temperature
        correct = z.argmax(axis=-1) == labels[:, None]
        steps = correct.sum(axis=1)
        target = (z * correct[..., None]).sum(axis=1) / np.maximum(steps, 1)[:, None]
        terms, gradient = softened_divergence(z, target[:, None], tau, tau)
        counted = (steps > 0) * tau * tau / z.shape[1]
        return terms.sum(axis=1) * counted, gradient * counted[:, None, None]


@dataclass(frozen=True)
class HeadTail(Method):
    """``tau^2 (w_h KL(p || q) + w_t KL(q || p))``: forward where the teacher is sure, backward for its tail.

    The head are the teacher's likeliest classes up to a cumulative probability of 0.5, at least one. The weights are
    the parts of ``sum |p - q|`` in head and tail, without a gradient; where p equals q both are zero
    (arXiv:2504.20445).
    """

    temperature: float

    def __call__(self, z: Float64Array, teacher: Float64Array, labels: Labels) -> Terms:
        """Return terms and gradient."""
        tau = self.temperature
        log_p, log_q = log_softmax(teacher / tau), log_softmax(z / tau)
        p, q = np.exp(log_p), np.exp(log_q)
        head = _head(p)
        gap = np.abs(p - q)
        of_head, of_tail = (gap * head).sum(axis=-1), (gap * ~head).sum(axis=-1)
        whole = of_head + of_tail
        weight_head, weight_tail = (g / np.where(whole > 0, whole, 1) for g in (of_head, of_tail))
        forward = (p * (log_p - log_q)).sum(axis=-1)
        backward = (q * (log_q - log_p)).sum(axis=-1)
        slope = weight_head[:, None] * (q - p) + weight_tail[:, None] * q * (log_q - log_p - backward[:, None])
        return tau * tau * (weight_head * forward + weight_tail * backward), tau * slope


def _head(p: Float64Array) -> NDArray[np.bool_]:
    order = np.argsort(-p, axis=-1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=-1)
    inside = np.cumsum(ranked, axis=-1) <= 0.5
    inside[:, 0] = True
    head = np.zeros(p.shape, bool)
    np.put_along_axis(head, order, inside, axis=-1)
    return head
