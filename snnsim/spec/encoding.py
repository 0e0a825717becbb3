"""How data become the network's input over time."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from snnsim.spec.choices import Choice, Spec, rule
from snnsim.spec.layers import Positive

NumSteps = Annotated[int, Field(ge=1, le=1_000_000)]


class Direct(Spec):
    """The analog values themselves, the same at each of ``num_steps`` steps."""

    num_steps: NumSteps = Field(default=20, description="time steps, T")


class Rate(Spec):
    """Bernoulli spikes, independent per step, of probability ``gain * value`` clipped to [0, 1]."""

    num_steps: NumSteps = Field(default=20, description="time steps, T")
    gain: Positive = Field(default=1.0, description="spikes per step of a value of 1")


class Latency(Spec):
    """One spike per value, the earlier the larger it is: at step ``floor((1 - value) * num_steps)``."""

    num_steps: NumSteps = Field(default=20, description="time steps, T")
    cutoff: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.0, description="values up to this never fire")


class Delta(Spec):
    """Spikes where a value changes by at least ``threshold`` from one row of the sample to the next."""

    threshold: Positive = Field(default=0.1, description="smallest change that is an event")


class RecordedEvents(Spec):
    """Recorded events: microseconds a step, and the number of steps."""

    time_window: Annotated[int, Field(ge=1)] | None = Field(default=None, description="microseconds a step")
    num_steps: NumSteps | None = Field(
        default=None, description="steps taken; without time_window, equal parts of each recording"
    )

    @model_validator(mode="after")
    def _some_size(self) -> "RecordedEvents":
        if self.time_window is None and self.num_steps is None:
            raise rule("needs time_window (microseconds a step), num_steps, or both")
        return self


class EncoderChoice(Choice):
    """How data become the network's input over time."""

    SHORT: ClassVar[Mapping[str, str]] = {
        "direct": "num_steps",
        "rate": "num_steps",
        "latency": "num_steps",
        "delta": "threshold",
    }
    NOUN: ClassVar[str] = "encoder"

    direct: Direct | None = None
    rate: Rate | None = None
    latency: Latency | None = None
    delta: Delta | None = None
    events: RecordedEvents | None = None

    @property
    def num_steps(self) -> int | None:
        """Number of time steps, T; None where the data decide it."""
        steps: int | None = getattr(self.options, "num_steps", None)
        return steps

    def with_steps(self, num_steps: int) -> "EncoderChoice":
        """Return the encoder for recorded events with the number of steps that the data gave it."""
        assert self.events is not None
        return EncoderChoice.of({"events": self.events.resolved() | {"num_steps": num_steps}})
