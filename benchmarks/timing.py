"""Times of batches, without those that other processes disturbed, and the memory of this process."""

import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

# Batches are judged by groups of so many seconds: the system counts in hundredths of a second.
GROUP_SECONDS = 0.3
# What other processes may use of all cores together, in cores, before a group counts as disturbed.
MOST_BY_OTHERS = 0.1
FEWEST = 8


@dataclass
class _Group:
    seconds: list[float] = field(default_factory=list)
    by_others: float = 0.0

    @property
    def load(self) -> float:
        return self.by_others / sum(self.seconds)


@dataclass(frozen=True)
class Timed:
    """Times of calls in seconds; whether others had a part in them, and what was left out."""

    times: list[float]
    disturbed: bool
    note: str | None

    @property
    def seconds(self) -> float:
        """The median time of a call."""
        return median(self.times)

    def percentile(self, percent: int) -> float:
        """Return the time that so many percent of the calls do not exceed, of 1 to 99."""
        return quantiles(self.times, n=100, method="inclusive")[percent - 1] if len(self.times) > 1 else self.times[0]


class Stopwatch:
    """Times calls, and tells from the machine's and this process's CPU time how busy others kept the cores."""

    def __init__(self) -> None:
        self._groups: list[_Group] = []

    @property
    def total(self) -> float:
        """Seconds of all calls."""
        return sum(sum(group.seconds) for group in self._groups)

    def time(self, task: Callable[[], object]) -> None:
        """Call a task."""
        if not self._groups or sum(self._groups[-1].seconds) >= GROUP_SECONDS:
            self._groups.append(_Group())
        group = self._groups[-1]
        busy, own, began = machine_busy(), time.process_time(), time.perf_counter()
        task()
        group.seconds.append(time.perf_counter() - began)
        group.by_others += machine_busy() - busy - (time.process_time() - own)

    def result(self) -> Timed:
        """Return the median time of undisturbed calls, or of the least disturbed ones where those are too few."""
        calls = sum(len(group.seconds) for group in self._groups)
        clean = [group for group in self._groups if group.load <= MOST_BY_OTHERS]
        kept = [seconds for group in clean for seconds in group.seconds]
        if len(kept) == calls:
            return Timed(kept, disturbed=False, note=None)
        if len(kept) >= min(FEWEST, calls):
            note = f"{calls - len(kept)} of {calls} batches left out, disturbed by other processes"
            return Timed(kept, disturbed=False, note=note)
        least = sorted(self._groups, key=lambda group: group.load)[: max(1, len(self._groups) // 4)]
        kept = [seconds for group in least for seconds in group.seconds]
        note = (
            f"disturbed: others used up to {max(group.load for group in least):.2f} cores in the quietest {len(kept)} "
            f"of {calls} batches, which are taken"
        )
        return Timed(kept, disturbed=True, note=note)


def timed(task: Callable[[], object], seconds: float, *, warm_up: int = 2, least: int = 3) -> Timed:
    """Call a task a few times, then time calls for so many seconds, at least some calls."""
    watch, calls = Stopwatch(), 0
    for _ in range(warm_up):
        task()
    while calls < least or watch.total < seconds:
        watch.time(task)
        calls += 1
    return watch.result()


def machine_busy() -> float:
    """Return the seconds all cores together have been busy, those taken by other guests included; 0 if unknown."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            ticks = list(map(int, file.readline().split()[1:9]))
    except OSError:
        return 0.0
    user, nice, system, _idle, _waiting, *interrupts_and_stolen = ticks
    return (user + nice + system + sum(interrupts_and_stolen)) / os.sysconf("SC_CLK_TCK")


def resident_mb() -> float:
    """Return the memory that this process has now, in MiB; its peak where the system tells no more."""
    return _status("VmRSS") or _peak_of_usage()


def reset_peak() -> None:
    """Let the peak begin anew, where the system can: reading data may have taken more than is left of it."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def peak_mb() -> float:
    """Return the most memory that this process had since its peak was reset, in MiB."""
    return _status("VmHWM") or _peak_of_usage()


def _status(name: str) -> float | None:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), None)


def _peak_of_usage() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
