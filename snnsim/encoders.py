"""How a batch of data becomes what the network's first layer gets, one micro-batch at a time."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from snnsim.errors import InputError
from snnsim.events import Events
from snnsim.kernels import random as keyed
from snnsim.layers.base import SampleKeys, Shape, Workspace
from snnsim.layers.signals import Analog, FloatArray, Signal
from snnsim.spec import Delta, Direct, EncoderChoice, Latency, Rate

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
        case Latency(num_steps=steps, cutoff=cutoff):
            return EventInput(latency_events(x, steps, cutoff, shape), keys)
        case Delta(threshold=threshold):
            return EventInput(delta_events(x, threshold, shape), keys)
    raise AssertionError(choice.name)


def latency_events(x: FloatArray, steps: int, cutoff: float, shape: Shape) -> Events:
    """First-spike time [1]_: value v fires once, at step ``floor((1 - v) * steps)``, so large values fire early.

    Parameters
    ----------
    x
        [B, F] in [0, 1]; values above 1 count as 1. Values up to ``cutoff`` never fire.

    References
    ----------
    .. [1] Thorpe, Delorme & Van Rullen, Spike-based strategies for rapid processing, Neural Networks 2001.
       doi:10.1016/S0893-6080(01)00083-1
    """
    sample, index = np.nonzero(x > np.float32(cutoff))
    late = (np.float32(1) - np.minimum(x[sample, index], np.float32(1))) * np.float32(steps)
    buckets = sample * steps + np.minimum(late.astype(np.int64), steps - 1)
    order = np.argsort(buckets, kind="stable")  # within a bucket the indices stay sorted
    return _events(buckets, index[order], steps, x.shape[0], shape)


def delta_events(x: FloatArray, threshold: float, shape: Shape) -> Events:
    """Temporal difference [1]_: a sample [C, H, W] is read row by row, as H steps of C x W values.

    An event of channel 0 where a value is larger by at least ``threshold`` than the one of the step before, of channel
    1 where it is smaller by as much; before the first step all values are 0. The events have shape [2, C, W].

    References
    ----------
    .. [1] Eshraghian et al., Training spiking neural networks using lessons from deep learning, Proceedings of the
       IEEE 2023. doi:10.1109/JPROC.2023.3308088
    """
    channels, steps, width = shape
    rows = x.reshape(-1, channels, steps, width).swapaxes(1, 2)
    change = np.diff(rows, axis=1, prepend=np.float32(0))
    fires = np.stack([change >= np.float32(threshold), change <= -np.float32(threshold)], axis=2)
    buckets, indices = np.nonzero(fires.reshape(x.shape[0] * steps, -1))
    return _events(buckets, indices, steps, x.shape[0], (2, channels, width))


def encoded_shape(choice: EncoderChoice, shape: Shape) -> Shape:
    """Return the shape of the network's input for samples of a shape.

    Raises
    ------
    InputError
        The encoder takes no such samples.
    """
    if choice.delta is None:
        return shape
    if len(shape) != 3:
        raise InputError(
            f"delta coding reads samples [C, H, W] row by row as a sequence; these are flat, {list(shape)}",
            ("encoder", "delta"),
        )
    return (2, shape[0], shape[2])


def encoded_steps(choice: EncoderChoice, shape: Shape) -> int | None:
    """Return the number of steps for samples of a shape; None where recordings decide it."""
    return shape[1] if choice.delta is not None else choice.num_steps


def _events(buckets: NDArray[np.int64], indices: NDArray[np.int64], steps: int, batch: int, shape: Shape) -> Events:
    """Make events whose ``indices`` are sorted by bucket."""
    indptr = np.zeros(batch * steps + 1, np.int64)
    np.cumsum(np.bincount(buckets, minlength=batch * steps), out=indptr[1:])
    return Events(indptr, indices.astype(np.int32), None, steps, batch, shape)
