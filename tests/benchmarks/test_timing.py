"""Times without the batches that other processes disturbed."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import timing
from timing import Stopwatch


class Clocks:
    """A machine whose clocks go as told: of each call the seconds it takes, and what others use meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, calls: list[tuple[float, float]]) -> None:
        self.now = self.busy = 0.0
        self.calls: Iterator[tuple[float, float]] = iter(calls)
        monkeypatch.setattr("time.perf_counter", lambda: self.now)
        monkeypatch.setattr("time.process_time", lambda: 2 * self.now)
        monkeypatch.setattr(timing, "machine_busy", lambda: self.busy)

    def call(self) -> None:
        """Let a call's time go by, on two cores."""
        seconds, by_others = next(self.calls)
        self.now += seconds
        self.busy += 2 * seconds + by_others * seconds


def measured(monkeypatch: pytest.MonkeyPatch, calls: list[tuple[float, float]]) -> timing.Timed:
    """Time some calls."""
    clocks, watch = Clocks(monkeypatch, calls), Stopwatch()
    for _ in calls:
        watch.time(clocks.call)
    assert watch.total == pytest.approx(sum(seconds for seconds, _ in calls))
    return watch.result()


def test_a_quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The median of all."""
    timed = measured(monkeypatch, [(1.0, 0.0), (3.0, 0.05), (2.0, 0.0)])
    assert timed.seconds == pytest.approx(2.0)
    assert not timed.disturbed
    assert timed.note is None


def test_some_batches_are_disturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are left out with a note."""
    timed = measured(monkeypatch, [(1.0, 0.0)] * 8 + [(2.0, 0.9)] * 20)
    assert timed.seconds == pytest.approx(1.0)
    assert not timed.disturbed
    assert timed.note == "20 of 28 batches left out, disturbed by other processes"


def test_all_batches_are_disturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least disturbed quarter counts, and it is said."""
    timed = measured(monkeypatch, [(2.0, 0.9)] * 9 + [(1.0, 0.4)] * 3)
    assert timed.seconds == pytest.approx(1.0)
    assert timed.disturbed
    assert timed.note is not None
    assert "up to 0.40 cores in the quietest 3 of 12 batches" in timed.note


def test_the_peak_of_memory() -> None:
    """It holds what is freed again, until it begins anew."""
    before = timing.resident_mb()
    timing.reset_peak()
    ballast = np.ones(1 << 26, np.uint8)
    peak = timing.peak_mb()
    assert peak > before + 48
    del ballast
    # Linux counts pages by core and adds up late: two readings of one peak may differ by some of them.
    assert timing.peak_mb() > before + 48
    if Path("/proc/self/clear_refs").exists():
        timing.reset_peak()
        assert timing.peak_mb() < peak - 48
