"""Counting a batch: tallies of micro-batches while their events are there, counters of all samples at the end."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnsim.accounting import Counter, InputCounts, LayerCounts, RunCounts, StepCounts, Tally
from snnsim.layers import Affine, FiringNeurons, Layer
from snnsim.layers.base import Counted, FanOut, MicroBatch, Signal, constant
from snnsim.passes import Plan


@dataclass(eq=False)
class Tallies:
    """What was counted of some samples: events from outside, int64 [M], and the tallies of the layers."""

    input: Counter
    layers: Sequence[Tally]

    @classmethod
    def over_time(cls, parts: "Sequence[Tallies]") -> "Tallies":
        """Add up several stretches of steps."""
        return cls._of(parts, sum)

    @classmethod
    def join(cls, parts: "Sequence[Tallies]") -> "Tallies":
        """Put the samples of several micro-batches one after another."""
        return cls._of(parts, lambda arrays: np.concatenate(arrays, axis=-1))

    @classmethod
    def _of(cls, parts: "Sequence[Tallies]", make: Callable[[list[Counter]], Any]) -> "Tallies":
        layers = [
            {name: make([tally[name] for tally in tallies]) for name in tallies[0]}
            for tallies in zip(*(part.layers for part in parts), strict=True)
        ]
        return cls(make([part.input for part in parts]), layers)


class Counting:
    """Counts one batch: knows the fan-out of its weights, which may have changed since the last.

    Parameters
    ----------
    plan
        How the network runs.
    constant
        Whether the network's input is the same at every step.
    """

    def __init__(self, plan: Plan, *, constant: bool) -> None:
        self._plan, self._constant = plan, constant
        self.fan_out = {index: FanOut(synapses) for index, synapses in fan_outs(plan.layers).items()}

    def tally(self, network_input: Signal, run: Mapping[int, Signal], micro: MicroBatch) -> Tallies:
        """Count a micro-batch's forward pass; ``run`` is what `passes.run_layers` returned."""
        layers = [layer.tally(*signals, micro) for layer, signals in _signals(self._plan, network_input, run)]
        events = network_input.per_sample
        return Tallies(events * micro.steps if constant(network_input) else events, layers)

    def total(self, parts: Sequence[Tallies]) -> RunCounts:
        """Return the counters of the batch, from the tallies of its micro-batches in order."""
        tallies, steps = Tallies.join(parts), self._plan.steps
        records: list[LayerCounts] = []
        same = self._constant
        for layer, tally in zip(self._plan.layers, tallies.layers, strict=True):
            run = Counted(tallies.input.size, steps, self.fan_out, constant=same or steps == 1)
            records.append(layer.count(tally, run))
            same = same and not layer.carries
        return RunCounts(records, InputCounts(tallies.input))


def count_steps(plan: Plan, network_input: Signal, run: Mapping[int, Signal], micro: MicroBatch) -> list[StepCounts]:
    """Count a micro-batch's forward pass step by step, layer by layer; see `Counting.tally`."""
    return [layer.count_steps(*signals, micro) for layer, signals in _signals(plan, network_input, run)]


def _signals(
    plan: Plan, network_input: Signal, run: Mapping[int, Signal]
) -> Iterator[tuple[Layer, tuple[Signal, Signal]]]:
    """Give every layer with what went in and what came out.

    Layers below those that ran step by step got the network's input; of those above nobody looks at it.
    """
    signals = {0: network_input, **run}
    for layer in plan.layers:
        yield layer, (signals.get(layer.index, network_input), signals.get(layer.index + 1, network_input))


def fan_outs(layers: Sequence[Layer]) -> dict[int, NDArray[np.int64]]:
    """Return the fan-out of every layer with weights, recurrent ones included."""
    fan_out = {layer.index: layer.fan_out() for layer in layers if isinstance(layer, Affine)}
    recurrent = [layer for layer in layers if isinstance(layer, FiringNeurons) and layer.firing.recurrent]
    return fan_out | {layer.index: layer.recurrent_fan_out() for layer in recurrent}
