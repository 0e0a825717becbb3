"""Exact counters: integers, one record per layer, one number per sample; nothing is estimated from rates."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Counter = NDArray[np.int64]

# What a layer counts of a forward pass while its events are there, int64 with the samples last, under names of its own.
Tally = Mapping[str, Counter]

# The counters' names, in the order in which `LayerCounts` has them.
COUNTERS: list[str] = []


class _Row:
    """A counter of `LayerCounts`: a row of its table under a name."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._row = len(COUNTERS)
        COUNTERS.append(name)

    def __get__(self, counts: "LayerCounts", owner: type) -> Counter:
        row: Counter = counts.table[self._row]
        return row

    def __set__(self, counts: "LayerCounts", values: Counter | int) -> None:
        counts.table[self._row] = values


class LayerCounts:
    """Counters of one layer, each int64 [B]; a counter that a layer does not have is zero.

    ``spikes`` are the events that the layer emits. ``synops_structural`` are the synapses that events reach,
    ``synops_effective`` those of nonzero weight, split by the kind of the edge into ``acs`` (binary events) and
    ``macs`` (graded or analog values). Under direct coding all steps count; ``macs_once`` is one step's worth.
    ``macs_dense`` is the same layer as a dense product over all steps. ``table`` [counters, B] holds them all, in the
    order of `COUNTERS`.
    """

    spikes = _Row()
    synops_structural = _Row()
    synops_effective = _Row()
    synops_recurrent = _Row()
    synops_recurrent_effective = _Row()
    undelivered = _Row()
    acs = _Row()
    macs = _Row()
    macs_once = _Row()
    macs_dense = _Row()
    bias_adds = _Row()
    neuron_updates = _Row()
    resets = _Row()

    def __init__(self, table: Counter) -> None:
        self.table = table

    @classmethod
    def zeros(cls, batch: int) -> "LayerCounts":
        """Return a record of ``batch`` samples with nothing counted."""
        return cls(np.zeros((len(COUNTERS), batch), np.int64))

    @classmethod
    def join(cls, parts: "Sequence[LayerCounts]") -> "LayerCounts":
        """Put the samples of several records one after another."""
        return cls(np.concatenate([part.table for part in parts], axis=1))

    def totals(self) -> dict[str, int]:
        """Return every counter summed over the samples."""
        return dict(zip(COUNTERS, self.table.sum(axis=1).tolist(), strict=True))


@dataclass(eq=False)
class StepCounts:
    """What one layer does at every step; the sums over the steps are those of its `LayerCounts`.

    Attributes
    ----------
    active : int64 [T, B]
        Outputs other than zero of a layer of neurons: its spikes, or the positive outputs of relu.
    synops : int64 [T, B]
        Effective synaptic operations, ``acs + macs``.
    plain : bool [T, B]
        Whether all that reaches its weights is -1, 0 or 1; true where it has no weights.
    """

    active: Counter
    synops: Counter
    plain: NDArray[np.bool_]

    @classmethod
    def zeros(cls, steps: int, batch: int) -> "StepCounts":
        """Return a record of ``batch`` samples with nothing counted."""
        return cls(
            np.zeros((steps, batch), np.int64), np.zeros((steps, batch), np.int64), np.ones((steps, batch), np.bool_)
        )

    @classmethod
    def join(cls, parts: "Sequence[StepCounts]", axis: int) -> "StepCounts":
        """Put the steps (``axis`` 0) or the samples (1) of several records one after another."""
        names = (field.name for field in fields(cls))
        return cls(*(np.concatenate([getattr(part, name) for part in parts], axis=axis) for name in names))


@dataclass(eq=False)
class InputCounts:
    """Events that reach the network from outside, int64 [B]."""

    events: Counter


class RunCounts(Sequence[LayerCounts]):
    """One `LayerCounts` per layer of the network, and ``input``."""

    def __init__(self, layers: Sequence[LayerCounts], input_counts: InputCounts) -> None:
        self._layers = tuple(layers)
        self.input = input_counts

    @classmethod
    def join(cls, parts: "Sequence[RunCounts]") -> "RunCounts":
        """Put the samples of several runs of one network one after another."""
        layers = [LayerCounts.join(of_layer) for of_layer in zip(*parts, strict=True)]
        return cls(layers, InputCounts(np.concatenate([part.input.events for part in parts])))

    def __getitem__(self, index: int) -> LayerCounts:  # type: ignore[override]
        return self._layers[index]

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[LayerCounts]:
        return iter(self._layers)

    def total(self, name: str) -> Counter:
        """Return a counter summed over the layers, int64 [B]."""
        zeros = np.zeros_like(self.input.events)
        return sum((getattr(layer, name) for layer in self._layers), start=zeros)

    def totals(self) -> dict[str, int]:
        """Return every counter summed over layers and samples, and ``input_events``."""
        totals = {name: int(self.total(name).sum()) for name in COUNTERS}
        return totals | {"input_events": int(self.input.events.sum())}

    def __repr__(self) -> str:
        total = self.totals()
        return f"RunCounts({len(self)} layers, spikes={total['spikes']}, acs={total['acs']}, macs={total['macs']})"
