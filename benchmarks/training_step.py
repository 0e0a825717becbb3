"""Time of one training step and one counted inference pass: 784-256-256-10, T = 50, batch 128, 8 % of inputs active.

    python benchmarks/training_step.py [--threads 1] [--repeats 30] [--json FILE]

Encoding is outside the timing. Weights are scaled so that about a tenth of the hidden neurons fires per step, as in
trained networks. Medians over the repeats, with the smallest and the largest; the machine should be quiet.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import snnsim
from snnsim.encoders import EventInput
from snnsim.losses import make_loss
from snnsim.regularizers import Penalties
from snnsim.spec import LossChoice, OptimizerChoice
from snnsim.training.optimizers import make_optimizer

STEPS, BATCH, DENSITY = 50, 128, 0.08
LIF = {"lif": {"beta": 0.9, "surrogate": "fast_sigmoid"}}
LAYERS = [{"dense": 256}, LIF, {"dense": 256}, LIF, {"dense": 10}, "li"]
GAINS = {"0.weight": 4.0, "2.weight": 3.0}


def milliseconds(task: Callable[[], object], repeats: int) -> dict[str, float]:
    """Run a task a few times to warm up, then ``repeats`` times; return median, least and most."""
    for _ in range(3):
        task()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        task()
        times.append(1e3 * (time.perf_counter() - began))
    return {
        "median_ms": round(statistics.median(times), 2),
        "min_ms": round(min(times), 2),
        "max_ms": round(max(times), 2),
    }


def measure(threads: int, repeats: int) -> dict[str, object]:
    """Return times and firing rates for a number of threads."""
    rng = np.random.default_rng(0)
    network = snnsim.Network.from_config(LAYERS, input_shape=(784,), seed=0)
    for name, gain in GAINS.items():
        network.parameters[name][...] *= gain
    events = snnsim.Events.from_dense(rng.random((STEPS, BATCH, 784)) < DENSITY)
    batch, labels = EventInput(events), rng.integers(0, 10, BATCH)
    loss, penalties = make_loss(LossChoice.of("cross_entropy")), Penalties()
    optimizer = make_optimizer(OptimizerChoice.of("adam"), network.parameters)
    counts = network.evaluate_batch(batch, threads=threads).counts
    rates = [round(float(counts[i].spikes.sum()) / (STEPS * BATCH * 256), 3) for i in (1, 3)]

    def train() -> None:
        # A learning rate of zero: the same work, and the same firing rates in every repeat.
        step = network.train_step(batch, labels, loss, penalties, threads=threads)
        optimizer.step(step.gradients, 0.0)

    return {
        "threads": threads,
        "input_density": round(events.indices.size / (STEPS * BATCH * 784), 4),
        "hidden_rates": rates,
        "training_step": milliseconds(train, repeats),
        "counted_inference": milliseconds(lambda: network.evaluate_batch(batch, threads=threads), repeats),
    }


def main() -> None:
    """Measure, print, and write JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = {
        "snnsim": snnsim.__version__,
        "numpy": np.__version__,
        "machine": platform.processor() or platform.machine(),
        "runs": [measure(threads, options.repeats) for threads in options.threads],
    }
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
