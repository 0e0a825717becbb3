"""What exact counting costs: inference with and without it, in turns in one process.

    python benchmarks/counting.py [--workloads W1 W2 W3 W4 W5] [--seconds 2] [--threads 1] [--json FILE]

Networks and data are those of `compare.py`, after 40 steps of training. As in any evaluation, weights are looked
through once for all eight batches; each pays its part. For the time without, nothing takes the place of
`snnsim.engine.Counting`; the library has no such switch. Prints Markdown: the median time of a batch, and the least,
which tells more where other processes are busy. The machine should be quiet.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from kernel_clock import replaced
from limits import Settings, Subject
from machine import about
from timing import Stopwatch, Timed
from workloads import WORKLOADS

from snnsim import engine
from snnsim.accounting import InputCounts, RunCounts
from snnsim.counting import FanOuts, Tallies
from snnsim.encoders import BatchInput
from snnsim.errors import DataError
from snnsim.files import write_text
from snnsim.layers.base import MicroBatch
from snnsim.layers.signals import Signal
from snnsim.passes import Plan

WAYS = ("without", "with")
WARM_UP, FEWEST_ROUNDS = 2, 3
KINDS = ("median", "least")


class NoCounting:
    """Has the face of `Counting` and counts nothing."""

    def __init__(self, plan: Plan, batch: BatchInput, fan_out: FanOuts | None) -> None:
        self.fan_out: FanOuts = {}
        self._nothing = RunCounts([], InputCounts(np.zeros(batch.batch, np.int64)))

    def tally(self, network_input: Signal, run: Mapping[int, Signal], micro: MicroBatch) -> Tallies:
        """Return no tallies."""
        return []

    def total(self, parts: Sequence[Tallies]) -> RunCounts:
        """Return the counters of no layer."""
        return self._nothing


def measure(name: str, threads: int, settings: Settings, data_dir: Path | None) -> dict[str, Any]:
    """Time a workload's batches both ways, the first way changing from round to round.

    Raises
    ------
    DataError
        The workload's data set is not on this machine.
    """
    subject = Subject(WORKLOADS[name], settings, data_dir)
    network = subject.network
    watches = {way: [Stopwatch() for _ in subject.batches] for way in WAYS}
    weights = Stopwatch()
    fan_out: FanOuts = {}
    rounds = -WARM_UP

    def look_through() -> None:
        nonlocal fan_out
        fan_out = network.fan_outs()

    while rounds < FEWEST_ROUNDS or _total(watches) < len(WAYS) * settings.seconds:
        (weights if rounds >= 0 else Stopwatch()).time(look_through)
        for k, (batch, _) in enumerate(subject.batches):
            for way in WAYS if rounds % 2 else reversed(WAYS):
                watch = watches[way][k] if rounds >= 0 else Stopwatch()
                with replaced(engine, "Counting", NoCounting) if way == "without" else nullcontext():
                    watch.time(lambda: network.evaluate_batch(batch, threads=threads, fan_out=fan_out))  # noqa: B023  # at once
        rounds += 1
    found = {way: [watch.result() for watch in watches[way]] for way in WAYS}
    once = weights.result()
    result: dict[str, Any] = {kind: _times(found, once, kind) for kind in KINDS}
    disturbed = any(timed.disturbed for way in WAYS for timed in found[way])
    return result | {"rounds": rounds, "disturbed": disturbed}


def _total(watches: Mapping[str, Sequence[Stopwatch]]) -> float:
    return sum(watch.total for of_way in watches.values() for watch in of_way)


def _times(found: Mapping[str, Sequence[Timed]], weights: Timed, kind: str) -> dict[str, float]:
    """Return both ways' milliseconds, over all batches, whose events differ, and what counting costs in percent."""

    def chosen(timed: Timed) -> float:
        return timed.seconds if kind == "median" else min(timed.times)

    seconds = {way: float(np.mean([chosen(timed) for timed in batches])) for way, batches in found.items()}
    seconds["with"] += chosen(weights) / len(found["with"])
    cost = 100 * (seconds["with"] / seconds["without"] - 1)
    return {f"{way}_ms": round(1e3 * took, 4) for way, took in seconds.items()} | {"cost_percent": round(cost, 2)}


def markdown(results: dict[str, Any]) -> str:
    """Write the times with and without counting, and the cost."""
    lines = [
        "| | median, without | with | cost | least, without | with | cost |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in results["workloads"].items():
        if "missing" in found:
            lines.append(f"| {name} | {found['missing']} | | | | | |")
            continue
        star = r" \*" if found["disturbed"] else ""
        cells = [_cells(found[kind]) for kind in KINDS]
        lines.append(f"| {name}{star} | {' | '.join(cells)} |")
    if any("*" in line for line in lines):
        lines += ["", r"\* Other processes had a part in these times: measure again when it is quiet."]
    return "\n".join(lines)


def _cells(times: Mapping[str, float]) -> str:
    return f"{times['without_ms']:.2f} ms | {times['with_ms']:.2f} ms | {times['cost_percent']:.1f} %"


def main() -> None:
    """Measure, print a table, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--seconds", type=float, default=Settings.seconds, help="of each of the two ways")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=Settings.steps, help="of training before anything is measured")
    parser.add_argument("--seed", type=int, default=Settings.seed, help="of data and weights")
    parser.add_argument("--batch", type=int, help="samples a batch, in place of the workload's")
    parser.add_argument("--data-dir", type=Path, help="where to look first for data sets")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    settings = Settings(options.seed, options.steps, options.seconds, options.batch)
    found: dict[str, Any] = {}
    for name in options.workloads:
        try:
            found[name] = measure(name, options.threads, settings, options.data_dir)
        except DataError as error:
            found[name] = {"missing": str(error)}
    results = {"machine": about(), "threads": options.threads, "workloads": found}
    print(markdown(results))
    if options.json:
        write_text(options.json, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
