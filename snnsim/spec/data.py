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
    train: Count = 5000
    test: Count = 1000
    seed: Seed = 42


class Randman(Spec):
    """Spike times on smooth random manifolds, one manifold a class; see `snnsim.datasets.randman`."""

    classes: Annotated[int, Field(ge=2, le=10_000)] = 10
    dim: Annotated[int, Field(ge=1, le=100)] = Field(default=1, description="dimensions of a manifold")
    smoothness: Positive = Field(default=3.0, description="exponent by which the spectrum falls; larger is smoother")
    units: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    samples: Annotated[int, Field(ge=2, le=10_000_000)] = Field(default=1000, description="samples of each class")
    duration: Annotated[int, Field(ge=1, le=10_000_000)] = Field(default=100_000, description="microseconds")
    seed: Seed = 0
