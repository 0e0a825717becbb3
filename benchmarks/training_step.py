"""Time of one training step and one counted inference pass.

    python benchmarks/training_step.py [--network dense|conv] [--threads 1] [--repeats 30] [--json FILE]

``dense``: 784-256-256-10, T = 50, batch 128, 8 % of inputs active. ``conv``: 28x28 - 16c5 - average pool 2 - 32c5 -
average pool 2 - 10, T = 20, batch 64, direct coding of Fashion-MNIST (found as `snnsim data` finds it).
Encoding is outside the timing. Weights are scaled so that about a tenth of the hidden neurons fires per step, as in
trained networks. Medians over the repeats, with the smallest and the largest. The machine should be quiet: beside the
times stands what one core makes of a product of the same size (400 x 256 x 256), to tell a busy one by.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import snnsim
from snnsim.config import load
from snnsim.datasets import load as load_dataset
from snnsim.encoders import BatchInput, ConstantInput, EventInput
from snnsim.evaluation import analog
from snnsim.execution import single_threaded_blas
from snnsim.losses import make_loss
from snnsim.regularizers import Penalties
from snnsim.spec import LossChoice, OptimizerChoice
from snnsim.training.optimizers import make_optimizer

LIF = {"lif": {"beta": 0.9, "surrogate": "fast_sigmoid"}}


@dataclass(frozen=True)
class Workload:
    """A network, what its initial weights are multiplied by, and a batch of input with labels."""

    layers: list[Any]
    input_shape: tuple[int, ...]
    gains: Mapping[str, float]
    batch: Callable[[], tuple[BatchInput, NDArray[np.int64]]]


def events() -> tuple[BatchInput, NDArray[np.int64]]:
    """Draw events: 8 % of 784 inputs, T = 50, 128 samples."""
    rng = np.random.default_rng(0)
    return EventInput(snnsim.Events.from_dense(rng.random((50, 128, 784)) < 0.08)), rng.integers(0, 10, 128)


def images() -> tuple[BatchInput, NDArray[np.int64]]:
    """Read 64 images of Fashion-MNIST, for T = 20."""
    data = load_dataset(load("fashion-mnist", ["data.limit=80"]).config.data, None)
    assert isinstance(data.train.x, np.ndarray)
    x = analog(data.train.x[:64], data.scale)
    return ConstantInput(x, 20), data.train.y[:64].astype(np.int64)


WORKLOADS = {
    "dense": Workload(
        [{"dense": 256}, LIF, {"dense": 256}, LIF, {"dense": 10}, "li"],
        (784,),
        {"0.weight": 4.0, "2.weight": 3.0},
        events,
    ),
    "conv": Workload(
        [
            {"conv2d": {"out": 16, "kernel": 5, "bias": False}},
            LIF,
            {"avg_pool2d": 2},
            {"conv2d": {"out": 32, "kernel": 5, "bias": False}},
            LIF,
            {"avg_pool2d": 2},
            {"dense": {"out": 10, "bias": False}},
            "li",
        ],
        (1, 28, 28),
        {"3.weight": 2.0},
        images,
    ),
}


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


def sgemm_rate(repeats: int) -> float:
    """Return what one core makes of a matrix product, in GFLOP/s: the median."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=shape).astype(np.float32) for shape in ((400, 256), (256, 256)))
    with single_threaded_blas():
        times = milliseconds(lambda: np.dot(a, b), 20 * repeats)
    return round(2e-6 * 400 * 256 * 256 / times["median_ms"], 1)


def measure(name: str, threads: int, repeats: int) -> dict[str, object]:
    """Return times and firing rates of a workload for a number of threads."""
    workload = WORKLOADS[name]
    network = snnsim.Network.from_config(workload.layers, input_shape=workload.input_shape, seed=0)
    for parameter, gain in workload.gains.items():
        network.parameters[parameter][...] *= gain
    batch, labels = workload.batch()
    loss, penalties = make_loss(LossChoice.of("cross_entropy")), Penalties()
    optimizer = make_optimizer(OptimizerChoice.of("adam"), network.parameters, threads)
    counts = network.evaluate_batch(batch, threads=threads).counts
    rates = [
        round(float(counts[layer.index].spikes.mean()) / (batch.steps * layer.size), 3)
        for layer in network.layers
        if layer.fires
    ]

    def train() -> None:
        # A learning rate of zero: the same work, and the same firing rates in every repeat.
        step = network.train_step(batch, labels, loss, penalties, threads=threads)
        optimizer.step(step.gradients, 0.0)

    trained = milliseconds(train, repeats)
    return {
        "network": name,
        "threads": threads,
        "hidden_rates": rates,
        "training_step": trained,
        "training_samples_per_second": round(1e3 * batch.batch / trained["median_ms"]),
        "counted_inference": milliseconds(lambda: network.evaluate_batch(batch, threads=threads), repeats),
    }


def main() -> None:
    """Measure, print, and write JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=list(WORKLOADS), default="dense")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = {
        "snnsim": snnsim.__version__,
        "numpy": np.__version__,
        "sgemm_gflops": sgemm_rate(options.repeats),
        "machine": platform.processor() or platform.machine(),
        "runs": [measure(options.network, threads, options.repeats) for threads in options.threads],
    }
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
