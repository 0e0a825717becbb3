"""How a batch of data becomes what the network's first layer gets, one micro-batch at a time."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from snnsim.events import Events
from snnsim.kernels import random as keyed
from snnsim.layers.base import Analog, FloatArray, SampleKeys, Shape, Signal, Workspace
from snnsim.spec import Direct, EncoderChoice, Rate

# Random streams are keyed by an epoch; evaluation has one of its own, the same at every epoch.
EVALUATION_EPOCH = -1


class BatchInput(Protocol):
    """A batch on its way into the network: ``batch`` samples of ``steps`` steps.

    ``keys`` key the samples' random streams (dropout), where they have any.
    """

    @property
    def batch(self) -> int:
        """Number of samples."""

    @property
    def steps(self) -> int:
        """Number of steps."""

    @property
    def keys(self) -> SampleKeys | None:
        """What keys the samples' random streams."""

    def signal(self, start: int, stop: int, workspace: Workspace) -> Signal:
        """Return the samples ``start`` to ``stop`` as the first layer's input."""


@dataclass(frozen=True, eq=False)
class ConstantInput:
    """Direct coding: analog values [B, F] that are the same at every step."""

    x: FloatArray
    steps: int
    keys: SampleKeys | None = None

    @property
    def batch(self) -> int:
        """Number of samples."""
        return int(self.x.shape[0])

    def signal(self, start: int, stop: int, workspace: Workspace) -> Signal:
        """Return the samples as analog values [M, 1, F]."""
        return Analog(self.x[start:stop, None])


@dataclass(frozen=True, eq=False)
class EventInput:
    """Events that exist already."""

    events: Events
    keys: SampleKeys | None = None

    @property
    def batch(self) -> int:
        """Number of samples."""
        return self.events.batch

    @property
    def steps(self) -> int:
        """Number of steps."""
        return self.events.num_steps

    def signal(self, start: int, stop: int, workspace: Workspace) -> Signal:
        """Return the samples' events."""
        return self.events.samples(start, stop)


@dataclass(frozen=True, eq=False)
class RateInput:
    """Bernoulli coding: the value, times ``gain``, is the probability of an event at each step.

    A sample's events are drawn when its micro-batch comes up, from a stream keyed by seed, epoch and sample.
    """

    x: FloatArray
    steps: int
    gain: float
    keys: SampleKeys
    shape: Shape

    @property
    def batch(self) -> int:
        """Number of samples."""
        return int(self.x.shape[0])

    def signal(self, start: int, stop: int, workspace: Workspace) -> Signal:
        """Draw the samples' events."""
        x = self.x[start:stop]
        count = x.shape[0]
        indptr = np.empty(count * self.steps + 1, np.int64)
        most = int(np.count_nonzero(x)) * self.steps
        indices = np.empty(most, np.int32)
        keys = self.keys.slice(start, stop)
        gain = np.float32(self.gain)
        keyed.rate_events(keys.seed, keys.epoch, keys.samples, x, gain, self.steps, indptr, indices)
        return Events(indptr, indices[: indptr[-1]], None, self.steps, count, self.shape)


def encode(choice: EncoderChoice, x: FloatArray, shape: Shape, keys: SampleKeys) -> BatchInput:
    """Encode analog samples ``x`` [B, F] in [0, 1]; ``shape`` is one sample's."""
    match choice.options:
        case Direct(num_steps=steps):
            return ConstantInput(x, steps, keys)
        case Rate(num_steps=steps, gain=gain):
            return RateInput(x, steps, gain, keys, shape)
    raise AssertionError(choice.name)
