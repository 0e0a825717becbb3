"""One micro-batch through all layers, forwards and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from snnsim.events import Events
from snnsim.gradient_sums import Share
from snnsim.kernels import propagate
from snnsim.layers.base import Affine, Layer, MicroBatch
from snnsim.layers.neurons import FiringNeurons
from snnsim.layers.readout import LeakyIntegrators, StepReadout, step_logits, step_readout
from snnsim.layers.signals import Analog, FloatArray, Gradient, Signal
from snnsim.layers.simple import Flatten


@dataclass(frozen=True, eq=False)
class Plan:
    """How a network runs for one kind of input.

    Attributes
    ----------
    layers
        The network.
    steps : int
        T.
    stem : int or None
        The first layer with weights, where its input is the same at every step: its product is then taken for the
        whole batch at once, and so is its gradient.
    step_weights : float32 [T] or None
        Where the logits are one weighted sum over time of the last currents: the weights. The last layer with
        weights then needs one product a sample, forwards and back, instead of T.
    back_weights : float32 [T] or None
        The same on the way back: what of them is left where the gradient is cut in time.
    """

    layers: Sequence[Layer]
    steps: int
    stem: int | None
    step_weights: FloatArray | None
    back_weights: FloatArray | None

    @classmethod
    def of(
        cls, layers: Sequence[Layer], steps: int, *, constant: bool, per_step: bool, cut: int | None = None
    ) -> "Plan":
        """Plan for ``constant`` input or events; ``per_step`` if the loss needs the logits of every step.

        ``cut``: no gradient is to cross a multiple of so many steps.
        """
        stem = None
        if constant:
            first = next(layer for layer in layers if not isinstance(layer, Flatten))
            stem = first.index if isinstance(first, Affine) else None
        weights = back_weights = None
        last = layers[-1]
        if isinstance(last, LeakyIntegrators) and not per_step and isinstance(layers[-2], Affine):
            weights, back_weights = last.step_weights(steps), last.step_weights(steps, cut)
        return cls(layers, steps, stem, weights, back_weights)

    @cached_property
    def readout(self) -> StepReadout:
        """How step logits become logits."""
        return step_readout(self.layers[-1])

    @cached_property
    def begin(self) -> int:
        """The first layer that a micro-batch runs itself."""
        return 0 if self.stem is None else self.stem + 1

    @cached_property
    def over_time(self) -> bool:
        """Whether a micro-batch runs anything over time: not where the readout follows the stem, all one product."""
        return self.begin < self.end or self.weighted is not None

    @cached_property
    def width(self) -> int:
        """The widest layer's outputs over time, as `micro_batch_size` counts them.

        Neurons behind the stem have neither currents nor deltas of every step, only a trace that is written once and
        read once, and so little to do that the interpreter's time between their kernels shows: they count an eighth.
        """
        return max((self._width(layer) for layer in self.layers[self.begin :]), default=1)

    def _width(self, layer: Layer) -> int:
        behind_stem = self.stem is not None and layer.index == self.begin
        once = behind_stem and isinstance(layer, FiringNeurons) and not layer.firing.recurrent
        return -(-layer.size // 8) if once else layer.size

    @cached_property
    def weighted(self) -> Affine | None:
        """The layer with weights that takes its input summed over time, unless that is the stem, or there is none."""
        layer = self.layers[self.end] if self.end < len(self.layers) - 1 else None
        return layer if isinstance(layer, Affine) else None

    @cached_property
    def end(self) -> int:
        """One past the last layer that runs step by step."""
        count = len(self.layers)
        if self.step_weights is None:
            return count
        return count - 1 if self.stem == count - 2 else count - 2

    @cached_property
    def lowest(self) -> int:
        """The lowest layer that a gradient reaches: below the first with parameters nobody needs one."""
        return self.begin if self.stem is not None else next(k.index for k in self.layers if k.parameters)

    @cached_property
    def compact_below(self) -> dict[int, FiringNeurons]:
        """Firing layers whose surrogate has compact support, by the next layer with weights above them."""
        found: dict[int, FiringNeurons] = {}
        below: Layer | None = None
        for layer in self.layers:
            if isinstance(layer, Affine) and isinstance(below, FiringNeurons) and below.firing.surrogate.compact:
                found[layer.index] = below
            if isinstance(layer, Affine | FiringNeurons):
                below = layer
        return found


@dataclass(eq=False)
class Forward:
    """What a forward pass of one micro-batch leaves behind.

    ``inputs[i]`` is what went into layer i and ``inputs[i + 1]`` what came out of it, for the layers that ran step
    by step. ``logits`` [M, K]; ``step_logits`` [M, T, K] where the plan has them or they were asked for.
    """

    inputs: dict[int, Signal]
    logits: FloatArray
    step_logits: FloatArray | None


def forward(plan: Plan, signal: Signal, micro: MicroBatch, *, with_steps: bool) -> Forward:
    """Run a micro-batch; ``signal`` is the input of layer ``plan.begin``."""
    inputs = run_layers(plan, signal, micro)
    last = plan.layers[-1]
    if plan.step_weights is None:
        steps = step_logits(last, inputs[last.index + 1], micro)
        return Forward(inputs, plan.readout.logits(steps), steps)
    before = inputs[plan.end]
    if plan.weighted is None:
        assert isinstance(before, Analog)
        logits = before.values[:, 0] * plan.step_weights.sum(dtype=np.float32)
    else:
        activity = plan.weighted.activity(micro)
        plan.weighted.add_activity(before, plan.step_weights, activity)
        logits = plan.weighted.summed_forward(activity, micro, plan.step_weights.sum(dtype=np.float32))
    steps_beside = None
    if with_steps:
        # Beside, into other places: what is recorded never changes a bit of the result.
        beside = MicroBatch(micro.samples, micro.size, micro.steps, micro.workspace, path=micro.path)
        output = before
        for layer in plan.layers[plan.end :]:
            output = layer.forward(output, beside)
        micro.saved.setdefault(last.index, beside.saved[last.index])
        steps_beside = step_logits(last, output, micro)
    return Forward(inputs, logits, steps_beside)


def run_layers(plan: Plan, signal: Signal, micro: MicroBatch) -> dict[int, Signal]:
    """Run the layers that run step by step; return what went into each, and what came out of the last."""
    inputs: dict[int, Signal] = {plan.begin: signal}
    for layer in plan.layers[plan.begin : plan.end]:
        inputs[layer.index + 1] = layer.forward(inputs[layer.index], micro)
    return inputs


def backward(
    plan: Plan, gradient: Gradient, micro: MicroBatch, share: Share, *, last: bool = True
) -> FloatArray | None:
    """Carry the gradient of the readout's input back, see `readout_gradient`, adding to the share.

    ``last`` says that the micro-batch adds nothing more to it. Returns the deltas of the stem's currents, summed over
    time [M, N], where the plan has a stem.
    """
    stop = len(plan.layers) if plan.step_weights is None else plan.end + (plan.end < len(plan.layers) - 1)
    for layer in reversed(plan.layers[plan.lowest : stop]):
        needs_inputs = layer.index > plan.lowest or plan.stem is not None
        if needs_inputs and layer.index in plan.compact_below and gradient.weights is None:
            _say_where_needed(plan, layer.index, micro)
        passed = layer.backward(gradient, micro, share.of(layer.index), needs_inputs)
        if last:
            share.done(layer.index)
        if passed is None:
            return None
        gradient = passed
    if plan.stem is None:
        return None
    return gradient.over_constant().values[:, 0]


def _say_where_needed(plan: Plan, above: int, micro: MicroBatch) -> None:
    """Tell a layer with weights where the neurons below need its input's gradient, if that is few enough to matter."""
    below, layer = plan.compact_below[above], plan.layers[above]
    assert isinstance(layer, Affine)
    micro.needed.pop(above, None)
    # Through a pool, the part that is needed grows.
    needed = below.active(micro, layer.needed_up_to)
    for between in plan.layers[below.index + 1 : above]:
        if needed is None:
            return
        needed = between.needed_through(needed, micro)
    if needed is not None and needed.indices.size <= layer.needed_up_to * micro.samples * micro.steps * layer.fan_in:
        micro.needed[above] = needed


def readout_gradient(
    plan: Plan, step_logits: FloatArray | None, logit_gradient: FloatArray | None, step_gradient: FloatArray | None
) -> Gradient:
    """Turn the gradients of logits [M, K] and step logits [M, T, K] into that of what `backward` begins with."""
    if plan.back_weights is not None:
        assert logit_gradient is not None
        if plan.weighted is None:
            total = logit_gradient * plan.back_weights.sum(dtype=np.float32)
            return Gradient(total[:, None], total=total)
        return Gradient(logit_gradient[:, None], plan.back_weights)
    assert step_logits is not None
    if step_gradient is None:
        assert logit_gradient is not None
        return Gradient(plan.readout.backward(step_logits, logit_gradient))
    if logit_gradient is not None:
        step_gradient = step_gradient + plan.readout.backward(step_logits, logit_gradient)
    return Gradient(np.ascontiguousarray(step_gradient))


class WholePass:
    """A training pass of one micro-batch over all steps at once.

    Attributes
    ----------
    logits : float32 [M, K]
    step_logits : float32 [M, T, K] or None
        Where the plan has them.
    spikes : int64 [M]
        Spikes of each sample in all firing layers.
    """

    def __init__(self, plan: Plan, signal: Signal, micro: MicroBatch) -> None:
        self._plan, self._micro = plan, micro
        self._result = forward(plan, signal, micro, with_steps=False)
        self.logits, self.step_logits = self._result.logits, self._result.step_logits
        self.spikes = spikes_of(plan, self._result.inputs, micro.samples)

    def neuron_spikes(self, layer: Layer) -> NDArray[np.int64]:
        """Return how often each neuron of a firing layer fired, int64 [M, N]."""
        return neuron_spikes(layer, self._result.inputs[layer.index + 1], self._micro.samples)

    def backward(
        self,
        logit_gradient: FloatArray | None,
        step_gradient: FloatArray | None,
        share: Share,
    ) -> FloatArray | None:
        """Carry the gradients of logits [M, K] and step logits [M, T, K] back, adding to the share.

        Returns the deltas of the stem's currents, summed over time [M, N], where the plan has a stem.
        """
        gradient = readout_gradient(self._plan, self.step_logits, logit_gradient, step_gradient)
        return backward(self._plan, gradient, self._micro, share)


def spikes_of(plan: Plan, inputs: Mapping[int, Signal], samples: int) -> NDArray[np.int64]:
    """Return the spikes of each sample in all firing layers, int64 [M]."""
    total = np.zeros(samples, np.int64)
    for layer in plan.layers:
        output = inputs.get(layer.index + 1)
        if layer.fires and isinstance(output, Events):
            total += output.per_sample
    return total


def add_neuron_spikes(output: Signal, counts: NDArray[np.int64]) -> None:
    """Add how often each neuron fired to ``counts`` [M, N]."""
    assert isinstance(output, Events)
    propagate.count_events(output.indptr, output.indices, output.num_steps, counts)


def neuron_spikes(layer: Layer, output: Signal, samples: int) -> NDArray[np.int64]:
    """Return how often each neuron of a firing layer fired, int64 [M, N]."""
    counts = np.zeros((samples, layer.size), np.int64)
    add_neuron_spikes(output, counts)
    return counts


def mean_output(layer: Layer, output: Signal, micro: MicroBatch) -> FloatArray:
    """Return a layer's output averaged over the steps, spikes counting 1, float32 [M, N]."""
    if isinstance(output, Events):
        return (neuron_spikes(layer, output, micro.samples) / micro.steps).astype(np.float32)
    return np.asarray(output.values.reshape(micro.samples, -1, layer.size).mean(axis=1))


def hidden_firing(layers: Sequence[Layer]) -> list[Layer]:
    """Return the firing layers before the readout."""
    return [layer for layer in layers[:-1] if layer.fires]


def spike_fan_out(layers: Sequence[Layer], firing: Layer) -> NDArray[np.int64]:
    """Return how many synapses a spike of each neuron reaches, in the next layer with weights and its own, int64 [N].

    Through pools: a spike in several windows reaches what each of their events does, one in none nothing.
    """
    following = next((layer for layer in layers[firing.index + 1 :] if isinstance(layer, Affine)), None)
    reached: NDArray[np.int64] = np.zeros(firing.size, np.int64)
    if following is not None:
        reached = following.fan_out()[:, 0]
        for between in reversed(layers[firing.index + 1 : following.index]):
            reached = between.reached_through(reached)
    if isinstance(firing, FiringNeurons) and firing.firing.recurrent:
        reached = reached + firing.recurrent_fan_out()[:, 0]
    return reached


def parameters_of(layers: Sequence[Layer]) -> dict[str, FloatArray]:
    """Return all parameters under their names, ``<index>.<name>``."""
    return {f"{layer.index}.{name}": array for layer in layers for name, array in layer.parameters.items()}
