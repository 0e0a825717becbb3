"""A training pass over time in segments: only what neurons carry over the segments' borders is kept.

The forward pass keeps the states at the borders; on the way back each segment is run again from its border, so that
the traces of one segment at a time are in memory: O(k + T / k) for segments of k steps instead of O(T) (Chen et al.
2016, arXiv:1604.06174). Segments begin at the multiples of k, whatever the number of steps.

Truncated backpropagation through time uses the same segments: what neurons carry over a border - membranes after the
reset, resets still to come, synaptic currents, adaptation, last spikes - counts as a constant there (Williams & Peng
1990, doi:10.1162/neco.1990.2.4.490).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from snnsim.events import Events
from snnsim.kernels import neurons
from snnsim.layers.base import Affine, FloatArray, Layer, MicroBatch, Signal, constant
from snnsim.layers.readout import step_logits
from snnsim.passes import Plan, add_neuron_spikes, backward, readout_gradient, run_layers, spikes_of

Carried = dict[int, FloatArray]


class SegmentedPass:
    """A training pass of one micro-batch in segments of ``every`` steps; see `snnsim.passes.WholePass`.

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
        self._plan, self._signal, self._micro, self._truncate = plan, signal, micro, truncate
        self._stateful = [layer for layer in plan.layers[plan.begin : plan.end] if layer.carries]
        still = constant(signal) and not self._stateful  # nothing varies in time: nothing to cut
        length = plan.steps if still else every
        self._bounds = [(start, min(start + length, plan.steps)) for start in range(0, plan.steps, length)]
        self._carried = self._states("carried", neurons.CARRIED)
        self._begun = self._states("begun", neurons.CARRIED)
        self._carried_back = self._states("carried back", neurons.CARRIED_BACK)
        self._borders = {
            layer.index: layer.buffer(micro, "borders", (len(self._bounds), micro.size, len(layer.carries), layer.size))
            for layer in self._stateful
        }
        self.spikes = np.zeros(micro.samples, np.int64)
        self._counts = {layer.index: np.zeros((micro.samples, layer.size), np.int64) for layer in penalised}
        self.logits, self.step_logits = self._forward()

    def _states(self, role: str, rows: int) -> Carried:
        """Return every stateful layer's buffer [M, rows, N] for some role, zero."""
        states: Carried = {}
        for layer in self._stateful:
            buffer = layer.buffer(self._micro, role, (self._micro.size, rows, layer.size))[: self._micro.samples]
            buffer[...] = 0
            states[layer.index] = buffer
        return states

    def _forward(self) -> tuple[FloatArray, FloatArray | None]:
        """Run all segments, keep what they begin with; return logits and, where the plan has them, step logits."""
        plan, micro = self._plan, self._micro
        activity = None if plan.weighted is None else plan.weighted.activity(micro, "activity of all steps")
        last = plan.layers[-1]
        steps = np.empty((micro.samples, plan.steps, last.size), np.float32) if plan.step_weights is None else None
        for k, (start, stop) in enumerate(self._bounds):
            for layer in self._stateful:
                kept = self._borders[layer.index][k, : micro.samples]
                kept[...] = self._carried[layer.index][:, list(layer.carries)]
            inputs = self._run(k)
            self._count(inputs)
            output = inputs[plan.end]
            if steps is not None:
                steps[:, start:stop] = step_logits(last, output, self._part)
            elif plan.weighted is not None and activity is not None:
                assert plan.step_weights is not None
                plan.weighted.add_activity(output, plan.step_weights[start:stop], activity)
        if steps is not None:
            return plan.readout.logits(steps), steps
        assert plan.weighted is not None
        assert plan.step_weights is not None
        assert activity is not None
        return plan.weighted.summed_forward(activity, micro, plan.step_weights.sum(dtype=np.float32)), None

    def _run(self, k: int) -> dict[int, Signal]:
        """Run segment k from the states at its beginning; return what went into each layer."""
        start, stop = self._bounds[k]
        for layer in self._stateful:
            rows = list(layer.carries)
            kept = self._borders[layer.index][k, : self._micro.samples]
            self._carried[layer.index][:, rows] = kept
            self._begun[layer.index][:, rows] = kept
        self._part = replace(
            self._micro,
            steps=stop - start,
            saved={},
            carried=self._carried,
            begun=self._begun,
            carried_back=self._carried_back,
        )
        signal = self._signal.steps(start, stop) if isinstance(self._signal, Events) else self._signal
        self._inputs = run_layers(self._plan, signal, self._part)
        return self._inputs

    def _count(self, inputs: Mapping[int, Signal]) -> None:
        self.spikes += spikes_of(self._plan, inputs, self._micro.samples)
        for index, counts in self._counts.items():
            add_neuron_spikes(inputs[index + 1], counts)

    def neuron_spikes(self, layer: Layer) -> NDArray[np.int64]:
        """Return how often each neuron of a penalised layer fired, int64 [M, N]."""
        return self._counts[layer.index]

    def backward(
        self,
        logit_gradient: FloatArray | None,
        step_gradient: FloatArray | None,
        gradients: Sequence[Mapping[str, FloatArray]],
    ) -> FloatArray | None:
        """Carry the gradients of logits [M, K] and step logits [M, T, K] back, adding to ``gradients[layer]``.

        Returns the deltas of the stem's currents, summed over time [M, N], where the plan has a stem.
        """
        plan = self._plan
        gradient = readout_gradient(plan, self.step_logits, logit_gradient, step_gradient)
        total: FloatArray | None = None
        newest = len(self._bounds) - 1
        for k in range(newest, -1, -1):
            start, stop = self._bounds[k]
            if k < newest:  # the newest is as the forward pass left it
                self._run(k)
            part = replace(self._part, extra=self._micro.extra)
            if plan.weighted is not None:
                assert plan.back_weights is not None
                self._sum_inputs(plan.weighted, plan.back_weights[start:stop], part)
            delta = backward(plan, gradient.steps(start, stop), part, gradients)
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
