"""Data sets that are generated: their sizes and seeds."""

from typing import Annotated, Literal

from pydantic import Field

from snnsim.spec.choices import Spec
from snnsim.spec.layers import Positive

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]


class YinYang(Spec):
    """Points in the parts of a yin-yang sign; see `snnsim.datasets.yin_yang`."""

    inputs: Literal[4, 5] = Field(default=4, description="x, y, 1 - x, 1 - y, and as the fifth a constant 1")
    train: Count = Field(default=5000, description="points for training")
    test: Count = Field(default=1000, description="points for testing, drawn with seed - 2")
    seed: Seed = Field(default=42, description="the set's own; it does not follow the run's")


class Randman(Spec):
    """Spike times on smooth random manifolds, one manifold a class; see `snnsim.datasets.randman`."""

    classes: Annotated[int, Field(ge=2, le=10_000)] = Field(default=10, description="number of classes")
    dim: Annotated[int, Field(ge=1, le=100)] = Field(default=1, description="dimensions of a manifold")
    smoothness: Positive = Field(default=3.0, description="exponent by which the spectrum falls; larger is smoother")
    units: Annotated[int, Field(ge=1, le=1_000_000)] = Field(default=20, description="inputs, each fires once")
    samples: Annotated[int, Field(ge=2, le=10_000_000)] = Field(default=1000, description="samples of each class")
    duration: Annotated[int, Field(ge=1, le=10_000_000)] = Field(default=100_000, description="microseconds")
    seed: Seed = Field(default=0, description="the set's own; it does not follow the run's")
