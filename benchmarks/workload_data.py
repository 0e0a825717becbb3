"""Batches of the workloads: images and recordings from snnsim's loaders, encoded once for everybody."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from workloads import BATCHES, Batch, FloatArray, Workload

from snnsim.config.schema import DataSpec
from snnsim.datasets import Binning, Recordings, Samples, load
from snnsim.evaluation import analog
from snnsim.events import Events

RECORDINGS = 1000
RATE_GAIN = 0.3
EVENT_DENSITY = 0.015
MICROSECONDS = 1000  # a step of recorded events


@dataclass(frozen=True, eq=False)
class Part:
    """The samples of a data set that are for training, or those that are held out."""

    workload: Workload
    samples: Samples
    scale: float

    def __len__(self) -> int:
        return len(self.samples)

    def batch(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Batch:
        """Make a batch of some of them."""
        x, workload = self.samples.x, self.workload
        if isinstance(x, Recordings):
            rows = np.sort(rows)
            return Batch(x[rows].arranged((workload.inputs,)).events(workload.steps), self._classes(rows))
        return of_images(workload, analog(x[rows], self.scale), self._classes(rows), rng)

    def _classes(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.samples.y[rows].astype(np.int64)


def parts(workload: Workload, data_dir: Path | None) -> tuple[Part, Part]:
    """Read what a workload with a data set is trained with, and what is held out.

    Raises
    ------
    DataError
        The data set is not on this machine.
    """
    if workload.data == "nmnist":
        found = load(DataSpec(name="nmnist", limit=RECORDINGS), data_dir, Binning(time_window=MICROSECONDS))
    else:
        found = load(DataSpec(name="fashion-mnist"), data_dir)
    return Part(workload, found.train, found.scale), Part(workload, found.test, found.scale)


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
    train, _ = parts(workload, data_dir)
    if workload.data == "nmnist":
        chosen = np.resize(rng.permutation(len(train)), (BATCHES, size))
    else:
        chosen = rng.integers(0, len(train), (BATCHES, size))
    return [train.batch(rows, rng) for rows in chosen]


def held_out_batches(workload: Workload, seed: int, data_dir: Path | None, size: int) -> list[Batch]:
    """Draw batches of samples that no training sees: as many, or as few as the set has different samples for.

    Raises
    ------
    DataError
        The data set is not on this machine.
    """
    rng = np.random.default_rng([seed, 2])
    if workload.data is None:
        return [synthetic(workload, rng, size) for _ in range(BATCHES)]
    _, held_out = parts(workload, data_dir)
    count = min(BATCHES, max(1, len(held_out) // size))
    return [held_out.batch(rows, rng) for rows in np.resize(rng.permutation(len(held_out)), (count, size))]


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
