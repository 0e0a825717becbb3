"""What a surrogate of compact support adds to training, and what it costs in accuracy.

    python benchmarks/compact.py [--workloads W1 W2 W3 W4 W5] [--epochs N] [--seeds 3] [--data-dir DIR] [--json FILE]

The networks of `compare.py`, trained on the whole training part and tested on what is held out. All surrogates begin
with the same weights and see the same batches; their steps take turns, so that what else the machine does is shared.
At the end, with the trained weights, steps are timed with the gradient everywhere and only where it is needed.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
from kernel_clock import replaced
from machine import about
from peers.ours import Encoded, Snnsim
from workload_data import Part, parts, synthetic
from workloads import SLOPE, THRESHOLD, WORKLOADS, Batch, Workload, cores, initial_weights

from snnsim.errors import DataError
from snnsim.files import write_text
from snnsim.layers import conv, dense, neurons
from snnsim.layers.neurons import FiringNeurons
from snnsim.surrogates import derivative

FULL = "fast_sigmoid 25"
SURROGATES: dict[str, dict[str, float]] = {
    FULL: {"fast_sigmoid": SLOPE},
    "triangle 0.5": {"triangle": 0.5},
    "triangle 0.35": {"triangle": 0.35},
    "triangle 0.25": {"triangle": 0.25},
    "triangle 0.15": {"triangle": 0.15},
}
# Over the training part; of W4, one epoch is so many steps on fresh samples. An epoch of the convolutions takes long.
EPOCHS = {"W1": 2, "W2": 2, "W3": 1, "W4": 1, "W5": 10}
DRAWN_STEPS, DRAWN_TESTS = 200, 20
WARM_UP = 5
# Up to which part of its places a gradient is taken one by one: never, and always.
WAYS = {"everywhere": 0.0, "needed": 1.0}
BOUNDS = [(dense, "NEEDED_UP_TO"), (conv, "NEEDED_UP_TO"), (conv, "FEWER_UP_TO"), (neurons, "NEEDED_UP_TO")]
WAY_STEPS = 15


def training(workload: Workload, part: Part | None, rng: np.random.Generator) -> Iterator[Batch]:
    """Make the whole batches of one epoch."""
    if part is None:
        return (synthetic(workload, rng, workload.batch) for _ in range(DRAWN_STEPS))
    count = len(part) // workload.batch
    order = rng.permutation(len(part))[: count * workload.batch]
    return (part.batch(rows, rng) for rows in order.reshape(count, -1))


def testing(workload: Workload, part: Part | None, rng: np.random.Generator) -> Iterator[Batch]:
    """Make batches of all that is held out."""
    if part is None:
        return (synthetic(workload, rng, workload.batch) for _ in range(DRAWN_TESTS))
    rows = np.arange(len(part))
    return (part.batch(rows[k : k + workload.batch], rng) for k in range(0, len(part), workload.batch))


def measure(workload: Workload, epochs: int, seed: int, data: tuple[Part | None, Part | None]) -> dict[str, Any]:
    """Train and test with every surrogate from the same initial weights."""
    weights = initial_weights(workload, seed)
    peers = {name: Snnsim(surrogate, workload, weights) for name, surrogate in SURROGATES.items()}
    seconds: dict[str, list[float]] = {name: [] for name in SURROGATES}
    rng = np.random.default_rng([seed, 3])
    for _ in range(epochs):
        for batch in training(workload, data[0], rng):
            encoded = peers[FULL].encode(batch)
            for name in _turned(list(peers), len(seconds[FULL])):
                began = time.perf_counter()
                peers[name].train_step(encoded)
                seconds[name].append(time.perf_counter() - began)
    tests = [peers[FULL].encode(batch) for batch in testing(workload, data[1], np.random.default_rng([seed, 4]))]
    found: dict[str, Any] = {}
    for name, peer in peers.items():
        found[name] = tested(peer, tests) | {
            "train_sps": workload.batch / median(seconds[name][WARM_UP:]),
            "active": active(workload, peer, name, tests[0]),
        }
    # Last, since these steps change the weights.
    for name, peer in peers.items():
        found[name]["step_ms"] = ways(peer, tests[0]) if name != FULL and bounded(workload) else None
    return found


def _turned(names: list[str], by: int) -> list[str]:
    return names[by % len(names) :] + names[: by % len(names)]


def tested(peer: Snnsim, tests: list[Encoded]) -> dict[str, Any]:
    """Return the part of right answers, and the spikes of hidden neurons a sample."""
    right = spikes = samples = 0
    hidden = [layer.index for layer in peer.network.layers if isinstance(layer, FiringNeurons)]
    for batch, y in tests:
        run = peer.network.evaluate_batch(batch, threads=cores())
        right += int((run.predictions == y).sum())
        spikes += sum(int(run.counts[layer].spikes.sum()) for layer in hidden)
        samples += len(y)
    return {"accuracy": right / samples, "spikes": spikes / samples}


def active(workload: Workload, peer: Snnsim, name: str, batch: Encoded) -> list[float]:
    """Return the part of each hidden layer's places at which the derivative is not zero.

    The places of a convolution's neurons are those of the pool above them, of which it takes one of four neurons.
    """
    membranes = peer.network.evaluate_batch(batch[0], threads=cores(), record=("membrane",)).membrane
    found = []
    for index in sorted(membranes)[:-1]:
        places = derivative(SURROGATES[name], membranes[index] - np.float32(THRESHOLD)) != np.float32(0)
        if workload.kind == "conv":
            *others, height, width = places.shape
            places = places.reshape(*others, height // 2, 2, width // 2, 2).any(axis=(-3, -1))
        found.append(float(places.mean()))
    return found


def bounded(workload: Workload) -> bool:
    """Whether a layer chooses between a gradient everywhere and where it is needed: not below the readout alone."""
    return len(workload.weights) > 2


def ways(peer: Snnsim, batch: Encoded) -> dict[str, float]:
    """Return milliseconds of a training step with the gradient everywhere and where it is needed, in turns."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(WAY_STEPS):
        for way, bound in WAYS.items():
            with ExitStack() as stack:
                for module, constant in BOUNDS:
                    stack.enter_context(replaced(module, constant, bound))
                began = time.perf_counter()
                peer.train_step(batch)
                times[way].append(time.perf_counter() - began)
    return {way: 1e3 * median(of_way) for way, of_way in times.items()}


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return means over the seeds, and how far they differ, of every surrogate."""
    found: dict[str, Any] = {}
    for name in SURROGATES:
        cells = [run[name] for run in runs]
        accuracies = [cell["accuracy"] for cell in cells]
        differences = [one - run[FULL]["accuracy"] for one, run in zip(accuracies, runs, strict=True)]
        found[name] = {
            "accuracies": accuracies,
            "accuracy": fmean(accuracies),
            "accuracy_sd": _spread(accuracies),
            "difference": fmean(differences),
            "difference_sd": _spread(differences),
            "spikes": fmean(cell["spikes"] for cell in cells),
            "active": np.mean([cell["active"] for cell in cells], axis=0).tolist(),
            "train_sps": fmean(cell["train_sps"] for cell in cells),
            "speed": fmean(cell["train_sps"] / run[FULL]["train_sps"] for cell, run in zip(cells, runs, strict=True)),
            "step_ms": cells[0]["step_ms"] and {way: fmean(cell["step_ms"][way] for cell in cells) for way in WAYS},
        }
    return found


def _spread(values: list[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def markdown(results: dict[str, Any]) -> str:
    """Write a row for each workload and surrogate."""
    lines = [
        "| | surrogate | test accuracy | to the full one's | hidden spikes a sample | active places "
        "| training, samples/s | of the full one's | step, gradient everywhere / where needed |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, found in results["workloads"].items():
        if "missing" in found:
            lines.append(f"| {name} | {found['missing']} | | | | | | | |")
            continue
        for surrogate, cell in found["surrogates"].items():
            places = " / ".join(f"{100 * part:.0f} %" for part in cell["active"])
            compared = ("", "") if surrogate == FULL else (_percent(cell, "difference", "+"), f"{cell['speed']:.2f}")
            step = " / ".join(f"{cell['step_ms'][way]:.1f} ms" for way in WAYS) if cell["step_ms"] else ""
            lines.append(
                f"| {name} | {surrogate} | {_percent(cell, 'accuracy')} | {compared[0]} | {cell['spikes']:,.0f} "
                f"| {places} | {cell['train_sps']:,.0f} | {compared[1]} | {step} |"
            )
    counts = [
        f"{name} {found['epochs']} and {found['seeds']}"
        for name, found in results["workloads"].items()
        if "missing" not in found
    ]
    return "\n".join([*lines, "", f"Epochs and seeds: {', '.join(counts)}."])


def _percent(cell: dict[str, Any], name: str, sign: str = "") -> str:
    sd = cell[f"{name}_sd"]
    return f"{100 * cell[name]:{sign}.1f}" + ("" if sd is None else f" ± {100 * sd:.1f}")


def main() -> None:
    """Measure, print a table, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--epochs", type=int, help=f"in place of {EPOCHS}")
    parser.add_argument("--seeds", type=int, default=3, help="how many, of initial weights and of batches")
    parser.add_argument("--data-dir", type=Path, help="where to look first for data sets")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {}
    results = {"machine": about(), "workloads": found}
    for name in options.workloads:
        workload, epochs = WORKLOADS[name], options.epochs or EPOCHS[name]
        try:
            data = (None, None) if workload.data is None else parts(workload, options.data_dir)
        except DataError as error:
            found[name] = {"missing": str(error)}
            continue
        runs = []
        for seed in range(options.seeds):
            began = time.monotonic()
            runs.append(measure(workload, epochs, seed, data))
            told = ", ".join(f"{surrogate}: {cell['accuracy']:.4f}" for surrogate, cell in runs[-1].items())
            print(f"{name}, seed {seed}: {told} ({time.monotonic() - began:.0f} s)", file=sys.stderr)
        found[name] = {"epochs": epochs, "seeds": options.seeds, "surrogates": summary(runs)}
        if options.json:
            write_text(options.json, json.dumps(results, indent=2) + "\n")
    print(markdown(results))


if __name__ == "__main__":
    main()
