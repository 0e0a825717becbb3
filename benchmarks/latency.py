"""Inference one sample at a time: how long each takes, and how many events of recordings are worked off a second.

    python benchmarks/latency.py [--workloads W1 W2 W3 W4 W5] [--seconds 3] [--data-dir DIR] [--json FILE]

Networks and data are those of `compare.py`, after 40 steps of training by snnsim. Where PyTorch is installed, its plain
loop runs the same weights. Recordings (W5) are also read from their files' bytes: decoded, binned to steps, answered.
Prints Markdown. The machine should be quiet.
"""

import argparse
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from machine import about
from peers import build, missing, ours
from timing import timed
from workload_data import MICROSECONDS, make_batches
from workloads import WORKLOADS, Batch, FloatArray, Workload, initial_weights

from snnsim.datasets import Binning, info
from snnsim.datasets.event_files import contents, find_event_files
from snnsim.datasets.event_formats import addressed, parse_bin
from snnsim.datasets.locate import recordings_folder
from snnsim.datasets.recordings import bin_recordings
from snnsim.errors import DataError
from snnsim.events import Events
from snnsim.files import write_text

ROWS = ("snnsim", "torch-loop")
STREAMS = 100  # recordings
SENSOR = (2, 34, 34)


def main() -> None:
    """Measure, print a table, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--steps", type=int, default=40, help="of training before anything is measured")
    parser.add_argument("--seed", type=int, default=0, help="of data and weights")
    parser.add_argument("--batch", type=int, help="samples a batch of training, in place of the workload's")
    parser.add_argument("--data-dir", type=Path, help="where to look first for data sets")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {}
    for name in options.workloads:
        workload = WORKLOADS[name]
        try:
            batches = make_batches(workload, options.seed, options.data_dir, options.batch or workload.batch)
        except DataError as error:
            found[name] = {"missing": str(error)}
            continue
        weights = trained(workload, batches, options.steps, options.seed)
        found[name] = measure(workload, batches, weights, options.seconds)
        if workload.data == "nmnist":
            found[name]["snnsim"] |= streams(workload, weights, options.data_dir, options.seconds)
    results = {"machine": about(), "workloads": found}
    print(markdown(results))
    if options.json:
        write_text(options.json, json.dumps(results, indent=2) + "\n")


def trained(workload: Workload, batches: Sequence[Batch], steps: int, seed: int) -> list[FloatArray]:
    """Return the weights after some steps of training."""
    peer = ours.build("snnsim", workload, initial_weights(workload, seed))
    encoded = [peer.encode(batch) for batch in batches]
    for k in range(steps):
        peer.train_step(encoded[k % len(encoded)])
    return [np.ascontiguousarray(array) for array in peer.network.parameters.values()]


def measure(
    workload: Workload, batches: Sequence[Batch], weights: list[FloatArray], seconds: float
) -> dict[str, dict[str, Any]]:
    """Return the latencies of every row, of samples whose encoding is not part of the time."""
    samples = [one for batch in batches for one in singles(batch)][: most_samples(workload)]
    events = [sample.x.indices.size for sample in samples if isinstance(sample.x, Events)]
    found: dict[str, dict[str, Any]] = {}
    for row in ROWS:
        if reason := missing(row):
            found[row] = {"missing": reason}
            continue
        peer = build(row, workload, weights)
        turns = itertools.cycle([peer.encode(sample) for sample in samples])
        found[row] = latencies(lambda: peer.infer(next(turns)), seconds)  # noqa: B023  # called at once
        if events:
            found[row]["events_a_sample"] = round(float(np.mean(events)), 1)
    return found


def most_samples(workload: Workload) -> int:
    """Return how many samples are taken in turn: as tensors they are to fit into 200 MB."""
    return max(1, min(256, 200_000_000 // (4 * workload.inputs * (1 if workload.constant else workload.steps))))


def singles(batch: Batch) -> list[Batch]:
    """Cut a batch into samples."""
    if isinstance(batch.x, Events):
        return [Batch(batch.x.samples(b, b + 1).copy(), batch.y[b : b + 1]) for b in range(len(batch.y))]
    return [Batch(batch.x[b : b + 1], batch.y[b : b + 1]) for b in range(len(batch.y))]


def latencies(task: Callable[[], object], seconds: float) -> dict[str, Any]:
    """Time one call after another."""
    found = timed(task, seconds, warm_up=10, least=20)
    return {
        "median_ms": round(1e3 * found.seconds, 4),
        "p95_ms": round(1e3 * found.percentile(95), 4),
        "calls": len(found.times),
        "disturbed": found.disturbed,
    }


def streams(workload: Workload, weights: list[FloatArray], data_dir: Path | None, seconds: float) -> dict[str, Any]:
    """Time recordings from their files' bytes to the answer, and count their events."""
    files = find_event_files(recordings_folder(info("nmnist", data_dir), data_dir))[:STREAMS]
    read = [(file.title, content) for file, content in contents(files) if isinstance(content, bytes)]
    recorded = float(np.mean([parse_bin(content, title).t.size for title, content in read]))
    peer, turns = ours.build("snnsim", workload, weights), itertools.cycle(read)
    label = np.zeros(1, np.int64)

    def task() -> None:
        title, content = next(turns)
        t, address = addressed(parse_bin(content, title), SENSOR, title)
        binned = bin_recordings([(title, t, address)], Binning(time_window=MICROSECONDS), SENSOR)
        events = binned.arranged((workload.inputs,)).events(workload.steps)
        peer.infer(peer.encode(Batch(events, label)))

    from_bytes = latencies(task, seconds)
    per_second = round(1e3 * recorded / from_bytes["median_ms"])
    return {"recording": from_bytes | {"recorded_events": round(recorded, 1), "events_per_second": per_second}}


def markdown(results: dict[str, Any]) -> str:
    """Write the latencies of all workloads and rows."""
    lines = [
        "| | | median | 95th percentile | events a sample | events a second |",
        "|---|---|---|---|---|---|",
    ]
    for name, rows in results["workloads"].items():
        if "missing" in rows:
            lines.append(f"| {name} | {rows['missing']} | | | | |")
            continue
        for row, cell in rows.items():
            if "missing" in cell:
                lines.append(f"| {name} | {row}: {cell['missing']} | | | | |")
                continue
            events = cell.get("events_a_sample")
            per_second = 1e3 * events / cell["median_ms"] if events else None
            lines.append(_line(name, row, cell, events, per_second))
            if recording := cell.get("recording"):
                counts = recording["recorded_events"], recording["events_per_second"]
                lines.append(_line(name, f"{row}, from the file's bytes", recording, *counts))
    if any("*" in line for line in lines):
        lines += ["", r"\* Other processes had a part in these times: measure again when it is quiet."]
    return "\n".join(lines)


def _line(name: str, row: str, cell: dict[str, Any], events: float | None, per_second: float | None) -> str:
    star = r" \*" if cell["disturbed"] else ""
    return (
        f"| {name} | {row}{star} | {cell['median_ms']:.3f} ms | {cell['p95_ms']:.3f} ms "
        f"| {'' if events is None else f'{events:,.0f}'} | {'' if per_second is None else f'{per_second:,.0f}'} |"
    )


if __name__ == "__main__":
    main()
