"""One measurement of `compare.py` in a process of its own, so that peaks of memory and starts are clean.

    python benchmarks/worker.py --workload W1 --row snntorch --seed 0 --batches FILE --held-out FILE --began SECONDS
                                [--first-step]

Prints one line of JSON. ``--began`` is when the process was started, on the monotonic clock.
"""

import argparse
import itertools
import json
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean
from typing import Any

from peers import ROWS, Peer, build, versions
from timing import Stopwatch, peak_mb, reset_peak, resident_mb
from workloads import BATCHES, WORKLOADS, Batch, initial_weights, load_batches

WARM_UP = 5
LOSSES = 8  # the last ones, as many as there are batches


def main() -> None:
    """Measure as told by the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", required=True, choices=list(WORKLOADS))
    parser.add_argument("--row", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--batches", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, required=True, help="batches for the accuracy")
    parser.add_argument("--began", type=float, required=True)
    parser.add_argument("--steps", type=int, default=40, help="at least 2")
    parser.add_argument("--seconds", type=float, default=5.0, help="of training; half as long for inference")
    parser.add_argument("--first-step", action="store_true", help="leave after the first training step")
    options = parser.parse_args()
    workload = WORKLOADS[options.workload]

    peer = build(options.row, workload, initial_weights(workload, options.seed))
    encoding = time.monotonic()
    needed = 1 if options.first_step and not ROWS[options.row].ours else BATCHES
    batches = list(load_batches(options.batches, workload, needed))
    inputs = [peer.encode(batch) for batch in batches]
    samples = len(batches[0].y)
    del batches
    encoding = time.monotonic() - encoding

    base = resident_mb()
    reset_peak()
    losses = [peer.train_step(inputs[0])]
    first_step = time.monotonic() - options.began - encoding
    result: dict[str, Any] = {"first_step_s": first_step}
    if options.first_step and ROWS[options.row].ours:
        # The next process is to find every kernel in the cache, also those that the first step does not need.
        for k in range(1, options.steps):
            peer.train_step(inputs[k % len(inputs)])
    elif not options.first_step:
        held_out = load_batches(options.held_out, workload)
        result |= measure(peer, inputs, losses, held_out, options.steps, options.seconds)
        for name in ("train", "infer"):
            result[f"{name}_sps"] = samples / result.pop(f"{name}_s")
        result |= {"peak_mb": result["peak_mb"] - base, "versions": versions(options.row)}
    print(json.dumps(result))


def measure(
    peer: Peer, inputs: list[Any], losses: list[float], held_out: Iterable[Batch], steps: int, seconds: float
) -> dict[str, Any]:
    """Time training after the warm-up, and inference with the weights after all ``steps``; then test these.

    ``losses`` holds that of the first step. Training goes on in rounds from the initial weights: however fast a peer
    is, its steps are the same ones, since spikes, and with them the work of an event-driven simulator, change with the
    weights.
    """
    training, inference = Stopwatch(), Stopwatch()

    def step() -> None:
        losses.append(peer.train_step(inputs[len(losses) % len(inputs)]))

    while len(losses) < min(WARM_UP, steps - 1):
        step()
    while len(losses) < steps:
        training.time(step)
    loss, peak = fmean(losses[-LOSSES:]), peak_mb()
    for batch in inputs[:2]:
        peer.infer(batch)
    for batch in itertools.cycle(inputs):
        inference.time(lambda: peer.infer(batch))  # noqa: B023  # called at once
        if inference.total >= seconds / 2:
            break
    while training.total < seconds:
        if len(losses) == steps:
            peer.restart()
            losses.clear()
        training.time(step)
    # To the end of the round, to the weights that inference was timed with; held-out data were in nobody's way so far.
    while len(losses) < steps:
        step()
    timed = {"training": training.result(), "inference": inference.result()}
    return {
        "train_s": timed["training"].seconds,
        "infer_s": timed["inference"].seconds,
        "peak_mb": peak,
        "loss": loss,
        "accuracy": accuracy(peer, held_out),
        "disturbed": any(one.disturbed for one in timed.values()),
        "notes": [f"{name}: {one.note}" for name, one in timed.items() if one.note],
    }


def accuracy(peer: Peer, batches: Iterable[Batch]) -> float:
    """Return the part of right answers; no batch stays in memory."""
    return fmean(fmean(peer.infer(peer.encode(batch)) == batch.y) for batch in batches)


if __name__ == "__main__":
    main()
