"""The network language: what each layer, and each surrogate derivative, can be told.

Values of neurons are one number per layer, or a list with one number per neuron; after a convolution also one per
channel.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from snnsim.spec.choices import Choice, Spec, rule

Unit = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Size = Annotated[int, Field(ge=1, le=2**31 - 1)]


def _form(value: object) -> str:
    return "<list>" if isinstance(value, list) else "<number>"


def _padding_form(value: object) -> str:
    return "<text>" if isinstance(value, str) else _form(value)


UnitValues = Annotated[
    Annotated[Unit, Tag("<number>")] | Annotated[list[Unit], Field(min_length=1), Tag("<list>")],
    Discriminator(_form),
]
PositiveValues = Annotated[
    Annotated[Positive, Tag("<number>")] | Annotated[list[Positive], Field(min_length=1), Tag("<list>")],
    Discriminator(_form),
]


_Extent = Annotated[int, Field(ge=0, le=2**31 - 1)]
# One number for both axes, or [rows, columns].
Sizes = Annotated[
    Annotated[Size, Tag("<number>")] | Annotated[list[Size], Field(min_length=2, max_length=2), Tag("<list>")],
    Discriminator(_form),
]
Padding = Annotated[
    Annotated[_Extent, Tag("<number>")]
    | Annotated[list[_Extent], Field(min_length=2, max_length=2), Tag("<list>")]
    | Annotated[Literal["same"], Tag("<text>")],
    Discriminator(_padding_form),
]


class FastSigmoid(Spec):
    """``1 / (slope |x| + 1)^2``."""

    slope: Positive = 25.0


class SuperSpike(Spec):
    """The form of `FastSigmoid` with the slope of Zenke & Ganguli."""

    slope: Positive = 100.0


class Atan(Spec):
    """``alpha/2 / (1 + (pi/2 alpha x)^2)``."""

    alpha: Positive = 2.0


class Sigmoid(Spec):
    """``slope y (1 - y)`` with ``y = sigmoid(slope x)``."""

    slope: Positive = 25.0


class Triangle(Spec):
    """``max(0, 1 - |x|/width) / width``."""

    width: Positive = 1.0


class Boxcar(Spec):
    """``1 / (2 width)`` where ``|x| < width``."""

    width: Positive = 0.5


class StraightThrough(Spec):
    """1 everywhere."""


class SurrogateChoice(Choice):
    """The derivative that stands in for that of the spike: a function of membrane minus threshold."""

    SHORT: ClassVar[Mapping[str, str]] = {
        "fast_sigmoid": "slope",
        "superspike": "slope",
        "atan": "alpha",
        "sigmoid": "slope",
        "triangle": "width",
        "boxcar": "width",
    }
    NOUN: ClassVar[str] = "surrogate"

    fast_sigmoid: FastSigmoid | None = None
    superspike: SuperSpike | None = None
    atan: Atan | None = None
    sigmoid: Sigmoid | None = None
    triangle: Triangle | None = None
    boxcar: Boxcar | None = None
    straight_through: StraightThrough | None = None


class Dense(Spec):
    """Every input to every output; ``weight (out, in)`` and ``bias (out,)`` are learned."""

    out: Size
    bias: bool = True


class Conv2d(Spec):
    """Convolution of an image [C, H, W]; ``weight (out, in / groups, h, w)`` and ``bias (out,)`` are learned."""

    out: Size
    kernel: Sizes
    stride: Sizes = 1
    padding: Padding = Field(
        default=0, description="zeros on each side; same: outputs as inputs, an odd row or column at bottom and right"
    )
    dilation: Sizes = 1
    groups: Size = 1
    bias: bool = True


class _Pool2d(Spec):
    """What pools share."""

    kernel: Sizes
    stride: Sizes | None = Field(default=None, validate_default=True, description="as kernel, if not given")

    @field_validator("stride", mode="before")
    @classmethod
    def _fill_stride(cls, value: object, info: ValidationInfo) -> object:
        return info.data.get("kernel") if value is None else value


class AvgPool2d(_Pool2d):
    """Mean of each window; rows and columns that fill no window are dropped."""


class SumPool2d(_Pool2d):
    """Sum of each window."""


class MaxPool2d(_Pool2d):
    """Largest value of each window; of spikes: whether there is one."""


class _Leaky(Spec):
    """A membrane that decays: by ``beta`` a step, or given as a time constant and a step's length."""

    beta: UnitValues | None = Field(default=None, description="decay per step; 0.9 without tau_mem")
    tau_mem: PositiveValues | None = Field(default=None, description="time constant, in the unit of dt")
    dt: Positive | None = Field(default=None, validate_default=True, description="length of a step")
    discretization: Literal["exp", "euler"] | None = Field(
        default=None, validate_default=True, description="beta = exp(-dt/tau_mem), or 1 - dt/tau_mem"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_defaults(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        if value.get("tau_mem") is None:
            return value if value.get("beta") is not None else {**value, "beta": 0.9}
        return value if value.get("discretization") is not None else {**value, "discretization": "exp"}

    @field_validator("tau_mem")
    @classmethod
    def _not_both(cls, value: float | list[float] | None, info: ValidationInfo) -> float | list[float] | None:
        if value is not None and info.data.get("beta") is not None:
            raise rule("give beta or tau_mem, not both")
        return value

    @field_validator("dt", "discretization")
    @classmethod
    def _belongs_to_tau(cls, value: Any, info: ValidationInfo) -> Any:
        if "tau_mem" not in info.data:  # refused already
            return value
        tau = info.data["tau_mem"]
        if value is not None and tau is None:
            raise rule("belongs to tau_mem, which is not given")
        if value is None and tau is not None:
            raise rule("must be given with tau_mem, in the same unit")
        dt = info.data.get("dt")
        shortest = min(tau) if isinstance(tau, list) else tau
        if value == "euler" and dt is not None and dt > shortest:
            raise rule(f"euler needs dt <= tau_mem (got dt {dt:g}, tau_mem {shortest:g})")
        return value

    def decay(self) -> float | list[float]:
        """Return the factor by which a membrane shrinks in one step, for the layer or for each neuron."""
        if self.tau_mem is None:
            return 0.9 if self.beta is None else self.beta
        if isinstance(self.tau_mem, list):
            return [self._factor(tau) for tau in self.tau_mem]
        return self._factor(self.tau_mem)

    def _factor(self, tau: float) -> float:
        ratio = (self.dt or 0.0) / tau
        return 1.0 - ratio if self.discretization == "euler" else math.exp(-ratio)


class _Firing(Spec):
    """A neuron that fires: where, what a spike does to the membrane, and how gradients pass it."""

    threshold: PositiveValues = 1.0
    reset: Literal["subtract", "zero", "none"] = "subtract"
    reset_delay: bool = Field(default=False, description="the reset takes effect a step later")
    spike_at: Literal[">", ">="] = Field(default=">", description="membrane against threshold")
    surrogate: SurrogateChoice = Field(default_factory=lambda: SurrogateChoice.of("atan"))
    detach_reset: bool = Field(default=True, description="no gradient through the spike in the reset")
    readout: Literal["count", "rate"] | None = Field(default=None, description="logits of a last layer")


class Lif(_Firing, _Leaky):
    """Leaky integrate-and-fire: ``u[t] = beta r[t-1] + I[t]``, fires above the threshold."""


class If(_Firing):
    """Integrate-and-fire without leak."""

    def decay(self) -> float:
        """Return 1: nothing leaks."""
        return 1.0


class Li(_Leaky):
    """Leaky integrator that never fires: the readout's membrane gives the logits."""

    readout: Literal["mean", "sum", "max", "last"] = "mean"


class Flatten(Spec):
    """Rows of one axis, in row-major order."""


class Relu(Spec):
    """``max(0, x)``; makes the network an ANN."""


class Dropout(Spec):
    """Drops each input with probability ``p`` while training; the same ones at every step of a sample."""

    p: Unit = 0.5


class LayerChoice(Choice):
    """One layer of a network."""

    SHORT: ClassVar[Mapping[str, str]] = {
        "dense": "out",
        "avg_pool2d": "kernel",
        "sum_pool2d": "kernel",
        "max_pool2d": "kernel",
        "dropout": "p",
    }
    NOUN: ClassVar[str] = "layer"

    dense: Dense | None = None
    conv2d: Conv2d | None = None
    avg_pool2d: AvgPool2d | None = None
    sum_pool2d: SumPool2d | None = None
    max_pool2d: MaxPool2d | None = None
    lif: Lif | None = None
    if_: If | None = Field(default=None, alias="if")
    li: Li | None = None
    flatten: Flatten | None = None
    relu: Relu | None = None
    dropout: Dropout | None = None
