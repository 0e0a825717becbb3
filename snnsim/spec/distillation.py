"""What distillation can be told: temperatures, weight, and other ways to compare a student with its teacher."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

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
    """Labels and teacher for every step's logits (arXiv:2501.15925, arXiv:2503.03144)."""

    temperature: Positive = 2.0
    alpha: Unit = Field(default=0.5, description="the teacher's part")
    entropy: NonNegative = Field(
        default=0.0, description="weight of the entropy of each step's answer, to be kept high"
    )


class TemporalSelf(Spec):
    """The student's mean over its correct steps teaches every step; no other teacher (arXiv:2501.15925)."""

    temperature: Positive = 2.0


class HeadTail(Spec):
    """Forward divergence where the teacher is sure, backward in its tail (arXiv:2504.20445)."""

    temperature: Positive = 2.0


class FeaturePair(Spec):
    """A hidden firing layer of the student, and the layer of the teacher that it learns from."""

    student: Annotated[int, Field(ge=0, description="index in the student's network")]
    teacher: Annotated[int, Field(ge=0, description="index in the teacher's network, of a relu or firing layer")]


class Features(Spec):
    """Spikes averaged over time against a teacher's features; stands beside the divergence (arXiv:2304.05627)."""

    layers: Annotated[list[FeaturePair], Field(min_length=1, description="[{student: 1, teacher: 1}]")]
    weight: NonNegative = Field(default=1.0, description="of the squared differences")


class MethodChoice(Choice):
    """Another way to compare student and teacher."""

    SHORT: ClassVar[Mapping[str, str]] = {"features": "layers"}
    NOUN: ClassVar[str] = "method"

    logit_standardisation: LogitStandardisation | None = None
    decoupled: Decoupled | None = None
    per_step: PerStep | None = None
    temporal_self: TemporalSelf | None = None
    head_tail: HeadTail | None = None
    features: Features | None = None


class Distill(Spec):
    """Loss ``(1 - alpha) * train.loss + alpha * c * KL(softmax(z_t / teacher_temperature) || softmax(z_s / ...))``."""

    teacher_temperature: Positive = Field(default=8.0, description="divides the teacher's logits, tt")
    student_temperature: Positive = Field(default=1.0, description="divides the student's logits, ts")
    alpha: Unit = Field(default=0.9, description="the teacher's part of the loss")
    scale: Scale = Field(default="ts^2", description="the factor c, from the student's (ts) and the teacher's (tt)")
    final_teacher_temperature: Positive | None = Field(
        default=None, description="the teacher's temperature of the last epoch; it moves there epoch by epoch, linearly"
    )
    final_student_temperature: Positive | None = Field(default=None, description="likewise the student's")
    method: MethodChoice | None = Field(
        default=None, description="instead of the divergence with two temperatures; features stands beside it"
    )

    @field_validator("scale", mode="before")
    @classmethod
    def _number_or_text(cls, value: object) -> object:
        return "1" if not isinstance(value, bool) and value in (1, 1.0) else value

    @model_validator(mode="after")
    def _of_one_method(self) -> "Distill":
        given = sorted(self._unused & self.model_fields_set)
        if given and self.method is not None:
            raise rule(f"method {self.method.name} has options of its own in place of {', '.join(given)}")
        return self

    @property
    def _unused(self) -> set[str]:
        """Keys that the method does not look at."""
        if self.method is None or self.features is not None:
            return set()
        unused = {"scale", *(f"{when}{who}_temperature" for when in ("", "final_") for who in ("teacher", "student"))}
        return unused | {"alpha"} if self.method.name == "per_step" else unused

    def resolved(self) -> dict[str, Any]:
        """Plain data; keys that the method does not look at are left out, so that it can be read again."""
        return {key: value for key, value in super().resolved().items() if key not in self._unused}

    @property
    def features(self) -> Features | None:
        """Which layers are compared beside the logits, if any."""
        return None if self.method is None else self.method.features

    @property
    def needs_teacher(self) -> bool:
        """Whether the method looks at a teacher's logits."""
        return self.method is None or self.method.name != "temporal_self"

    def at(self, part: float) -> "Distill":
        """Return the options with the temperatures of a part of the way, 0 in the first and 1 in the last epoch."""
        changed: dict[str, object] = {"final_teacher_temperature": None, "final_student_temperature": None}
        for who in ("teacher", "student"):
            first, last = getattr(self, f"{who}_temperature"), getattr(self, f"final_{who}_temperature")
            changed[f"{who}_temperature"] = first if last is None else first + (last - first) * part
        return self.model_copy(update=changed)


class TaughtLossChoice(LossChoice):
    """A loss with or without a teacher, as `Network.loss_and_gradients` takes it."""

    distill: Distill | None = None
