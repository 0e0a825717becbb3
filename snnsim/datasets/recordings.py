"""Recorded events, binned to time steps: the form in which recordings wait for the network.

How time becomes steps (`Binning`):

- ``time_window`` (microseconds): an event at time t falls into step ``t // time_window``, so every recording starts
  with step 0 at time 0. The last window is kept although the recording usually ends within it.
- ``num_steps`` alone: a recording lasts from time 0 to its last event, and is cut into that many equal parts: step
  ``t * num_steps // (last + 1)``. There is no rest.

Events of one address in one step merge into one event.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snnsim.errors import DataError
from snnsim.events import Events

MAX_STEPS = 1_000_000

Numbers = NDArray[np.int64]
Compact = NDArray[np.unsignedinteger]


@dataclass(frozen=True)
class Binning:
    """How the time of recordings becomes steps.

    Attributes
    ----------
    time_window
        Microseconds a step.
    num_steps
        Without a window: into how many equal parts each recording is cut. With one it changes nothing here: the
        steps that a network sees are chosen when events are taken (`Recordings.events`).
    """

    time_window: int | None = None
    num_steps: int | None = None

    def steps(self, t: Numbers) -> Numbers:
        """Return the step of each event of one recording, from its times in microseconds, which do not fall."""
        if self.time_window is not None:
            return t // self.time_window
        assert self.num_steps is not None
        return t * self.num_steps // (int(t[-1]) + 1)

    def key(self) -> dict[str, int | None]:
        """Return what of it changes the binned events."""
        return {"time_window": self.time_window, "parts": None if self.time_window else self.num_steps}


@dataclass(frozen=True, eq=False)
class Recordings:
    """N recordings as binned events; indexed by rows like an array, without copying events.

    Attributes
    ----------
    starts, stops : int64 [N]
        Recording i has the events ``starts[i]`` to ``stops[i]`` (at least one).
    steps, addresses, repeats : unsigned integers [events]
        Step, neuron (row-major in ``sensor``) and number of recorded events that merged into this one. Sorted by step
        and address within a recording.
    sensor : tuple of int
        Shape of a sample: (2, H, W) for cameras, (N,) for units.
    """

    starts: Numbers
    stops: Numbers
    steps: Compact
    addresses: Compact
    repeats: Compact
    sensor: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, *sensor), as an array of samples would have it."""
        return (len(self), *self.sensor)

    @property
    def longest(self) -> int:
        """Number of steps of the longest recording."""
        return int(self.steps[self.stops - 1].max()) + 1

    def dropped(self, num_steps: int) -> int:
        """Count the recorded events that lie after the first ``num_steps`` steps."""
        late = np.flatnonzero(self.steps[self.stops - 1] >= num_steps)
        total = 0
        for start, stop in zip(self.starts[late], self.stops[late], strict=True):
            first = start + np.searchsorted(self.steps[start:stop], num_steps)
            total += int(self.repeats[first:stop].sum(dtype=np.int64))
        return total

    def events(self, num_steps: int) -> Events:
        """Return the first ``num_steps`` steps of all recordings as the network takes them."""
        lengths = self.stops - self.starts
        ends = np.cumsum(lengths)
        where = np.arange(ends[-1]) + np.repeat(self.starts - (ends - lengths), lengths)
        steps = self.steps[where].astype(np.int64)
        bucket = steps + np.repeat(np.arange(len(self)) * num_steps, lengths)
        indices = self.addresses[where]
        kept = steps < num_steps
        if not kept.all():
            bucket, indices = bucket[kept], indices[kept]
        indptr = np.zeros(len(self) * num_steps + 1, np.int64)
        np.cumsum(np.bincount(bucket, minlength=indptr.size - 1), out=indptr[1:])
        return Events(indptr, indices.astype(np.int32), None, num_steps, len(self), self.sensor)

    def arranged(self, sensor: tuple[int, ...]) -> "Recordings":
        """Return the same events under another shape of as many neurons."""
        return replace(self, sensor=sensor)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, rows: slice | Numbers) -> "Recordings":
        return replace(self, starts=self.starts[rows], stops=self.stops[rows])


def bin_recordings(
    recordings: Iterable[tuple[str, Numbers, Numbers]], binning: Binning, sensor: tuple[int, ...]
) -> Recordings:
    """Bin recordings, one after another.

    Parameters
    ----------
    recordings
        Of each its name for messages, the times of its events in microseconds (from 0, not falling, at least one) and
        their addresses (row-major in ``sensor``).

    Raises
    ------
    DataError
        A recording lasts for more than a million windows.
    """
    size = int(np.prod(sensor))
    sizes: list[int] = []
    parts: tuple[list[Compact], list[Compact], list[Compact]] = ([], [], [])
    for name, t, address in recordings:
        steps = binning.steps(t)
        if steps[-1] >= MAX_STEPS:
            raise DataError(
                f"{name}: lasts {steps[-1] + 1:,} windows of {binning.time_window} microseconds, more than "
                f"{MAX_STEPS:,}; take a longer encoder.events.time_window"
            )
        found, repeats = np.unique(steps * size + address, return_counts=True)
        sizes.append(found.size)
        for part, values in zip(parts, (found // size, found % size, repeats), strict=True):
            part.append(_compact(values))
    stops = np.cumsum(np.array(sizes, np.int64))
    columns: list[Compact] = [np.concatenate([np.zeros(0, np.uint8), *part]) for part in parts]
    return Recordings(stops - np.array(sizes, np.int64), stops, columns[0], columns[1], columns[2], sensor)


def _compact(values: Numbers) -> Compact:
    return values.astype(np.min_scalar_type(int(values.max())))
