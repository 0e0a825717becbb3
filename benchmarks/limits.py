"""How far snnsim is from what this machine could do: the work that each workload needs, and the time it takes.

    python benchmarks/limits.py [--workloads W1 W2 W3 W4 W5] [--seconds 2] [--data-dir DIR] [--json FILE]

The operations come from the exact counters of a run after 40 steps of training, the machine's rates from small loops
in the same run (docs/performance.md says which). The limit is the time of all operations one after another at these
rates, on as many cores as are used. Prints Markdown. The machine should be quiet.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from kernel_clock import ELSEWHERE, KernelClock, Place
from limits_report import markdown
from machine import Rates, about, rates
from peers import ours
from timing import Timed, timed
from work import Needed, Work, needed
from workload_data import make_batches
from workloads import WORKLOADS, Workload, cores, initial_weights

from snnsim.accounting import RunCounts
from snnsim.encoders import ConstantInput
from snnsim.errors import DataError
from snnsim.files import write_text
from snnsim.losses import make_loss
from snnsim.passes import Plan
from snnsim.regularizers import Penalties
from snnsim.spec import LossChoice, OptimizerChoice
from snnsim.training.optimizers import make_optimizer

Kernels = dict[tuple[str, str, str], float]

KINDS = ("training", "inference")
OPTIMIZER, OPTIMIZERS = ("optimizer", "update"), "update."
_ORDER = ("prepare", "forward", "count", "backward", "update")


@dataclass(frozen=True)
class Settings:
    """What every measurement is told."""

    seed: int = 0
    steps: int = 40
    seconds: float = 2.0
    batch: int | None = None


class Subject:
    """A workload's network after some training, with what is measured of it."""

    def __init__(self, workload: Workload, settings: Settings, data_dir: Path | None) -> None:
        batches = make_batches(workload, settings.seed, data_dir, settings.batch or workload.batch)
        peer = ours.build("snnsim", workload, initial_weights(workload, settings.seed))
        self.batches = [peer.encode(batch) for batch in batches]
        for k in range(settings.steps):
            peer.train_step(self.batches[k % len(self.batches)])
        self.workload, self.network = workload, peer.network
        self._loss, self._penalties = make_loss(LossChoice.of("cross_entropy")), Penalties()

    @property
    def plan(self) -> Plan:
        """How the network runs for this input."""
        constant = isinstance(self.batches[0][0], ConstantInput)
        return Plan.of(self.network.layers, self.workload.steps, constant=constant, per_step=False)

    def counts(self) -> list[RunCounts]:
        """Return the counters of one pass over each batch."""
        return [self.network.evaluate_batch(batch).counts for batch, _ in self.batches]

    def passes(self, kind: str, threads: int) -> Callable[[], None]:
        """Return what trains on, or runs, one batch after another; weights stay as they are."""
        turns = itertools.cycle(self.batches)
        optimizer = make_optimizer(OptimizerChoice.of("adam"), self.network.parameters, threads)

        def training() -> None:
            step = self.network.train_step(*next(turns), self._loss, self._penalties, threads=threads)
            optimizer.step(step.gradients, 0.0)

        def inference() -> None:
            self.network.evaluate_batch(next(turns)[0], threads=threads)

        return training if kind == "training" else inference

    def kernel_times(self, kind: str, seconds: float) -> tuple[float, dict[Place, float], Kernels]:
        """Return the median seconds of a batch in all, in each layer and phase, and in each kernel, on one thread."""
        task, turns = self.passes(kind, 1), len(self.batches)
        for _ in range(turns):
            task()
        rounds: list[float] = []
        clocks: list[KernelClock] = []
        while not rounds or sum(rounds) < seconds:
            # A round over all batches is one measurement: their events differ.
            with KernelClock(self.network.layers) as clock:
                began = time.perf_counter()
                for _ in range(turns):
                    task()
                rounds.append(time.perf_counter() - began)
            clocks.append(clock)
        layers = _medians([clock.layers for clock in clocks], turns)
        kernels = _medians([clock.kernels for clock in clocks], turns)
        return median(rounds) / turns, layers, kernels


def measure(name: str, machine: dict[int, Rates], settings: Settings, data_dir: Path | None) -> dict[str, Any]:
    """Measure a workload: by kind of pass its limit, time and their ratio for each number of threads, and its parts.

    Raises
    ------
    DataError
        The workload's data set is not on this machine.
    """
    subject = Subject(WORKLOADS[name], settings, data_dir)
    counts = RunCounts.join(subject.counts())
    result: dict[str, Any] = {"batch": subject.batches[0][0].batch}
    for kind in KINDS:
        works = needed(subject.plan, counts, len(subject.batches), machine[1], training=kind == "training")
        times = {threads: timed(subject.passes(kind, threads), settings.seconds) for threads in machine}
        result[kind] = {
            "threads": {str(threads): _against(works, machine[threads], times[threads]) for threads in machine},
            "parts": _parts(works, machine[1], subject, kind, settings.seconds),
        }
    return result


def _against(works: Needed, machine: Rates, found: Timed) -> dict[str, Any]:
    limit = sum((work for work in works.values()), start=Work()).seconds(machine)
    return {
        "limit_ms": _ms(limit),
        "measured_ms": _ms(found.seconds),
        "multiple": round(found.seconds / limit, 2),
        "disturbed": found.disturbed,
    }


def _parts(works: Needed, machine: Rates, subject: Subject, kind: str, seconds: float) -> list[dict[str, Any]]:
    """Return the work, limit and time of each layer and phase on one thread, and which kernels took the time."""
    whole, layers, kernels = subject.kernel_times(kind, seconds)
    optimizing = {name: took for (*_, name), took in kernels.items() if name.startswith(OPTIMIZERS)}
    if optimizing:
        layers[OPTIMIZER] = sum(optimizing.values())
    parts = []
    for place in sorted(works.keys() | layers.keys(), key=lambda place: (_ORDER.index(place[1]), place[0])):
        work, took = works.get(place, Work()), layers.get(place, 0.0)
        inside = optimizing if place == OPTIMIZER else _of(place, kernels)
        limit = work.seconds(machine)
        parts.append(
            {"layer": place[0], "phase": place[1]}
            | {name: round(value) for name, value in asdict(work).items()}
            | {"limit_ms": _ms(limit), "measured_ms": _ms(took), "kernels": _in_ms(inside)}
        )
    rest = {name: took for name, took in _of(ELSEWHERE, kernels).items() if name not in optimizing}
    others = {"layer": "", "phase": "rest", "limit_ms": 0.0, "measured_ms": _ms(whole - sum(layers.values()))}
    return [*parts, others | {"kernels": _in_ms(rest)}]


def _of(place: Place, kernels: Kernels) -> dict[str, float]:
    return {name: took for (*where, name), took in kernels.items() if tuple(where) == place}


def _in_ms(times: dict[str, float]) -> dict[str, float]:
    ordered = sorted(times.items(), key=lambda item: -item[1])
    return {name: _ms(took) for name, took in ordered if _ms(took) > 0}


def _ms(seconds: float) -> float:
    return round(1e3 * seconds, 4)


def _medians(rounds: Sequence[dict[Any, float]], turns: int) -> dict[Any, float]:
    keys = dict.fromkeys(key for one in rounds for key in one)
    return {key: median(one.get(key, 0.0) for one in rounds) / turns for key in keys}


def main() -> None:
    """Measure, print a table, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--seconds", type=float, default=Settings.seconds, help="of each measurement")
    parser.add_argument("--steps", type=int, default=Settings.steps, help="of training before anything is measured")
    parser.add_argument("--seed", type=int, default=Settings.seed, help="of data and weights")
    parser.add_argument("--batch", type=int, help="samples a batch, in place of the workload's")
    parser.add_argument("--data-dir", type=Path, help="where to look first for data sets")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    settings = Settings(options.seed, options.steps, options.seconds, options.batch)
    machine = {threads: rates(threads, options.seconds) for threads in sorted({1, cores()})}
    found: dict[str, Any] = {}
    for name in options.workloads:
        try:
            found[name] = measure(name, machine, settings, options.data_dir)
        except DataError as error:
            found[name] = {"missing": str(error)}
    per_thread = {str(threads): asdict(reached) for threads, reached in machine.items()}
    results = {"machine": about(), "rates": per_thread, "workloads": found}
    print(markdown(results))
    if options.json:
        write_text(options.json, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
