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
    """``1 / (slope * abs(x) + 1)^2``."""

    slope: Positive = 25.0


class SuperSpike(Spec):
    """The form of ``fast_sigmoid`` with the slope of Zenke & Ganguli 2018."""

    slope: Positive = 100.0


class Atan(Spec):
    """``alpha/2 / (1 + (pi/2 * alpha * x)^2)``."""

    alpha: Positive = 2.0


class Sigmoid(Spec):
    """``slope * y * (1 - y)`` with ``y = sigmoid(slope * x)``."""

    slope: Positive = 25.0


class Triangle(Spec):
    """``max(0, 1 - abs(x) / width) / width``; zero away from the threshold, which saves time."""

    width: Positive = 1.0


class Boxcar(Spec):
    """``1 / (2 * width)`` where ``abs(x) < width``; zero away from the threshold, which saves time."""

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

    out: Size = Field(description="number of outputs")
    bias: bool = Field(default=True, description="a current of its own for each output, at every step")


class Conv2d(Spec):
    """Convolution of an image [C, H, W]; ``weight (out, in / groups, h, w)`` and ``bias (out,)`` are learned."""

    out: Size = Field(description="output channels")
    kernel: Sizes = Field(description="[rows, columns], or one number for both")
    stride: Sizes = Field(default=1, description="pixels from one output to the next")
    padding: Padding = Field(
        default=0, description="zeros on each side; same: outputs as inputs, an odd row or column at bottom and right"
    )
    dilation: Sizes = Field(default=1, description="pixels from one tap to the next")
    groups: Size = Field(default=1, description="of channels, each seen by its own share of the outputs")
    bias: bool = Field(default=True, description="one per output channel")


class _Pool2d(Spec):
    """What pools share."""

    kernel: Sizes = Field(description="window, [rows, columns] or one number for both")
    stride: Sizes | None = Field(default=None, validate_default=True, description="as kernel, if not given")

    @field_validator("stride", mode="before")
    @classmethod
    def _fill_stride(cls, value: object, info: ValidationInfo) -> object:
        return info.data.get("kernel") if value is None else value


class AvgPool2d(_Pool2d):
    """Mean of each window, graded; rows and columns that fill no window are dropped."""


class SumPool2d(_Pool2d):
    """Sum of each window; its events are graded."""


class MaxPool2d(_Pool2d):
    """Largest value of each window; of spikes: whether there is one."""


class _Synaptic(Spec):
    """A synaptic current that decays: by ``alpha`` a step, or with a time constant."""

    alpha: UnitValues | None = Field(default=None, description="decay per step; 0.8 without tau_syn")
    tau_syn: PositiveValues | None = Field(default=None, description="time constant, in the unit of dt")


class _Leaky(Spec):
    """A membrane that decays: by ``beta`` a step, or given as a time constant and a step's length."""

    # Decay per step, the time constant that can stand for it, and its value where neither is given.
    DECAYS: ClassVar[tuple[tuple[str, str, float], ...]] = (("beta", "tau_mem", 0.9),)

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
        usual = {
            decay: factor for decay, tau, factor in cls.DECAYS if value.get(tau) is None and value.get(decay) is None
        }
        filled = {**value, **usual}
        timed = any(value.get(tau) is not None for _, tau, _ in cls.DECAYS)
        if timed and value.get("discretization") is None:
            filled["discretization"] = "exp"
        return filled

    @field_validator("tau_mem", "tau_syn", check_fields=False)
    @classmethod
    def _not_both(cls, value: float | list[float] | None, info: ValidationInfo) -> float | list[float] | None:
        decay = next(name for name, tau, _ in cls.DECAYS if tau == info.field_name)
        if value is not None and info.data.get(decay) is not None:
            raise rule(f"give {decay} or {info.field_name}, not both")
        return value

    @field_validator("dt", "discretization")
    @classmethod
    def _belongs_to_tau(cls, value: Any, info: ValidationInfo) -> Any:
        names = [tau for _, tau, _ in cls.DECAYS]
        if any(name not in info.data for name in names):  # refused already
            return value
        taus = {name: info.data[name] for name in names if info.data[name] is not None}
        if value is not None and not taus:
            raise rule(f"belongs to {' or '.join(names)}, which is not given")
        if value is None and taus:
            raise rule(f"must be given with {next(iter(taus))}, in the same unit")
        dt = info.data.get("dt")
        for name, tau in taus.items():
            shortest = min(tau) if isinstance(tau, list) else tau
            if value == "euler" and dt is not None and dt > shortest:
                raise rule(f"euler needs dt <= {name} (got dt {dt:g}, {name} {shortest:g})")
        return value

    def decay(self, name: str = "beta") -> float | list[float]:
        """Return the factor by which a membrane (or another decaying value) shrinks in one step."""
        tau_name = next(tau for decay, tau, _ in self.DECAYS if decay == name)
        tau = getattr(self, tau_name)
        if tau is None:
            given: float | list[float] = getattr(self, name)
            return given
        return [self._factor(one) for one in tau] if isinstance(tau, list) else self._factor(tau)

    def written(self, name: str) -> str:
        """Return the key that a decay was given by: itself, or its time constant."""
        tau = next(tau for decay, tau, _ in self.DECAYS if decay == name)
        return name if getattr(self, tau) is None else tau

    def _factor(self, tau: float) -> float:
        ratio = (self.dt or 0.0) / tau
        return 1.0 - ratio if self.discretization == "euler" else math.exp(-ratio)


class _Firing(Spec):
    """A neuron that fires: where, what a spike does to the membrane, and how gradients pass it."""

    threshold: PositiveValues = Field(default=1.0, description="the membrane above which a neuron fires")
    reset: Literal["subtract", "zero", "none"] = Field(
        default="subtract", description="what a spike does to the membrane: less the threshold, to zero, or nothing"
    )
    reset_delay: bool = Field(default=False, description="the reset takes effect a step later")
    spike_at: Literal[">", ">="] = Field(default=">", description="membrane against threshold")
    surrogate: SurrogateChoice = Field(
        default_factory=lambda: SurrogateChoice.of("atan"), description="stands in for the derivative of the spike"
    )
    detach_reset: bool = Field(default=True, description="no gradient through the spike in the reset")
    learn_threshold: bool = Field(default=False, description="the threshold is a parameter, at least 0.001")
    recurrent: bool = Field(default=False, description="spikes reach all neurons of the layer a step later")
    readout: Literal["count", "rate"] | None = Field(
        default=None, description="logits, of a last layer: spikes, or spikes per step"
    )


class Lif(_Firing, _Leaky):
    """Leaky integrate-and-fire: ``u[t] = beta * r[t-1] + I[t]``, fires above the threshold."""

    learn_beta: bool = Field(default=False, description="beta is a parameter, kept in [0, 1]")


class If(_Firing):
    """Integrate-and-fire without leak."""

    def decay(self) -> float:
        """Return 1: nothing leaks."""
        return 1.0


class CubaLif(_Firing, _Leaky, _Synaptic):
    """As ``lif``, through a synaptic current: ``i[t] = alpha * i[t-1] + I[t]``, ``u[t] = beta * r[t-1] + i[t]``."""

    DECAYS: ClassVar[tuple[tuple[str, str, float], ...]] = (("alpha", "tau_syn", 0.8), *_Leaky.DECAYS)

    learn_beta: bool = Field(default=False, description="beta is a parameter, kept in [0, 1]")
    learn_alpha: bool = Field(default=False, description="likewise alpha")


class Alif(_Firing, _Leaky):
    """As ``lif``, with a threshold that rises by ``adaptation`` with each spike and falls back by ``rho`` a step."""

    rho: UnitValues = Field(default=0.97, description="decay of the adaptation per step")
    adaptation: Annotated[
        Annotated[NonNegative, Tag("<number>")] | Annotated[list[NonNegative], Field(min_length=1), Tag("<list>")],
        Discriminator(_form),
    ] = Field(default=0.1, description="by how much a spike raises the threshold")
    learn_beta: bool = Field(default=False, description="beta is a parameter, kept in [0, 1]")


class Li(_Leaky):
    """Leaky integrator that never fires: the readout's membrane gives the logits."""

    readout: Literal["mean", "sum", "max", "last"] = Field(
        default="mean", description="how the membrane over time becomes the logits"
    )


class CubaLi(Li, _Synaptic):
    """As `li`, through a synaptic current: `i[t] = alpha * i[t-1] + I[t]`, `u[t] = beta * u[t-1] + i[t]`."""

    DECAYS: ClassVar[tuple[tuple[str, str, float], ...]] = CubaLif.DECAYS


class Flatten(Spec):
    """Rows of one axis, in row-major order."""


class Relu(Spec):
    """``max(0, x)``; makes the network an ANN."""


class Dropout(Spec):
    """Drops each input with probability ``p`` while training; the same ones at every step of a sample."""

    p: Unit = Field(default=0.5, description="probability")


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
    cuba_lif: CubaLif | None = None
    alif: Alif | None = None
    li: Li | None = None
    cuba_li: CubaLi | None = None
    flatten: Flatten | None = None
    relu: Relu | None = None
    dropout: Dropout | None = None

    @property
    def has_state(self) -> bool:
        """Whether the layer carries something from step to step; a network without such layers is an ANN."""
        return isinstance(self.options, _Firing | _Leaky)

    @property
    def fires(self) -> bool:
        """Whether the layer emits spikes."""
        return isinstance(self.options, _Firing)
