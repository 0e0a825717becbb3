"""Counting a batch: tallies of micro-batches while their events are there, counters of all samples at the end."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnsim.accounting import Counter, InputCounts, LayerCounts, RunCounts, StepCounts, Tally
from snnsim.encoders import BatchInput, ConstantInput
from snnsim.layers import Affine, FiringNeurons, Layer
from snnsim.layers.base import MicroBatch, Workspace
from snnsim.layers.fan_out import Counted, FanOut
from snnsim.layers.signals import Signal
from snnsim.passes import Plan

Tallies = list[Tally]
FanOuts = Mapping[int, FanOut]


class Counting:
    """Counts one batch.

    What is the same at every step is counted here, once: a constant input, and what it reaches in the stem.

    Parameters
    ----------
    fan_out
        Of the layers with the weights as they are, where somebody knows it; else it is counted.
    """

    def __init__(self, plan: Plan, batch: BatchInput, fan_out: FanOuts | None = None) -> None:
        self._plan, self._batch, self._run = plan, batch.batch, plan.layers[plan.begin :]
        self.fan_out = count_fan_outs(plan.layers) if fan_out is None else fan_out
        self._once: Tallies = []
        if isinstance(batch, ConstantInput):
            whole = MicroBatch(batch.batch, batch.batch, batch.steps, Workspace(), fan_out=self.fan_out)
            x = batch.signal(0, batch.batch, whole.workspace)
            self._once = [{"events": x.per_sample * batch.steps}]
            self._once += [layer.tally(x, x, whole) for layer in plan.layers[: plan.begin]]

    def tally(self, network_input: Signal, run: Mapping[int, Signal], micro: MicroBatch) -> Tallies:
        """Count a micro-batch's forward pass, or a stretch of it; ``run`` is what `passes.run_layers` returned."""
        tallies: Tallies = [] if self._once else [{"events": network_input.per_sample}]
        for layer in self._run:
            # What is above the layers that ran step by step has nothing to tally.
            signal, output = run.get(layer.index, network_input), run.get(layer.index + 1, network_input)
            tallies.append(layer.tally(signal, output, micro))
        return tallies

    def total(self, parts: Sequence[Tallies]) -> RunCounts:
        """Return the counters of the batch, from the tallies of its micro-batches in order."""
        outside, *tallies = self._once + _together(parts, _join)
        run = Counted(self._batch, self._plan.steps, self.fan_out, constant=bool(self._once))
        records: list[LayerCounts] = []
        for layer, tally in zip(self._plan.layers, tallies, strict=True):
            records.append(layer.count(tally, run))
            run.constant = run.constant and not layer.carries
        return RunCounts(records, InputCounts(outside["events"]))


def over_time(parts: Sequence[Tallies]) -> Tallies:
    """Add up the tallies of several stretches of steps."""
    return _together(parts, sum)


def _together(parts: Sequence[Tallies], make: Callable[[list[Counter]], Any]) -> Tallies:
    return [{name: make([tally[name] for tally in same]) for name in same[0]} for same in zip(*parts, strict=True)]


def _join(samples: list[Counter]) -> Counter:
    return np.concatenate(samples, axis=-1)


def count_steps(plan: Plan, network_input: Signal, run: Mapping[int, Signal], micro: MicroBatch) -> list[StepCounts]:
    """Count a micro-batch's forward pass step by step, layer by layer; see `Counting.tally`."""
    return [
        # Layers below those that ran step by step got the network's input; of those above nobody looks at it.
        layer.count_steps(run.get(layer.index, network_input), run.get(layer.index + 1, network_input), micro)
        for layer in plan.layers
    ]


def count_fan_outs(layers: Sequence[Layer]) -> FanOuts:
    """Count the fan-out of every layer with weights, as the weights are now."""
    return {index: FanOut(synapses) for index, synapses in fan_outs(layers).items()}


def fan_outs(layers: Sequence[Layer]) -> dict[int, NDArray[np.int64]]:
    """Return the fan-out of every layer with weights, recurrent ones included."""
    fan_out = {layer.index: layer.fan_out() for layer in layers if isinstance(layer, Affine)}
    recurrent = [layer for layer in layers if isinstance(layer, FiringNeurons) and layer.firing.recurrent]
    return fan_out | {layer.index: layer.recurrent_fan_out() for layer in recurrent}
