"""Peak memory and time of one training step over a long sequence, at all steps at once and in segments.

    python benchmarks/long_sequences.py [--steps 1000] [--every 8 32 100 250] [--threads 1] [--repeats 5] [--json FILE]

784-256-256-10, LIF neurons, batch 64, 2 % of the inputs active. Encoding is outside of both. Memory is what one step of
a new network allocates at most besides the batch, by `tracemalloc`; times are medians over the repeats, the settings
taken in turn, with the smallest and the largest; the machine should be quiet.
"""

import argparse
import json
import platform
import statistics
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np

import snnsim
from snnsim.encoders import EventInput
from snnsim.losses import make_loss
from snnsim.regularizers import Penalties
from snnsim.spec import LossChoice, Segments

LIF = {"lif": {"beta": 0.9, "surrogate": "fast_sigmoid"}}
LAYERS: list[Any] = [{"dense": 256}, LIF, {"dense": 256}, LIF, {"dense": 10}, "li"]
GAINS = {"0.weight": 8.0, "2.weight": 3.0}
BATCH, INPUTS = 64, 784


class Training:
    """One step of training, always the same."""

    def __init__(self, steps: int, threads: int) -> None:
        rng = np.random.default_rng(0)
        self.batch = EventInput(snnsim.Events.from_dense(rng.random((steps, BATCH, INPUTS), np.float32) < 0.02))
        self.labels = rng.integers(0, 10, BATCH)
        self.threads = threads
        self.loss = make_loss(LossChoice.of("cross_entropy"))

    def network(self) -> snnsim.Network:
        """Return a network whose neurons fire as trained ones do."""
        network = snnsim.Network.from_config(LAYERS, input_shape=(INPUTS,), seed=0)
        for name, gain in GAINS.items():
            network.parameters[name][...] *= gain
        return network

    def seconds(self, network: snnsim.Network, segments: Segments) -> float:
        """Return the time of a step."""
        began = time.perf_counter()
        network.train_step(self.batch, self.labels, self.loss, Penalties(), threads=self.threads, segments=segments)
        return time.perf_counter() - began

    def peak(self, segments: Segments) -> int:
        """Return the bytes that a new network's step takes at most."""
        network = self.network()
        tracemalloc.start()
        self.seconds(network, segments)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak


def main() -> None:
    """Measure, print, and write JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--every", type=int, nargs="+", default=[8, 32, 100, 250])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    training = Training(options.steps, options.threads)
    settings = [Segments(), *(Segments(recompute_every=every) for every in options.every)]
    networks = [training.network() for _ in settings]
    times: list[list[float]] = [[] for _ in settings]
    for repeat in range(options.repeats + 1):
        for network, segments, of_setting in zip(networks, settings, times, strict=True):
            seconds = training.seconds(network, segments)
            if repeat:  # the first is to warm up
                of_setting.append(seconds)
    del networks
    runs = [
        {
            "recompute_every": segments.recompute_every,
            "peak_mib": round(training.peak(segments) / 2**20, 1),
            "median_s": round(statistics.median(of_setting), 3),
            "min_s": round(min(of_setting), 3),
            "max_s": round(max(of_setting), 3),
        }
        for segments, of_setting in zip(settings, times, strict=True)
    ]
    machine = platform.processor() or platform.machine()
    result = {"snnsim": snnsim.__version__, "machine": machine, "steps": options.steps, "runs": runs}
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
