import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnsim.datasets.recordings import Binning, Numbers, Recordings, bin_recordings
from snnsim.errors import DataError

SENSOR = (2, 3, 4)

recording = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 23)), min_size=1, max_size=30).map(
    lambda events: sorted(events, key=lambda event: event[0])
)
binnings = st.builds(Binning, st.integers(1, 300)) | st.builds(lambda n: Binning(None, n), st.integers(1, 40))


def binned(raw: list[list[tuple[int, int]]], binning: Binning) -> Recordings:
    def arrays(events: list[tuple[int, int]]) -> tuple[str, Numbers, Numbers]:
        t, address = np.array(events, np.int64).T
        return "a", t, address

    return bin_recordings(map(arrays, raw), binning, SENSOR)


def step_of(t: int, last: int, binning: Binning) -> int:
    if binning.time_window is not None:
        return t // binning.time_window
    assert binning.num_steps is not None
    return next(k for k in range(binning.num_steps) if t < (k + 1) * (last + 1) / binning.num_steps)


@given(st.lists(recording, min_size=1, max_size=5), binnings, st.integers(1, 30))
def test_binning_equals_brute_force(raw: list[list[tuple[int, int]]], binning: Binning, num_steps: int) -> None:
    """Every event lies in its step, events of one address and step merge, later ones are dropped and counted."""
    found = binned(raw, binning)

    events = found.events(num_steps)

    events.check()
    dense = np.zeros((num_steps, len(raw), 24), np.float32)
    dropped, longest = 0, 0
    for b, recorded in enumerate(raw):
        for t, address in recorded:
            step = step_of(t, recorded[-1][0], binning)
            longest = max(longest, step + 1)
            if step < num_steps:
                dense[step, b, address] = 1
            else:
                dropped += 1
    np.testing.assert_array_equal(events.to_dense(), dense.reshape(num_steps, len(raw), *SENSOR))
    assert found.dropped(num_steps) == dropped
    assert found.longest == longest
    assert int(found.repeats.sum()) == sum(map(len, raw))


@given(st.lists(recording, min_size=2, max_size=6), st.data())
def test_rows_are_taken_like_those_of_an_array(raw: list[list[tuple[int, int]]], data: st.DataObject) -> None:
    """Slices and row numbers, also of rows taken before, choose recordings without copying their events."""
    rows = data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=2, max_size=8))
    found = binned(raw, Binning(7))

    taken = found[np.array(rows)]

    assert taken.shape == (len(rows), *SENSOR)
    assert taken.steps is found.steps
    everything = found.events(10).to_dense()
    np.testing.assert_array_equal(taken.events(10).to_dense(), everything[:, rows])
    np.testing.assert_array_equal(taken[1:].events(10).to_dense(), everything[:, rows[1:]])


def test_the_last_partial_window_is_kept() -> None:
    """An event just after a whole number of windows makes a step of its own."""
    assert binned([[(0, 0), (299, 0)]], Binning(100)).longest == 3
    assert binned([[(0, 0), (300, 0)]], Binning(100)).longest == 4


def test_equal_parts_leave_no_rest() -> None:
    """The last event lies in the last part, whatever the length; a recording of one event too."""
    raw = [[(0, 0), (99, 1)], [(7, 2)], [(0, 0), (1, 1), (2, 2)]]

    found = binned(raw, Binning(None, 5))

    assert found.dropped(5) == 0
    assert [int(found.steps[stop - 1]) for stop in found.stops] == [4, 4, 3]


def test_too_many_windows_are_refused() -> None:
    """A window far too short for a recording is named before anything large is made."""
    with pytest.raises(DataError, match=r"^a: lasts 2,000,001 windows of 1 microseconds, .*longer encoder"):
        binned([[(0, 0), (2_000_000, 0)]], Binning(1))
