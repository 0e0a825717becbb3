"""Batches of the workloads: images and recordings from snnsim's loaders, encoded once for everybody."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from workloads import BATCHES, Batch, FloatArray, Workload

from snnsim.config.schema import DataSpec
from snnsim.datasets import Binning, Recordings, load
from snnsim.evaluation import analog
from snnsim.events import Events

RECORDINGS = 1000
RATE_GAIN = 0.3
EVENT_DENSITY = 0.015
MICROSECONDS = 1000  # a step of recorded events


def make_batches(workload: Workload, seed: int, data_dir: Path | None, size: int) -> list[Batch]:
    """Draw batches of a workload from its data set.

    Raises
    ------
    DataError
        The data set is not on this machine.
    """
    rng = np.random.default_rng([seed, 0])
    if workload.data is None:
        return [synthetic(workload, rng, size) for _ in range(BATCHES)]
    if workload.data == "nmnist":
        return recorded(workload, rng, size, data_dir)
    samples = load(DataSpec(name="fashion-mnist"), data_dir)
    rows = rng.integers(0, len(samples.train), (BATCHES, size))
    x, y = samples.train.values, samples.train.y.astype(np.int64)
    return [of_images(workload, analog(x[chosen], samples.scale), y[chosen], rng) for chosen in rows]


def of_images(workload: Workload, x: FloatArray, y: NDArray[np.int64], rng: np.random.Generator) -> Batch:
    """Make a batch of images [B, inputs] in [0, 1]: constant currents, or Bernoulli events."""
    if workload.constant:
        return Batch(x, y)
    shape = (workload.steps, *x.shape)
    return Batch(Events.from_dense(rng.random(shape, np.float32) < np.float32(RATE_GAIN) * x), y)


def synthetic(workload: Workload, rng: np.random.Generator, size: int) -> Batch:
    """Draw events at rates that differ from class to class, of the same mean in each."""
    # The classes are the same whatever the seed.
    rates = np.random.default_rng(7).gamma(0.5, 1.0, (workload.classes, workload.inputs))
    rates = np.minimum(EVENT_DENSITY * rates / rates.mean(axis=1, keepdims=True), 0.5)
    y = rng.integers(0, workload.classes, size)
    return Batch(Events.from_dense(rng.random((workload.steps, size, workload.inputs), np.float32) < rates[y]), y)


def recorded(workload: Workload, rng: np.random.Generator, size: int, data_dir: Path | None) -> list[Batch]:
    """Take recordings of the set's first thousand, binned to steps of a millisecond."""
    spec = DataSpec(name="nmnist", limit=RECORDINGS)
    samples = load(spec, data_dir, Binning(time_window=MICROSECONDS)).train
    assert isinstance(samples.x, Recordings)
    order = rng.permutation(len(samples))
    batches = []
    for k in range(BATCHES):
        rows = np.sort(np.take(order, range(k * size, (k + 1) * size), mode="wrap"))
        chosen = samples.x[rows].arranged((workload.inputs,))
        batches.append(Batch(chosen.events(workload.steps), samples.y[rows].astype(np.int64)))
    return batches
