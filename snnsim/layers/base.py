"""What every layer offers, and what a worker carries through the layers."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnsim.accounting import LayerCounts, StepCounts, Tally
from snnsim.errors import InputError
from snnsim.events import Events
from snnsim.kernels import propagate
from snnsim.layers.fan_out import Counted, FanOut
from snnsim.layers.signals import FloatArray, Gradient, Signal, constant, event_values, samples_of
from snnsim.memory import aligned_zeros
from snnsim.tables import LayerFacts

Shape = tuple[int, ...]


def checked_shape(shape: object) -> Shape:
    """Check the shape of a sample.

    Raises
    ------
    InputError
        It is not a list of whole numbers of at least 1.
    """
    sizes = tuple(shape) if isinstance(shape, Sequence) and not isinstance(shape, str) else ()
    whole = all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 1 for n in sizes)
    if not sizes or not whole:
        raise InputError(f"input_shape: must be a list of sizes of at least 1 (got {shape!r})")
    return tuple(int(n) for n in sizes)


class Workspace:
    """Buffers that live as long as their worker, so that a steady state allocates nothing."""

    def __init__(self) -> None:
        self._memory: dict[tuple[object, type], NDArray[Any]] = {}
        self._buffers: dict[tuple[object, Shape, type], NDArray[Any]] = {}

    def array(self, key: object, shape: Shape, dtype: type = np.float32) -> NDArray[Any]:
        """Return the buffer of this key in some shape; its content is whatever was left there (at first zeros).

        A key has one piece of memory, as large as the largest shape that was asked for.
        """
        buffer = self._buffers.get((key, shape, dtype))
        if buffer is None:
            buffer = self._buffers[key, shape, dtype] = self._at_least(key, math.prod(shape), dtype).reshape(shape)
        return buffer

    def _at_least(self, key: object, size: int, dtype: type) -> NDArray[Any]:
        memory = self._memory.get((key, dtype))
        if memory is None or memory.size < size:
            for smaller in [full for full in self._buffers if (full[0], full[2]) == (key, dtype)]:
                del self._buffers[smaller]
            memory = self._memory[key, dtype] = aligned_zeros((size,), dtype)
        return memory[:size]


@dataclass(frozen=True, eq=False)
class SampleKeys:
    """What keys a sample's random streams: they depend on nothing else, neither on batches nor on threads."""

    seed: int
    epoch: int
    samples: NDArray[np.int64]

    def slice(self, start: int, stop: int) -> "SampleKeys":
        """Return the keys of some samples."""
        return SampleKeys(self.seed, self.epoch, self.samples[start:stop])


@dataclass(eq=False)
class MicroBatch:
    """A few samples on their way through the network, forwards and back, in one worker.

    ``samples`` are in it, ``size`` is what a full one holds (buffers and products have that size); ``dropout_keys``
    is None outside of training; ``path`` says how events reach dense layers; ``trace`` whether neurons have to keep
    their membranes of all steps; ``fan_out[i]`` is that of layer i, where
    counting is asked for, and ``reached[i]`` [N] the synapses that a spike of layer i reaches, where spikes are
    penalised; ``saved`` is what layers keep for the way back; ``extra[i]`` [M, N] is the regularisers' gradient of
    layer i's spikes, the same at every step; ``needed[i]`` lists where somebody needs the gradient of layer i's input,
    if not everywhere.

    Where the steps are part of a longer run, for every layer that carries something over time: ``carried[i]``
    [M, 5, N], its states before the first step, which a forward pass overwrites by those after the last; for the way
    back ``begun[i]``, the states before the first step still, and ``carried_back[i]`` [M, 3, N], the gradients of what
    the next step takes from the last, overwritten likewise.
    """

    samples: int
    size: int
    steps: int
    workspace: Workspace
    dropout_keys: SampleKeys | None = None
    path: str = "auto"
    trace: bool = True
    fan_out: Mapping[int, FanOut] = field(default_factory=dict)
    reached: Mapping[int, NDArray[np.int64]] = field(default_factory=dict)
    saved: dict[int, Any] = field(default_factory=dict)
    extra: dict[int, FloatArray] = field(default_factory=dict)
    needed: dict[int, Events] = field(default_factory=dict)
    carried: Mapping[int, FloatArray] = field(default_factory=dict)
    begun: Mapping[int, FloatArray] = field(default_factory=dict)
    carried_back: Mapping[int, FloatArray] = field(default_factory=dict)

    def stretch(self, steps: int, carried: Mapping[int, FloatArray], begun: Mapping[int, FloatArray]) -> "MicroBatch":
        """Return the same samples on their way through some of the steps, with nothing saved yet."""
        return MicroBatch(
            self.samples,
            self.size,
            steps,
            self.workspace,
            self.dropout_keys,
            self.path,
            self.trace,
            self.fan_out,
            self.reached,
            carried=carried,
            begun=begun,
        )


class Layer(ABC):
    """One layer of a network: forwards, back, and counted.

    Attributes
    ----------
    index : int
        Place in the network; names the layer and its parameters.
    in_shape, out_shape : tuple of int
        Shapes of one sample's signal.
    size : int
        Number of outputs.
    parameters : dict
        Name to float32 array.
    """

    name: str
    fires = False

    @property
    def carries(self) -> tuple[int, ...]:
        """Which rows of a kernel's states the layer carries from step to step; none where it has no state."""
        return ()

    def __init__(self, index: int, in_shape: Shape, out_shape: Shape) -> None:
        self.index = index
        self.in_shape = in_shape
        self.out_shape = out_shape
        self.size = math.prod(out_shape)
        self.parameters: dict[str, FloatArray] = {}

    @property
    def title(self) -> str:
        """The layer's name for people: ``1 (lif)``."""
        return self.facts.title

    @property
    def facts(self) -> LayerFacts:
        """What tables say of the layer."""
        parameters = sum(array.size for array in self.parameters.values())
        return LayerFacts(self.index, self.name, self.out_shape, parameters)

    @abstractmethod
    def forward(self, signal: Signal, micro: MicroBatch) -> Signal:
        """Turn the signal of the layer before into this layer's, over all steps."""

    @abstractmethod
    def backward(
        self, gradient: Gradient, micro: MicroBatch, gradients: Mapping[str, FloatArray], inputs: bool
    ) -> Gradient | None:
        """Add to the parameters' ``gradients``; return the gradient of the input signal if ``inputs`` asks for it."""

    def tally(self, signal: Signal, output: Signal, micro: MicroBatch) -> Tally:
        """Count in one forward pass what `count` has to know: ``signal`` went in, ``output`` came out.

        Tallies of several stretches of steps add up, those of several micro-batches are put one after another.
        """
        return {}

    def count(self, tally: Tally, run: Counted) -> LayerCounts:
        """Turn the tallies of a batch into counters."""
        return LayerCounts.zeros(run.batch)

    def count_steps(self, signal: Signal, output: Signal, micro: MicroBatch) -> StepCounts:
        """Count one forward pass step by step."""
        return StepCounts.zeros(micro.steps, samples_of(signal))

    def prepare(self, buckets: int) -> None:  # noqa: B027 - most layers have nothing to prepare
        """Get ready for a batch: parameters may have changed since the last one.

        ``buckets``: as how many buckets of events the layer's input can come, 0 where not step by step.
        """

    def reached_through(self, fan_out: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many synapses each input reaches through this layer, whose outputs reach ``fan_out``; int64."""
        return fan_out

    def needed_through(self, needed: Events, micro: MicroBatch) -> Events | None:
        """Return where this layer needs its output's gradient to have its input's at ``needed``; None: everywhere."""
        return None

    def buffer(self, micro: MicroBatch, role: str, shape: Shape, dtype: type = np.float32) -> NDArray[Any]:
        """Return this layer's own buffer for some role."""
        return micro.workspace.array((self.index, role), shape, dtype)


class Affine(Layer):
    """A layer with weights, whose output currents are linear in its input; ``fan_in`` is the number of inputs."""

    fan_in: int

    @property
    @abstractmethod
    def needed_up_to(self) -> float:
        """Up to which part of the input gradient's places one product each beats the product of all."""

    @abstractmethod
    def summed_forward(self, activity: FloatArray, micro: MicroBatch, weight: np.float32) -> FloatArray:
        """Return the currents for the input summed over time, float32 [M, F]; the bias counts ``weight`` times.

        One product for all steps, forwards and, after this, back.
        """

    @abstractmethod
    def fan_out(self) -> NDArray[np.int64]:
        """Return existing synapses (structural) and those of nonzero weight (effective), int64 [F, 2]."""

    @abstractmethod
    def constant_forward(self, x: FloatArray, run: Callable[..., None]) -> FloatArray:
        """Return the currents [B, N] of a whole batch's constant input [B, F]; ``run(task, count)`` shares it out."""

    @abstractmethod
    def constant_backward(
        self, x: FloatArray, delta: FloatArray, gradients: Mapping[str, FloatArray], run: Callable[..., None]
    ) -> None:
        """Write the gradients for a whole batch's constant input, from the deltas summed over time [B, N]."""

    def activity(self, micro: MicroBatch, role: str = "activity") -> FloatArray:
        """Return a buffer [M, F] of zeros to sum the input over time in."""
        activity: FloatArray = self.buffer(micro, role, (micro.size, self.fan_in))[: micro.samples]
        activity[...] = 0
        return activity

    def add_activity(self, signal: Signal, step_weights: FloatArray, activity: FloatArray) -> None:
        """Add the input, summed over time with a weight per step, to ``activity`` [M, F]."""
        if isinstance(signal, Events):
            values = event_values(signal)
            propagate.weighted_activity(signal.indptr, signal.indices, values, step_weights, activity)
        elif constant(signal):
            activity += signal.values[:, 0].reshape(activity.shape) * step_weights.sum(dtype=np.float32)
        else:
            propagate.weighted_sum(signal.values.reshape(*signal.values.shape[:2], -1), step_weights, activity)

    def tally(self, signal: Signal, output: Signal, micro: MicroBatch) -> Tally:
        """Count what every delivered event reaches, under the kind of the edge."""
        reached = micro.fan_out[self.index].tally(signal)
        if isinstance(signal, Events):
            return {"binary" if signal.values is None else "graded": reached}
        return {"analog": reached * micro.steps if constant(signal) else reached}

    def count(self, tally: Tally, run: Counted) -> LayerCounts:
        """Count the synapses that every delivered event reaches."""
        counts = LayerCounts.zeros(run.batch)
        fan_out = run.fan_out[self.index]
        ((kind, reached),) = tally.items()
        counts.synops_structural, effective = fan_out.reached(reached)
        counts.synops_effective = effective
        if kind == "binary":
            counts.acs = effective
        else:
            counts.macs = effective
        if kind == "analog" and (run.constant or run.steps == 1):
            counts.macs_once = effective // run.steps
        counts.macs_dense = run.steps * fan_out.total
        if "bias" in self.parameters:
            counts.bias_adds = run.steps * self.size
        return counts

    def count_steps(self, signal: Signal, output: Signal, micro: MicroBatch) -> StepCounts:
        """Count the synapses of nonzero weight that are reached at every step, and look at the values."""
        counts = StepCounts.zeros(micro.steps, samples_of(signal))
        effective = micro.fan_out[self.index].effective
        if isinstance(signal, Events):
            counts.synops[...] = signal.by_step(effective[signal.indices])
            if signal.values is not None:
                counts.plain[...] = signal.by_step((np.abs(signal.values) != 1).astype(np.int64)) == 0
        else:
            values = signal.values.reshape(*signal.values.shape[:2], self.fan_in)
            counts.synops[...] = ((values != 0).astype(np.int64) @ effective).T
            counts.plain[...] = ((values == 0) | (np.abs(values) == 1)).all(axis=2).T
        return counts


# What layers hand their kernels where nothing is carried in or out.
NOT_CARRIED = np.empty((0, 0, 0), np.float32)
