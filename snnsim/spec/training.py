"""What training can be told: losses, regularisers, optimizers and schedules."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, ValidationInfo, field_validator

from snnsim.spec.choices import Choice, Spec, rule
from snnsim.spec.layers import NonNegative, Positive, Size, Unit

Fraction = Annotated[float, Field(ge=0, lt=1)]


class CrossEntropy(Spec):
    """Softmax cross entropy of the logits; with ``li: {readout: max}`` of the largest membranes over time."""

    label_smoothing: Unit = Field(default=0.0, description="share of the target spread evenly over the classes")


class StepCrossEntropy(Spec):
    """Mean over the steps of the cross entropy of each step's membranes or spikes (TET, Deng et al. 2022)."""

    label_smoothing: Unit = Field(default=0.0, description="as of cross_entropy")


class CountMse(Spec):
    """Mean over outputs of ``(count - rate * T)^2``, rates in spikes per step; for ``readout: count`` or ``rate``."""

    correct: Unit = Field(default=1.0, description="rate of the class's own output")
    incorrect: Unit = Field(default=0.0, description="rate of the other outputs")


class Mse(Spec):
    """Mean over outputs of ``(logit - target)^2``; targets are values (regression), or for a class these two."""

    correct: float = Field(default=1.0, description="target of the class's own output")
    incorrect: float = Field(default=0.0, description="target of the other outputs")


class FirstSpikeCrossEntropy(Spec):
    """Softmax cross entropy of ``-t / tau``, t an output's first spike time; for ``readout: count`` or ``rate``."""

    tau: Positive = Field(default=1.0, description="steps that divide the times")


class LossChoice(Choice):
    """What training minimises."""

    NOUN: ClassVar[str] = "loss"

    cross_entropy: CrossEntropy | None = None
    step_cross_entropy: StepCrossEntropy | None = None
    count_mse: CountMse | None = None
    mse: Mse | None = None
    first_spike_cross_entropy: FirstSpikeCrossEntropy | None = None


class SpikeL1(Spec):
    """``weight`` times the spikes of a sample."""

    weight: NonNegative = Field(description="per spike")


class Synops(Spec):
    """``weight`` times the synaptic operations of a sample beyond ``budget``."""

    weight: NonNegative
    budget: NonNegative = 0.0


class RateUpper(Spec):
    """``weight`` times ``relu(rate - max_rate)^2``, summed over neurons [spikes per step]."""

    weight: NonNegative
    max_rate: Unit = 0.5


class RateLower(Spec):
    """``weight`` times ``relu(min_rate - rate)^2``, summed over neurons; wakes silent layers."""

    weight: NonNegative
    min_rate: Unit = 0.01


class LogitL2(Spec):
    """``weight`` times the squared length of the logits."""

    weight: NonNegative


class RegularizerChoice(Choice):
    """A term added to the loss, per sample."""

    SHORT: ClassVar[Mapping[str, str]] = {
        "spike_l1": "weight",
        "synops": "weight",
        "rate_upper": "weight",
        "rate_lower": "weight",
        "logit_l2": "weight",
    }
    NOUN: ClassVar[str] = "regularizer"

    spike_l1: SpikeL1 | None = None
    synops: Synops | None = None
    rate_upper: RateUpper | None = None
    rate_lower: RateLower | None = None
    logit_l2: LogitL2 | None = None


class Sgd(Spec):
    """Gradient descent with momentum."""

    lr: Positive = Field(default=0.01, description="learning rate")
    momentum: Fraction = 0.0
    nesterov: bool = False
    weight_decay: NonNegative = 0.0

    @field_validator("nesterov")
    @classmethod
    def _needs_momentum(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("momentum") == 0:
            raise rule("needs momentum > 0")
        return value


class Adam(Spec):
    """Adam (Kingma & Ba, 2015); ``weight_decay`` is added to the gradient."""

    lr: Positive = Field(default=0.001, description="learning rate")
    betas: list[Fraction] = Field(default=[0.9, 0.999], min_length=2, max_length=2)
    eps: Positive = 1e-8
    weight_decay: NonNegative = 0.0


class AdamW(Adam):
    """Adam with ``weight_decay`` taken off the weights directly (Loshchilov & Hutter, 2019)."""

    weight_decay: NonNegative = 0.01


class OptimizerChoice(Choice):
    """How gradients move the parameters."""

    SHORT: ClassVar[Mapping[str, str]] = {"sgd": "lr", "adam": "lr", "adamw": "lr"}
    NOUN: ClassVar[str] = "optimizer"

    sgd: Sgd | None = None
    adam: Adam | None = None
    adamw: AdamW | None = None


class Segments(Spec):
    """How training goes over time: all steps at once, or in segments of so many steps."""

    recompute_every: Size | None = Field(
        default=None,
        description="keep neurons' states every so many steps only, and run the steps between again on the way back",
    )
    truncate_every: Size | None = Field(
        default=None, description="carry no gradient over multiples of so many steps; recomputes from there too"
    )

    @field_validator("truncate_every")
    @classmethod
    def _same_segments(cls, value: int | None, info: ValidationInfo) -> int | None:
        other = info.data.get("recompute_every")
        if value is not None and other not in (None, value):
            raise rule(f"must be the same as recompute_every, {other}, or give truncate_every alone (got {value})")
        return value

    @property
    def truncate(self) -> bool:
        """Whether the gradient is cut between segments."""
        return self.truncate_every is not None

    def length(self, steps: int) -> int:
        """Return how many steps are in memory at once, of a run of ``steps``."""
        return min(self.truncate_every or self.recompute_every or steps, steps)

    def resident(self, steps: int) -> int:
        """Return of how many steps something is in memory: those of a segment, and the first ones of all segments."""
        length = self.length(steps)
        return min(length + -(-steps // length), steps) if length < steps else steps


class _Warmup(Spec):
    warmup: NonNegative = Field(default=0.0, description="epochs over which the rate rises linearly")


class Constant(_Warmup):
    """The optimizer's rate throughout."""


class Cosine(_Warmup):
    """Falls along half a cosine to ``min_lr``."""

    min_lr: NonNegative = 0.0


class Step(_Warmup):
    """Times ``factor`` after each ``every`` epochs."""

    every: Size = Field(default=10, description="epochs")
    factor: Annotated[float, Field(gt=0, le=1)] = 0.1


class ScheduleChoice(Choice):
    """The learning rate over the steps of a training."""

    SHORT: ClassVar[Mapping[str, str]] = {"cosine": "min_lr", "step": "every"}
    NOUN: ClassVar[str] = "schedule"

    constant: Constant | None = None
    cosine: Cosine | None = None
    step: Step | None = None
