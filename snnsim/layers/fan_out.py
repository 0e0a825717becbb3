"""Fan-outs: what each input of a layer reaches, and what the events of a signal reach in all."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snnsim.accounting import Counter
from snnsim.events import Events
from snnsim.kernels import propagate
from snnsim.layers.signals import FloatArray, Signal, samples_of


class FanOut:
    """The synapses that each input of a layer reaches, and what they add up to over the layer's input.

    Where all inputs reach the same, which is found out here and not for every micro-batch, events need only be counted.

    Parameters
    ----------
    synapses : int64 [F, 2]
        Per input the existing synapses and those of nonzero weight: ``structural`` and ``effective`` [F].
    """

    def __init__(self, synapses: NDArray[np.int64]) -> None:
        self.structural, self.effective = np.ascontiguousarray(synapses.T)
        *self._same, self._equal = propagate.alike(self.structural, self.effective)
        self._added_up: list[Counter] = []
        if not self._same[0]:
            self._added_up.append(self.structural)
        if not self._same[1] and not self._equal:  # they are equal where no weight is zero
            self._added_up.append(self.effective)

    def tally(self, signal: Signal) -> Counter:
        """Count events, or values that are not zero, and what `reached` has to know beside: int64 [1 or more, M]."""
        if isinstance(signal, Events):
            return self.tally_first(signal, signal.num_steps)
        if not self._added_up:
            return signal.per_sample[None]
        tally = self._begun(signal.per_sample)
        values = np.ascontiguousarray(signal.values.reshape(samples_of(signal), -1, self.effective.size))
        for synapses, row in zip(self._added_up, tally[1:], strict=True):
            propagate.count_reached(values, synapses, row)
        return tally

    def tally_first(self, events: Events, steps: int) -> Counter:
        """Count the same of the events of the first steps."""
        count = events.per_sample if steps == events.num_steps else events.in_first(steps)
        if not self._added_up:
            return count[None]
        tally = self._begun(count)
        for synapses, row in zip(self._added_up, tally[1:], strict=True):
            propagate.count_delivered(events.indptr, events.indices, synapses, events.num_steps, steps, row)
        return tally

    def _begun(self, count: Counter) -> Counter:
        """Return a tally with the number of events, and room for what else is added up."""
        tally = np.empty((1 + len(self._added_up), count.size), np.int64)
        tally[0] = count
        return tally

    def reached(self, tally: Counter) -> tuple[Counter, Counter]:
        """Return the existing synapses that were reached, and those of nonzero weight, int64 [B] each."""
        structural = tally[0] * self.structural[0] if self._same[0] else tally[1]
        if self._equal:
            return structural, structural
        return structural, tally[0] * self.effective[0] if self._same[1] else tally[-1]

    @property
    def total(self) -> int:
        """All existing synapses."""
        return int(self.structural[0]) * self.structural.size if self._same[0] else int(self.structural.sum())


@dataclass(eq=False)
class Counted:
    """What a layer's counters are made of beside its tallies.

    Samples and steps of the batch, the fan-out of layers, and whether what goes into the layer is constant, as the
    network's input is.
    """

    batch: int
    steps: int
    fan_out: Mapping[int, FanOut]
    constant: bool


def synapses(rows: FloatArray) -> NDArray[np.int64]:
    """Return per row of weights [F, N] how many synapses it has, and how many of nonzero weight, int64 [F, 2]."""
    both = np.empty((2, rows.shape[0]), np.int64)
    both[0] = rows.shape[1]
    propagate.count_nonzero(rows, both[1])
    return both.T
