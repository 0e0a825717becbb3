"""Time of training and inference against input density, steps, width, batch size and threads.

    python benchmarks/scaling.py [--axes density steps width batch threads] [--seconds 1] [--json FILE]
                                 [--density-figure FILE.png] [--figure FILE.png]

One network, 784-N-N-10, on drawn events; one thing varies at a time. Weights are scaled so that hidden neurons fire at
a tenth of the steps, whatever the input's density. Beside each time stands the dense limit: what the products of the
same network take, input by input and step by step, at the machine's best rate for them. A few minutes in all; the
machine should be quiet.
"""

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from machine import Rates, about, rates
from scaling_figures import draw_axes, draw_density
from timing import timed
from workloads import BETA, SLOPE, cores

from snnsim import Events, Network
from snnsim.encoders import EventInput, RateInput
from snnsim.files import write_text
from snnsim.layers.base import SampleKeys, Workspace
from snnsim.losses import make_loss
from snnsim.regularizers import Penalties
from snnsim.spec import LossChoice, OptimizerChoice
from snnsim.training.optimizers import make_optimizer

INPUTS, CLASSES = 784, 10
RATE = 0.1  # how often hidden neurons are to fire
GAINS = (0.1, 1000.0)  # of initial weights, between which that is looked for
HALVINGS = 12
AXES: dict[str, tuple[float, ...]] = {
    "density": (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    "steps": (10, 20, 50, 100, 200, 500, 1000, 2000),
    "width": (64, 128, 256, 512, 1024, 2048, 4096),
    "batch": (1, 4, 16, 64, 256, 1024),
}


@dataclass(frozen=True)
class Setting:
    """What is run; by default what does not vary has."""

    density: float = 0.05
    steps: int = 50
    width: int = 256
    batch: int = 64
    threads: int = 1


def settings(axis: str) -> Iterator[tuple[float, Setting]]:
    """Yield the values along an axis, each with what is run there, on all cores but where these vary."""
    base = Setting(threads=cores())
    if axis == "steps":
        base = replace(base, batch=16)  # a batch of 2,000 steps is to fit into memory
    values = tuple(range(1, cores() + 1)) if axis == "threads" else AXES[axis]
    for value in values:
        varied: dict[str, Any] = {axis: value if axis == "density" else int(value)}
        yield value, replace(base, **varied)


def measure(setting: Setting, machine: Rates, seconds: float) -> dict[str, Any]:
    """Return milliseconds a sample of training and inference, and those of the dense limit."""
    network, batch = build(setting), drawn(setting)
    labels = np.arange(setting.batch) % CLASSES
    loss, penalties = make_loss(LossChoice.of("cross_entropy")), Penalties()
    optimizer = make_optimizer(OptimizerChoice.of("adam"), network.parameters, setting.threads)

    def training() -> None:
        step = network.train_step(batch, labels, loss, penalties, threads=setting.threads)
        optimizer.step(step.gradients, 0.0)

    found = {
        "training": timed(training, seconds),
        "inference": timed(lambda: network.evaluate_batch(batch, threads=setting.threads), seconds),
    }
    each = 1e3 / setting.batch
    return {
        "setting": asdict(setting),
        "input_events": batch.events.indices.size,
        "hidden_rates": [round(rate, 4) for rate in rates_of(network, batch)],
        "milliseconds": {kind: each * one.seconds for kind, one in found.items()},
        "dense_limit": {
            kind: 1e3 * setting.steps * products / machine.multiply_adds
            for kind, products in dense_products(setting.width).items()
        },
        "disturbed": any(one.disturbed for one in found.values()),
    }


def dense_products(width: int) -> dict[str, int]:
    """Return a sample's multiply-adds at each step: forwards; then the weights' gradients, and the hidden inputs'.

    The readout's are left out: it is linear, one product for all steps will do.
    """
    first, second = INPUTS * width, width**2
    return {"training": 2 * first + 3 * second, "inference": first + second}


def build(setting: Setting) -> Network:
    """Build the network, its weights scaled so that hidden neurons fire about as often at every density."""
    lif = {"lif": {"beta": BETA, "surrogate": {"fast_sigmoid": SLOPE}}}
    layers: list[Any] = []
    for _ in range(2):
        layers += [{"dense": {"out": setting.width, "bias": False}}, lif]
    layers += [{"dense": {"out": CLASSES, "bias": False}}, {"li": {"beta": BETA}}]
    network = Network.from_config(layers, input_shape=(INPUTS,), seed=0)
    probe = drawn(replace(setting, batch=4, steps=min(setting.steps, 50)))
    for hidden in (0, 2):
        weight = network.parameters[f"{hidden}.weight"]
        initial, (low, high) = weight.copy(), GAINS
        for _ in range(HALVINGS):
            gain = math.sqrt(low * high)
            weight[...] = np.float32(gain) * initial
            low, high = (low, gain) if rates_of(network, probe)[hidden // 2] > RATE else (gain, high)
    return network


def rates_of(network: Network, batch: EventInput) -> list[float]:
    """Return how often a neuron of each hidden layer fires at a step, on average."""
    counts = network.evaluate_batch(batch).counts
    places = batch.batch * batch.steps
    return [int(counts[index].spikes.sum()) / (places * network.layers[index].size) for index in (1, 3)]


def drawn(setting: Setting) -> EventInput:
    """Draw events, every input active with the same probability at each step."""
    x = np.full((setting.batch, INPUTS), setting.density, np.float32)
    keys = SampleKeys(0, 0, np.arange(setting.batch))
    source = RateInput(x, setting.steps, 1.0, keys, (INPUTS,))
    events = source.signal(0, setting.batch, Workspace())
    assert isinstance(events, Events)
    return EventInput(events.copy())


def main() -> None:
    """Measure, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*AXES, "threads"]
    parser.add_argument("--axes", nargs="+", choices=names, default=names)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--density-figure", type=Path, help="time against input density, as PNG")
    parser.add_argument("--figure", type=Path, help="time against everything else, as PNG")
    options = parser.parse_args()
    machine = {threads: rates(threads, options.seconds) for threads in range(1, cores() + 1)}
    found: dict[str, list[dict[str, Any]]] = {}
    for axis in options.axes:
        found[axis] = []
        for value, setting in settings(axis):
            point = {"value": value} | measure(setting, machine[setting.threads], options.seconds)
            found[axis].append(point)
            took = ", ".join(f"{kind} {ms:.3f} ms" for kind, ms in point["milliseconds"].items())
            print(f"{axis} {value:g}: {took} a sample{' (disturbed)' if point['disturbed'] else ''}", flush=True)
    results = {"machine": about(), "axes": found}
    if options.json:
        write_text(options.json, json.dumps(results, indent=2) + "\n")
    if options.density_figure and "density" in found:
        draw_density(results, options.density_figure)
    if options.figure:
        draw_axes(results, options.figure)


if __name__ == "__main__":
    main()
