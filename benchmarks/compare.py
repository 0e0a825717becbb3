"""Training and inference of snnsim beside other simulators, on the same data, weights and steps.

    python benchmarks/compare.py [--workloads W1 W2 W3 W4 W5] [--rows NAME ...] [--repeats 3] [--data-dir DIR]
                                 [--json FILE] [--figure FILE.png]

Peers are compared that are installed (``pip install -e '.[bench]'``). What is measured, and what is fair about it:
docs/performance.md. The machine should be quiet.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from compare_report import draw, markdown
from peers import ROWS, missing
from workload_data import held_out_batches, make_batches
from workloads import WORKLOADS, save_batches

from snnsim.errors import DataError
from snnsim.files import write_text

WORKER = Path(__file__).with_name("worker.py")
MEASURES = ("train_sps", "infer_sps", "peak_mb", "first_step_cold_s", "first_step_warm_s", "loss_40", "accuracy")
AGREEMENT = 0.05

Cells = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class Settings:
    """What every measurement is told."""

    repeats: int = 3
    seed: int = 0
    steps: int = 40
    seconds: float = 5.0
    limit: float = 600.0
    batch: int | None = None


class MeasurementError(Exception):
    """A worker that did not finish; the text says why in one line."""


def main() -> None:
    """Measure, print a table, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--repeats", type=int, default=Settings.repeats)
    parser.add_argument("--data-dir", type=Path, help="where to look first for data sets")
    parser.add_argument("--seed", type=int, default=Settings.seed, help="of data and weights")
    parser.add_argument("--steps", type=int, default=Settings.steps, help="after which losses are compared")
    parser.add_argument("--seconds", type=float, default=Settings.seconds, help="of training per measurement")
    parser.add_argument("--limit", type=float, default=Settings.limit, help="seconds after which a process is ended")
    parser.add_argument("--batch", type=int, help="samples a batch, in place of the workload's")
    parser.add_argument("--cores", type=int, help="use so many cores only, for everybody (Linux)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path, help="bars, as PNG")
    options = parser.parse_args()
    if options.repeats < 1 or options.steps < 2:
        parser.error("--repeats must be at least 1 and --steps at least 2")
    if options.cores:
        # The workers inherit it, and their libraries start as many threads.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    settings = Settings(
        options.repeats, options.seed, options.steps, options.seconds, options.limit, options.batch or None
    )
    # Ended from outside, it ends its worker too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))

    def keep(results: Cells) -> None:
        if options.json:
            write_text(options.json, json.dumps(results, indent=2) + "\n")

    results = compare(options.workloads, options.rows, settings, options.data_dir, keep)
    print(markdown(results))
    if options.figure:
        draw(results, options.figure)


def compare(
    workloads: list[str],
    rows: list[str],
    settings: Settings,
    data_dir: Path | None,
    keep: Callable[[Cells], None] = lambda _: None,
) -> Cells:
    """Measure rows on workloads, the rows of a workload in turn, and again for every repeat.

    ``keep`` is given the results so far after each repeat.
    """
    cells: Cells = {name: {row: {"missing": reason} for row in rows if (reason := missing(row))} for name in workloads}
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        for name in workloads:
            workload = WORKLOADS[name]
            try:
                size = settings.batch or workload.batch
                batches = make_batches(workload, settings.seed, data_dir, size)
                held_out = held_out_batches(workload, settings.seed, data_dir, size)
            except DataError as error:
                cells[name] = {row: {"missing": str(error)} for row in rows}
                continue
            save_batches(Path(folder, f"{name}.npz"), batches)
            save_batches(Path(folder, f"{name}-held-out.npz"), held_out)
        for repeat in range(settings.repeats):
            for name in workloads:
                for row in rows:
                    if row in cells[name]:
                        continue
                    began, earlier = time.monotonic(), runs.setdefault((name, row), [])
                    try:
                        measured = measure(name, row, settings, Path(folder), earlier)
                        earlier.append(measured)
                        outcome = f"{measured['train_sps']:,.0f} and {measured['infer_sps']:,.0f} samples/s"
                    except MeasurementError as error:
                        outcome = f"failed: {error}"
                        if earlier:
                            earlier[-1]["notes"].append(f"the next repeat {outcome}")
                        else:
                            cells[name][row] = {"failed": str(error)}
                    took = time.monotonic() - began
                    print(f"{repeat + 1}/{settings.repeats} {name} {row}: {outcome} ({took:.0f} s)", file=sys.stderr)
            keep(judged(cells, runs, rows))
    return judged(cells, runs, rows)


def judged(cells: Cells, runs: dict[tuple[str, str], list[dict[str, Any]]], rows: list[str]) -> Cells:
    """Return the cells in order, with what was measured, and whether the losses of a workload agree."""
    ordered = {
        name: {row: of_workload.get(row) or summary(row, runs[name, row]) for row in rows}
        for name, of_workload in cells.items()
    }
    for of_workload in ordered.values():
        judge(of_workload)
    return ordered


def measure(
    name: str, row: str, settings: Settings, folder: Path, earlier: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Start a row's process with an empty cache of compiled code for its first step, unless an ``earlier`` repeat did.

    And another one, which finds that cache, for all else.

    Raises
    ------
    MeasurementError
        One of them fails, or takes too long.
    """
    cache = folder / f"cache-{name}-{row}"
    cache.mkdir(exist_ok=True)
    arguments = ["--workload", name, "--row", row, "--seed", str(settings.seed)]
    arguments += ["--batches", str(folder / f"{name}.npz"), "--held-out", str(folder / f"{name}-held-out.npz")]
    arguments += ["--steps", str(settings.steps), "--seconds", str(settings.seconds)]
    if earlier:
        cold = earlier[0]["first_step_cold_s"]
    else:
        cold = run_worker([*arguments, "--first-step"], cache, settings.limit)["first_step_s"]
    measured = run_worker(arguments, cache, settings.limit)
    measured["first_step_cold_s"] = cold
    measured["first_step_warm_s"] = measured.pop("first_step_s")
    measured["loss_40"] = measured.pop("loss")
    return measured


def run_worker(arguments: list[str], cache: Path, limit: float) -> dict[str, Any]:
    """Run one measurement, with the caches of compiled code in a folder of its own.

    Raises
    ------
    MeasurementError
        It fails, or takes longer than ``limit`` seconds.
    """
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(cache / "numba"),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        "JAX_COMPILATION_CACHE_DIR": str(cache / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PLATFORMS": "cpu",
    }
    # It may name an older processor, for which NumPy's products are slower; other libraries do not look at it.
    environment.pop("OPENBLAS_CORETYPE", None)
    command = [sys.executable, str(WORKER), *arguments, "--began", repr(time.monotonic())]
    # A group of its own, so that what a compiler has started ends with it; in a session Linux might forget `nice`.
    worker = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    )
    try:
        output, errors = worker.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        raise MeasurementError(f"a process was not done within {limit:g} s") from None
    finally:
        if worker.returncode is None:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.communicate()
    if worker.returncode != 0:
        lines = errors.strip().splitlines() or [f"ended with code {worker.returncode}"]
        raise MeasurementError(lines[-1][:300])
    result: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return result


def summary(row: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return medians over the repeats, each with least and most."""
    cell: dict[str, Any] = {}
    for name in MEASURES:
        values = [run[name] for run in runs]
        cell[name] = round(median(values), 4)
        cell[f"{name}_range"] = [round(min(values), 4), round(max(values), 4)]
    cell["repeats"] = len(runs)
    cell["reset"] = "delayed" if ROWS[row].delayed_reset else "immediate"
    cell["disturbed"] = any(run["disturbed"] for run in runs)
    cell["notes"] = [f"repeat {k + 1}, {note}" for k, run in enumerate(runs) for note in run["notes"]]
    cell["versions"] = runs[0]["versions"]
    return cell


def judge(cells: dict[str, dict[str, Any]]) -> None:
    """Say of each row of a workload whether its loss is that of the others that compute the same, within 5 %."""
    same = [cell["loss_40"] for row, cell in cells.items() if ROWS[row].comparable and "loss_40" in cell]
    for row, cell in cells.items():
        if same and "loss_40" in cell and not ROWS[row].other_surrogate:
            cell["loss_agrees"] = abs(cell["loss_40"] / median(same) - 1) <= AGREEMENT


if __name__ == "__main__":
    main()
