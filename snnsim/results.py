"""What a run of a network gives back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from snnsim.accounting import RunCounts, StepCounts
from snnsim.counting import Tallies
from snnsim.errors import InputError
from snnsim.events import Events
from snnsim.tables import LAYER_COLUMNS, LayerFacts, html_table, layer_rows, text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FloatArray = NDArray[np.float32]


class DenseSpikes(Mapping[int, FloatArray]):
    """Spike trains as dense arrays [T, B, ...], made from the events when asked for."""

    def __init__(self, events: Mapping[int, Events]) -> None:
        self._events = events

    def __getitem__(self, layer: int) -> FloatArray:
        return self._events[layer].to_dense()

    def __iter__(self) -> Iterator[int]:
        return iter(self._events)

    def __len__(self) -> int:
        return len(self._events)


@dataclass(frozen=True, eq=False)
class MicroRun:
    """A micro-batch that went through a network, in arrays of its own.

    ``logits`` [M, K], ``step_logits`` [M, T, K], ``membrane[i]`` [M, S, ...] with S = T, or 1 where constant.
    """

    logits: FloatArray
    step_logits: FloatArray | None
    tallies: Tallies
    step_counts: Sequence[StepCounts] | None
    events: Mapping[int, Events]
    membrane: Mapping[int, FloatArray]
    inputs: Events | None


@dataclass(frozen=True, eq=False)
class BatchRun:
    """A batch that went through a network.

    Attributes
    ----------
    logits : float32 [B, K]
    step_logits : float32 [T, B, K] or None
        The readout at every step; of a firing readout, its spikes. `Network.run` always gives them.
    counts : RunCounts
        ``counts[i].synops_effective`` and the other exact counters, int64 [B] each.
    step_counts : list of StepCounts or None
        ``step_counts[i].synops``, int64 [T, B], and what else layer i did at every step, where that was recorded.
    events : mapping
        Firing layer's index to its `Events`, where spikes were recorded.
    membrane : mapping
        Layer's index to float32 [T, B, ...], before the reset, where membranes were recorded.
    inputs : Events or None
        What the first layer got, where spikes were recorded and it got events.
    steps : int
        T.
    layers : list of LayerFacts
        Name and shape of each layer.
    """

    logits: FloatArray
    step_logits: FloatArray | None
    counts: RunCounts
    step_counts: Sequence[StepCounts] | None
    events: Mapping[int, Events]
    membrane: Mapping[int, FloatArray]
    inputs: Events | None
    steps: int
    layers: Sequence[LayerFacts]

    @property
    def spikes(self) -> DenseSpikes:
        """Firing layer's index to its spikes, dense [T, B, ...]."""
        return DenseSpikes(self.events)

    @property
    def predictions(self) -> NDArray[np.int64]:
        """The class of the largest logit, int64 [B]."""
        return np.asarray(self.logits.argmax(axis=1), np.int64)

    def figure(self, sample: int = 0) -> "Figure":
        """Draw the spikes of one sample through all layers; they must have been recorded.

        Raises
        ------
        InputError
            Spikes were not recorded, or there is no such sample.
        """
        from snnsim.plots import spike_raster

        if not self.events:
            raise InputError("no spikes were recorded: run the network with record='spikes'")
        if not 0 <= sample < len(self.logits):
            raise InputError(f"sample: must be from 0 to {len(self.logits) - 1} (got {sample})")
        trains = [(self.layers[index].title, events) for index, events in self.events.items()]
        if self.inputs is not None:
            trains.insert(0, ("input", self.inputs))
        panels = [(title, events.samples(sample, sample + 1).to_dense()[:, 0]) for title, events in trains]
        return spike_raster(panels, f"sample {sample}: class {self.predictions[sample]} predicted")

    def __repr__(self) -> str:
        return f"{self._headline}\n{text_table(LAYER_COLUMNS, self._rows)}"

    def _repr_html_(self) -> str:
        return html_table(self._headline, LAYER_COLUMNS, self._rows)

    @property
    def _headline(self) -> str:
        batch, outputs = self.logits.shape
        total = self.counts.totals()
        return (
            f"BatchRun: {batch} samples, {self.steps} steps, {outputs} outputs; {total['spikes']:,} spikes and "
            f"{total['acs'] + total['macs']:,} SynOps in all, a sample:"
        )

    @property
    def _rows(self) -> list[tuple[object, ...]]:
        return layer_rows(self.layers, [counts.totals() for counts in self.counts], len(self.logits))


def join(parts: Sequence[MicroRun], counts: RunCounts, steps: int, layers: Sequence[LayerFacts]) -> BatchRun:
    """Put micro-batches together, time first."""
    first = parts[0]
    step_logits = [part.step_logits for part in parts if part.step_logits is not None]
    inputs = [part.inputs for part in parts if part.inputs is not None]
    step_counts = [part.step_counts for part in parts if part.step_counts is not None]
    return BatchRun(
        logits=np.concatenate([part.logits for part in parts]),
        step_logits=_time_first(step_logits, steps) if step_logits else None,
        counts=counts,
        step_counts=[StepCounts.join(of, axis=1) for of in zip(*step_counts, strict=True)] if step_counts else None,
        events={index: Events.join([part.events[index] for part in parts]) for index in first.events},
        membrane={index: _time_first([part.membrane[index] for part in parts], steps) for index in first.membrane},
        inputs=Events.join(inputs) if inputs else None,
        steps=steps,
        layers=layers,
    )


def _time_first(parts: Sequence[FloatArray], steps: int) -> FloatArray:
    joined = np.moveaxis(np.concatenate(parts), 0, 1)
    return np.ascontiguousarray(np.broadcast_to(joined, (steps, *joined.shape[1:])))


@dataclass(frozen=True, eq=False)
class BatchStep:
    """One batch of training: loss and gradients, and how it went.

    ``gradients`` are buffers that the network's next call overwrites; ``loss`` includes the regularisers; ``correct``
    counts right answers, None where targets are values.
    """

    loss: float
    gradients: Mapping[str, FloatArray]
    correct: int | None
    spikes: int
