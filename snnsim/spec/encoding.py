"""How data become the network's input over time."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from snnsim.spec.choices import Choice, Spec
from snnsim.spec.layers import Positive

NumSteps = Annotated[int, Field(ge=1, le=1_000_000)]


class Direct(Spec):
    """The analog values themselves, the same at each of ``num_steps`` steps."""

    num_steps: NumSteps = 20


class Rate(Spec):
    """Bernoulli spikes, independent per step, of probability ``gain * value`` clipped to [0, 1]."""

    num_steps: NumSteps = 20
    gain: Positive = 1.0


class EncoderChoice(Choice):
    """How data become the network's input over time."""

    SHORT: ClassVar[Mapping[str, str]] = {"direct": "num_steps", "rate": "num_steps"}
    NOUN: ClassVar[str] = "encoder"

    direct: Direct | None = None
    rate: Rate | None = None

    @property
    def num_steps(self) -> int:
        """Number of time steps, T."""
        options = self.direct or self.rate
        assert options is not None
        return options.num_steps
