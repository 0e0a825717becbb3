"""What a run can be told: the whole configuration, with every default and range."""

import os
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from snnsim.spec import (
    Distill,
    EncoderChoice,
    LayerChoice,
    LossChoice,
    OptimizerChoice,
    Randman,
    RegularizerChoice,
    ScheduleChoice,
    Segments,
    Spec,
    YinYang,
)
from snnsim.spec.choices import rule
from snnsim.spec.layers import Positive, Size

DatasetName = Literal["digits", "mnist", "fashion-mnist", "nmnist", "shd", "yin-yang", "randman"]
DATASET_NAMES: tuple[str, ...] = get_args(DatasetName)

FilePath = Annotated[str, Field(min_length=1)]
SOURCES = ("name", "npz", "events", "yin-yang", "randman")


class AugmentSpec(Spec):
    """How samples vary from epoch to epoch in training, and in training only."""

    shift: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=0, description="pixels: moved by up to so many along each axis, the same for all steps"
    )


class DataSpec(Spec):
    """What to learn: a data set by name, arrays or recordings of one's own, or a generated set with its options."""

    name: DatasetName | None = Field(default=None, description="a set known by name")
    npz: FilePath | None = Field(
        default=None, validate_default=True, description="file with arrays x [n, ...] and y [n]"
    )
    targets: Literal["classes", "values"] | None = Field(
        default=None,
        validate_default=True,
        description="of npz: what y holds; by default classes, and with the loss mse values where y is of floats",
    )
    events: FilePath | None = Field(
        default=None, validate_default=True, description="file, folder or zip archive of recorded events"
    )
    yin_yang: YinYang | None = Field(
        default=None, validate_default=True, alias="yin-yang", description="the generated set, with options"
    )
    randman: Randman | None = Field(default=None, validate_default=True, description="the generated set, with options")
    sensor: Annotated[list[Size], Field(min_length=1, max_length=2)] | None = Field(
        default=None, validate_default=True, description="of events: [height, width] in pixels, or [units]"
    )
    classes: Annotated[list[FilePath], Field(min_length=1)] | None = Field(
        default=None, validate_default=True, description="of events: names of the folders, in the order of the classes"
    )
    skip_bad: bool = Field(default=False, description="leave damaged recordings out, and count them")
    limit: Size | None = Field(default=None, description="use only this many samples of each set")
    augment: AugmentSpec = Field(default_factory=AugmentSpec, description="of training samples")

    @field_validator("npz", "events", "yin_yang", "randman")
    @classmethod
    def _one_source(cls, value: object, info: ValidationInfo) -> object:
        if value is None:
            return None
        own = str(info.field_name).replace("_", "-")
        for other in SOURCES:
            if info.data.get(other.replace("-", "_")) is not None:
                raise rule(f"give {other} or {own}, not both")
        return os.path.expanduser(value) if isinstance(value, str) else value

    @field_validator("targets")
    @classmethod
    def _of_arrays(cls, value: object, info: ValidationInfo) -> object:
        if value is not None and info.data.get("npz") is None:
            raise rule("goes with npz, arrays of one's own")
        return value

    @field_validator("sensor", "classes")
    @classmethod
    def _of_events(cls, value: object, info: ValidationInfo) -> object:
        if value is not None and info.data.get("events") is None:
            raise rule("goes with events, recordings of one's own")
        return value

    @field_validator("classes")
    @classmethod
    def _distinct(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and len(set(value)) < len(value):
            raise rule("names a class twice")
        return value

    @model_validator(mode="after")
    def _some_source(self) -> "DataSpec":
        if all(getattr(self, source.replace("-", "_")) is None for source in SOURCES):
            raise rule(
                f"needs a name ({', '.join(DATASET_NAMES)}), npz, a file of arrays, or events, a file or folder of "
                "recordings"
            )
        return self

    def resolved(self) -> dict[str, Any]:
        """Plain data; the path of a file is made absolute, so that it holds in every folder."""
        return _absolute(_absolute(super().resolved(), "npz"), "events")


class TrainSpec(Segments):
    """How to learn."""

    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = Field(default=10, description="passes over the training set")
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = Field(default=64, description="samples per update")
    optimizer: OptimizerChoice = Field(
        default_factory=lambda: OptimizerChoice.of("adam"), description="how gradients move the parameters"
    )
    schedule: ScheduleChoice = Field(
        default_factory=lambda: ScheduleChoice.of("cosine"), description="the learning rate over the epochs"
    )
    loss: LossChoice = Field(
        default_factory=lambda: LossChoice.of("cross_entropy"), description="what training minimises"
    )
    regularizers: list[RegularizerChoice] = Field(default_factory=list, description="penalties added to the loss")
    clip_norm: Positive | None = Field(default=None, description="longest gradient, over all parameters")
    keep: Literal["last", "best"] = Field(default="last", description="which epoch's weights; best by validation")
    init: FilePath | None = Field(default=None, description="run folder or model to take the first weights from")

    def resolved(self) -> dict[str, Any]:
        """Plain data; see `DataSpec.resolved`."""
        return _absolute(super().resolved(), "init")


class TeacherSpec(Spec):
    """Who teaches: a network to be trained first, a finished run, or logits in a file."""

    network: Annotated[list[LayerChoice], Field(min_length=1)] | None = Field(
        default=None, description="layers, to be trained first"
    )
    encoder: EncoderChoice | None = Field(
        default=None, description="of a network; by default the student's, and an ANN sees the data as they are"
    )
    train: TrainSpec = Field(default_factory=TrainSpec, description="of a network")
    run: FilePath | None = Field(default=None, description="run folder or model file")
    logits: FilePath | None = Field(
        default=None, description=".npy file of logits [rows, outputs], a row for every row of the training set's file"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> "TeacherSpec":
        given = [kind for kind in ("network", "run", "logits") if getattr(self, kind) is not None]
        if len(given) != 1:
            raise rule(f"give one of network, run and logits (got {' and '.join(given) or 'none'})")
        if self.network is None and self.model_fields_set & {"encoder", "train"}:
            raise rule("encoder and train go with network, a teacher that is still to be trained")
        return self

    def resolved(self) -> dict[str, Any]:
        """Plain data; paths are made absolute, and only a network is trained."""
        data = _absolute(_absolute(super().resolved(), "run"), "logits")
        return data if self.network is not None else {key: data[key] for key in data if key != "train"}


class EnergySpec(Spec):
    """What an operation costs."""

    profile: FilePath = Field(default="horowitz-45nm-fp32", description="a profile's name, or a file")

    def resolved(self) -> dict[str, Any]:
        """Plain data; the path of a file is made absolute, a name stays."""
        data = super().resolved()
        is_name = os.path.basename(self.profile) == self.profile and not self.profile.endswith((".yaml", ".yml"))
        return data if is_name else _absolute(data, "profile")


class Config(Spec):
    """Configuration of one run of snnsim."""

    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = Field(
        default=0, description="fixes initial weights, the order of samples and every random stream"
    )
    data: DataSpec = Field(description="what to learn")
    encoder: EncoderChoice = Field(
        default_factory=lambda: EncoderChoice.of("direct"), description="how data become events or currents over time"
    )
    network: list[LayerChoice] = Field(min_length=1, description="the layers, in order")
    train: TrainSpec = Field(default_factory=TrainSpec, description="how to learn")
    teacher: TeacherSpec | None = Field(default=None, description="who teaches, in a distillation")
    distill: Distill | None = Field(
        default=None, validate_default=True, description="how the student learns from the teacher"
    )
    energy: EnergySpec = Field(default_factory=EnergySpec, description="what an operation costs")

    @field_validator("distill")
    @classmethod
    def _with_teacher(cls, value: Distill | None, info: ValidationInfo) -> Distill | None:
        if "teacher" not in info.data:
            return value  # its own fault is reported
        taught = info.data["teacher"] is not None
        if value is None and taught:
            raise rule("must say how to learn from the teacher, for example {teacher_temperature: 8}")
        if value is not None and value.needs_teacher and not taught:
            raise rule("needs a teacher: a network to train, a run, or logits")
        if value is not None and value.features is not None and info.data["teacher"].logits is not None:
            raise rule(
                "method features needs a teacher that can be run: give teacher.run or teacher.network in place of "
                "teacher.logits"
            )
        if value is not None and not value.needs_teacher and taught:
            raise rule(f"method {value.method.name if value.method else ''} learns from no teacher: leave teacher out")
        return value

    def of_teacher(self) -> "Config":
        """Return the configuration by which the teacher's network is trained."""
        teacher = self.teacher
        assert teacher is not None
        assert teacher.network is not None
        spikes = any(layer.has_state for layer in teacher.network)
        as_they_are = EncoderChoice.of({"direct": {"num_steps": 1}})
        seen = self.encoder if spikes or self.encoder.events is not None else as_they_are
        changed = {"network": teacher.network, "train": teacher.train, "encoder": teacher.encoder or seen}
        return self.model_copy(update=changed | {"teacher": None, "distill": None})

    @property
    def targets(self) -> Literal["classes", "values"] | None:
        """What the y of own arrays holds; None: values where it is of floats."""
        return self.data.targets or (None if self.train.loss.mse is not None else "classes")


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a configuration, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


def _absolute(data: dict[str, Any], key: str) -> dict[str, Any]:
    return {**data, key: os.path.abspath(data[key])} if key in data else data
