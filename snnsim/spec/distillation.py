"""What distillation can be told: temperatures, weight, and other ways to compare a student with its teacher."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from snnsim.spec.choices import Choice, Spec, rule
from snnsim.spec.layers import NonNegative, Positive, Unit
from snnsim.spec.training import LossChoice

Scale = Literal["ts^2", "ts*tt", "1"]


class LogitStandardisation(Spec):
    """Logits standardised over the classes before they are compared (Sun et al., CVPR 2024)."""

    temperature: Positive = 2.0
    ddof: Literal[0, 1] = 0
    eps: Positive = 1e-6


class Decoupled(Spec):
    """The target against the rest with weight ``alpha``, the rest among itself with ``beta`` (Zhao et al. 2022)."""

    temperature: Positive = 4.0
    alpha: NonNegative = 1.0
    beta: NonNegative = 8.0


class PerStep(Spec):
    """Labels and teacher for every step's logits; ``alpha`` is the teacher's part."""

    temperature: Positive = 2.0
    alpha: Unit = 0.5
    entropy: NonNegative = Field(
        default=0.0, description="weight of the entropy of each step's answer, to be kept high"
    )


class TemporalSelf(Spec):
    """The student's mean over its correct steps teaches every step; there is no other teacher."""

    temperature: Positive = 2.0


class HeadTail(Spec):
    """Forward divergence where the teacher is sure, backward divergence in its tail."""

    temperature: Positive = 2.0


class MethodChoice(Choice):
    """Another way to compare student and teacher."""

    NOUN: ClassVar[str] = "method"

    logit_standardisation: LogitStandardisation | None = None
    decoupled: Decoupled | None = None
    per_step: PerStep | None = None
    temporal_self: TemporalSelf | None = None
    head_tail: HeadTail | None = None


class Distill(Spec):
    """Loss ``(1 - alpha) * train.loss + alpha * c * KL(softmax(z_t / teacher_temperature) || softmax(z_s / ...))``."""

    teacher_temperature: Positive = 8.0
    student_temperature: Positive = 1.0
    alpha: Unit = 0.9
    scale: Scale = Field(default="ts^2", description="the factor c, from the student's (ts) and the teacher's (tt)")
    method: MethodChoice | None = Field(default=None, description="instead of the divergence with two temperatures")

    @field_validator("scale", mode="before")
    @classmethod
    def _number_or_text(cls, value: object) -> object:
        return "1" if not isinstance(value, bool) and value in (1, 1.0) else value

    @model_validator(mode="after")
    def _of_one_method(self) -> "Distill":
        if self.method is None:
            return self
        unused = {"teacher_temperature", "student_temperature", "scale"}
        if self.method.name == "per_step":
            unused.add("alpha")
        given = sorted(unused & self.model_fields_set)
        if given:
            raise rule(f"method {self.method.name} has options of its own in place of {', '.join(given)}")
        return self


class TaughtLossChoice(LossChoice):
    """A loss with or without a teacher, as `Network.loss_and_gradients` takes it."""

    distill: Distill | None = None
