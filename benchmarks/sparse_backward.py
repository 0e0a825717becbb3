"""Time of a training step with the input gradient everywhere and only where the surrogate's derivative is not zero.

    python benchmarks/sparse_backward.py [--threads 1] [--repeats 20]

784-256-256-10, T = 50, batch 128, 8 % of inputs active; the two ways take turns in one run. `active` is the part of
the middle layer's places at which the derivative is not zero. Surrogates without compact support have but one way.
"""

import argparse
import statistics
import time

import numpy as np
from training_step import WORKLOADS

import snnsim
from snnsim.layers import dense
from snnsim.losses import make_loss
from snnsim.regularizers import Penalties
from snnsim.spec import LossChoice
from snnsim.surrogates import derivative

SURROGATES = [
    "fast_sigmoid",
    {"triangle": {"width": 1.0}},
    {"triangle": {"width": 0.5}},
    {"boxcar": {"width": 0.5}},
    {"boxcar": {"width": 0.25}},
]


def measure(surrogate: object, threads: int, repeats: int) -> str:
    """Return a line of the table."""
    workload = WORKLOADS["dense"]
    lif = {"lif": {"beta": 0.9, "surrogate": surrogate}}
    layers = [{"dense": 256}, lif, {"dense": 256}, lif, {"dense": 10}, "li"]
    network = snnsim.Network.from_config(layers, input_shape=workload.input_shape, seed=0)
    for parameter, gain in workload.gains.items():
        network.parameters[parameter][...] *= gain
    batch, labels = workload.batch()
    loss, penalties = make_loss(LossChoice.of("cross_entropy")), Penalties()
    membrane = network.evaluate_batch(batch, threads=threads, record=("membrane",)).membrane[1]
    active = float(np.mean(derivative(surrogate, membrane - 1) != 0))
    ways = {"everywhere": 0.0, "where needed": dense.NEEDED_UP_TO}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 2):
        for name, up_to in ways.items():
            dense.NEEDED_UP_TO = up_to
            began = time.perf_counter()
            network.train_step(batch, labels, loss, penalties, threads=threads)
            if repeat >= 2:
                times[name].append(1e3 * (time.perf_counter() - began))
    full, needed = (statistics.median(times[name]) for name in ways)
    return f"{surrogate!s:28} {active:7.1%} {full:12.1f} {needed:12.1f} {full / needed:7.2f}"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    print(f"{'surrogate':28} {'active':>7} {'all [ms]':>12} {'needed [ms]':>12} {'ratio':>7}")
    for surrogate in SURROGATES:
        print(measure(surrogate, options.threads, options.repeats))


if __name__ == "__main__":
    main()
