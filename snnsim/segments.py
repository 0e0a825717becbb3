"""A training pass over time in segments: only what neurons carry over the segments' borders is kept.

The forward pass keeps the states at the borders; on the way back each segment is run again from its border, so that
the traces of one segment at a time are in memory: O(k + T / k) for segments of k steps instead of O(T) (Chen et al.
2016, arXiv:1604.06174). Segments begin at the multiples of k, whatever the number of steps.

Counted runs go forwards in the same segments, with no more than one of them in memory.

Truncated backpropagation through time uses the same segments: what neurons carry over a border - membranes after the
reset, resets still to come, synaptic currents, adaptation, last spikes - counts as a constant there (Williams & Peng
1990, doi:10.1162/neco.1990.2.4.490).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from snnsim.accounting import StepCounts
from snnsim.counting import Counting, Tallies, count_steps, over_time
from snnsim.events import Events
from snnsim.gradient_sums import Share
from snnsim.kernels import codes
from snnsim.layers.base import Affine, Layer, MicroBatch
from snnsim.layers.readout import step_logits
from snnsim.layers.signals import FloatArray, Signal, constant
from snnsim.passes import (
    Plan,
    add_neuron_spikes,
    backward,
    readout_gradient,
    run_layers,
    spikes_of,
)

Carried = dict[int, FloatArray]


class _Segmented:
    """A micro-batch on its way over time, ``every`` steps at once.

    Attributes
    ----------
    logits : float32 [M, K]
    step_logits : float32 [M, T, K] or None
        Where the plan has them, or ``with_steps`` asks for them.
    """

    logits: FloatArray
    step_logits: FloatArray | None

    def __init__(self, plan: Plan, signal: Signal, micro: MicroBatch, every: int) -> None:
        self._plan, self._signal, self._micro = plan, signal, micro
        self._stateful = [layer for layer in plan.layers[plan.begin : plan.end] if layer.carries]
        # Where nothing varies in time, there is nothing to cut.
        length = plan.steps if constant(signal) and not self._stateful else every
        self._bounds = [(start, min(start + length, plan.steps)) for start in range(0, plan.steps, length)]
        self._carried = self._states(self._stateful, "carried", codes.CARRIED)
        self._begun = self._states(self._stateful, "begun", codes.CARRIED)

    def _states(self, layers: Iterable[Layer], role: str, rows: int) -> Carried:
        """Return layers' buffers [M, rows, N] for some role, zero."""
        states: Carried = {}
        for layer in layers:
            buffer = layer.buffer(self._micro, role, (self._micro.size, rows, layer.size))[: self._micro.samples]
            buffer[...] = 0
            states[layer.index] = buffer
        return states

    def _forward(self, *, with_steps: bool) -> tuple[FloatArray, FloatArray | None]:
        """Run all segments; return logits, and step logits where the plan has them or they are asked for."""
        plan, micro, last = self._plan, self._micro, self._plan.layers[-1]
        activity = None if plan.weighted is None else plan.weighted.activity(micro, "activity of all steps")
        beside = self._states([last], "carried beside", codes.CARRIED) if with_steps and plan.weighted else {}
        steps = None
        if plan.weighted is None or with_steps:
            steps = np.empty((micro.samples, plan.steps, last.size), np.float32)
        for k, (start, stop) in enumerate(self._bounds):
            self._begins(k)
            inputs = self._run(k)
            self._ran(inputs)
            output = inputs[plan.end]
            if activity is not None:
                assert plan.weighted is not None
                assert plan.step_weights is not None
                plan.weighted.add_activity(output, plan.step_weights[start:stop], activity)
            if steps is not None:
                if beside:
                    # Beside, into other places: what is asked for never changes a bit of the result.
                    part = self._micro.stretch(stop - start, beside, {})
                    for layer in plan.layers[plan.end :]:
                        output = layer.forward(output, part)
                steps[:, start:stop] = step_logits(last, output, self._part)
        if activity is None:
            assert steps is not None
            return plan.readout.logits(steps), steps
        assert plan.weighted is not None
        assert plan.step_weights is not None
        return plan.weighted.summed_forward(activity, micro, plan.step_weights.sum(dtype=np.float32)), steps

    def _begins(self, k: int) -> None:
        """Take note of the states that segment k begins with."""

    def _ran(self, inputs: Mapping[int, Signal]) -> None:
        """Take note of what went through the layers in a segment."""

    def _run(self, k: int) -> dict[int, Signal]:
        """Run segment k from the states that are carried into it; return what went into each layer."""
        start, stop = self._bounds[k]
        for layer in self._stateful:
            rows = list(layer.carries)
            self._begun[layer.index][:, rows] = self._carried[layer.index][:, rows]
        self._part = self._micro.stretch(stop - start, self._carried, self._begun)
        signal = self._signal.steps(start, stop) if isinstance(self._signal, Events) else self._signal
        self._inputs = run_layers(self._plan, signal, self._part)
        return self._inputs


class SegmentedRun(_Segmented):
    """A forward pass of one micro-batch in segments.

    ``tallies`` are those of all of them, ``step_counts`` the counters of every step where ``by_step`` asks for them.
    """

    def __init__(
        self,
        plan: Plan,
        network_input: Signal,
        signal: Signal,
        micro: MicroBatch,
        every: int,
        counting: Counting,
        *,
        with_steps: bool,
        by_step: bool,
    ) -> None:
        super().__init__(plan, signal, micro, every)
        self._network_input, self._counting = network_input, counting
        self._parts: list[Tallies] = []
        self._step_parts: list[list[StepCounts]] | None = [] if by_step else None
        self.logits, self.step_logits = self._forward(with_steps=with_steps)
        self.tallies = over_time(self._parts)
        self.step_counts: list[StepCounts] | None = None
        if self._step_parts is not None:
            self.step_counts = [StepCounts.join(parts, axis=0) for parts in zip(*self._step_parts, strict=True)]

    def _ran(self, inputs: Mapping[int, Signal]) -> None:
        network_input = self._network_input if self._plan.begin else inputs[0]
        self._parts.append(self._counting.tally(network_input, inputs, self._part))
        if self._step_parts is not None:
            self._step_parts.append(count_steps(self._plan, network_input, inputs, self._part))


class SegmentedPass(_Segmented):
    """A training pass of one micro-batch in segments; see `snnsim.passes.WholePass`.

    ``truncate`` cuts the gradient between segments; ``penalised`` are the layers whose neurons' spikes will be asked
    for.
    """

    def __init__(
        self,
        plan: Plan,
        signal: Signal,
        micro: MicroBatch,
        every: int,
        *,
        truncate: bool,
        penalised: Iterable[Layer],
    ) -> None:
        super().__init__(plan, signal, micro, every)
        self._truncate = truncate
        self._carried_back = self._states(self._stateful, "carried back", codes.CARRIED_BACK)
        self._borders = {
            layer.index: layer.buffer(micro, "borders", (len(self._bounds), micro.size, len(layer.carries), layer.size))
            for layer in self._stateful
        }
        self.spikes = np.zeros(micro.samples, np.int64)
        self._counts = {layer.index: np.zeros((micro.samples, layer.size), np.int64) for layer in penalised}
        self.logits, self.step_logits = self._forward(with_steps=False)

    def _begins(self, k: int) -> None:
        for layer in self._stateful:
            rows = list(layer.carries)
            self._borders[layer.index][k, : self._micro.samples] = self._carried[layer.index][:, rows]

    def _ran(self, inputs: Mapping[int, Signal]) -> None:
        self.spikes += spikes_of(self._plan, inputs, self._micro.samples)
        for index, counts in self._counts.items():
            add_neuron_spikes(inputs[index + 1], counts)

    def _run_again(self, k: int) -> None:
        for layer in self._stateful:
            rows = list(layer.carries)
            self._carried[layer.index][:, rows] = self._borders[layer.index][k, : self._micro.samples]
        self._run(k)

    def neuron_spikes(self, layer: Layer) -> NDArray[np.int64]:
        """Return how often each neuron of a penalised layer fired, int64 [M, N]."""
        return self._counts[layer.index]

    def backward(
        self,
        logit_gradient: FloatArray | None,
        step_gradient: FloatArray | None,
        share: Share,
    ) -> FloatArray | None:
        """Carry the gradients of logits [M, K] and step logits [M, T, K] back, adding to the share.

        Returns the deltas of the stem's currents, summed over time [M, N], where the plan has a stem.
        """
        plan = self._plan
        gradient = readout_gradient(plan, self.step_logits, logit_gradient, step_gradient)
        total: FloatArray | None = None
        newest = len(self._bounds) - 1
        for k in range(newest, -1, -1):
            start, stop = self._bounds[k]
            if k < newest:  # the newest is as the forward pass left it
                self._run_again(k)
            part = replace(self._part, extra=self._micro.extra, carried_back=self._carried_back)
            if plan.weighted is not None:
                assert plan.back_weights is not None
                self._sum_inputs(plan.weighted, plan.back_weights[start:stop], part)
            delta = backward(plan, gradient.steps(start, stop), part, share, last=k == 0)
            if delta is not None:
                total = delta.copy() if total is None else total + delta
            if self._truncate:
                for carried in self._carried_back.values():
                    carried[...] = 0
        return total

    def _sum_inputs(self, layer: Affine, weights: FloatArray, part: MicroBatch) -> None:
        """Get the layer that takes its input summed over time ready for the way back through a segment."""
        activity = layer.activity(part)
        layer.add_activity(self._inputs[layer.index], weights, activity)
        layer.summed_forward(activity, part, weights.sum(dtype=np.float32))


def kept_values(layers: Sequence[Layer], steps: int, length: int) -> int:
    """Return how many numbers a sample's pass in segments of ``length`` steps keeps beside the traces of a segment."""
    if length >= steps:
        return 0
    states = [layer for layer in layers if layer.carries]
    borders = sum(len(layer.carries) * layer.size for layer in states) * -(-steps // length)
    return (
        borders
        + (2 * codes.CARRIED + codes.CARRIED_BACK) * sum(layer.size for layer in states)
        + (layers[-1].size * steps)
    )
