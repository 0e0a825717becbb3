"""What a run can be told: the whole configuration, with every default and range."""

import os
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from snnsim.spec import (
    EncoderChoice,
    LayerChoice,
    LossChoice,
    OptimizerChoice,
    RegularizerChoice,
    ScheduleChoice,
    Spec,
)
from snnsim.spec.choices import rule
from snnsim.spec.layers import Positive, Size

DatasetName = Literal["digits", "mnist", "fashion-mnist"]
DATASET_NAMES: tuple[str, ...] = get_args(DatasetName)

FilePath = Annotated[str, Field(min_length=1)]


class DataSpec(Spec):
    """What to learn: a data set by name, or arrays of one's own."""

    name: DatasetName | None = None
    npz: FilePath | None = Field(
        default=None, validate_default=True, description="file with arrays x [n, ...] and y [n]"
    )
    limit: Size | None = Field(default=None, description="use only this many samples of each set")

    @field_validator("npz")
    @classmethod
    def _one_source(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("name") is not None:
            raise rule("give name or npz, not both")
        return None if value is None else os.path.expanduser(value)

    @model_validator(mode="after")
    def _some_source(self) -> "DataSpec":
        if self.name is None and self.npz is None:
            raise rule(f"needs a name ({', '.join(DATASET_NAMES)}) or npz, a file of arrays")
        return self

    def resolved(self) -> dict[str, Any]:
        """Plain data; the path of a file is made absolute, so that it holds in every folder."""
        return _absolute(super().resolved(), "npz")


class TrainSpec(Spec):
    """How to learn."""

    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 64
    optimizer: OptimizerChoice = Field(default_factory=lambda: OptimizerChoice.of("adam"))
    schedule: ScheduleChoice = Field(default_factory=lambda: ScheduleChoice.of("cosine"))
    loss: LossChoice = Field(default_factory=lambda: LossChoice.of("cross_entropy"))
    regularizers: list[RegularizerChoice] = Field(default_factory=list)
    clip_norm: Positive | None = Field(default=None, description="longest gradient, over all parameters")
    keep: Literal["last", "best"] = Field(default="last", description="which epoch's weights; best by validation")
    init: FilePath | None = Field(default=None, description="run folder or model to take the first weights from")

    def resolved(self) -> dict[str, Any]:
        """Plain data; see `DataSpec.resolved`."""
        return _absolute(super().resolved(), "init")


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

    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    data: DataSpec
    encoder: EncoderChoice = Field(default_factory=lambda: EncoderChoice.of("direct"))
    network: list[LayerChoice] = Field(min_length=1)
    train: TrainSpec = Field(default_factory=TrainSpec)
    energy: EnergySpec = Field(default_factory=EnergySpec)


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a configuration, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


def _absolute(data: dict[str, Any], key: str) -> dict[str, Any]:
    return {**data, key: os.path.abspath(data[key])} if key in data else data
