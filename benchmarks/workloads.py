"""The workloads of `compare.py`: networks, initial weights and batches, the same for everybody.

Only NumPy and `snnsim.events` are imported here: what a peer's process loads before its own library is part of its
start.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snnsim.events import Events

FloatArray = NDArray[np.float32]

BETA, THRESHOLD, SLOPE = 0.9, 1.0, 25.0
BATCHES = 8


@dataclass(frozen=True)
class Weight:
    """A weight (out, in, ...), drawn from U(-gain / sqrt(fan_in), gain / sqrt(fan_in))."""

    shape: tuple[int, ...]
    gain: float = 1.0


@dataclass(frozen=True)
class Workload:
    """A network and what it is fed.

    Attributes
    ----------
    kind
        ``dense``: layers one after another, LIF neurons between. ``conv``: valid convolutions, each with LIF neurons
        and an average pool of 2 after it, then a dense layer. ``recurrent``: input weight, recurrent weight, output
        weight. Each ends in leaky integrators whose mean membrane gives the logits.
    constant
        Whether the input is a current that is the same at every step; events otherwise.
    input_shape
        One sample's shape at one step.
    data
        The set of `snnsim.datasets` that the input is made of; None where it is drawn.
    """

    kind: Literal["dense", "conv", "recurrent"]
    steps: int
    batch: int
    input_shape: tuple[int, ...]
    weights: tuple[Weight, ...]
    constant: bool = False
    data: str | None = "fashion-mnist"
    lr: float = 1e-3

    @property
    def inputs(self) -> int:
        """Number of inputs at one step."""
        return math.prod(self.input_shape)

    @property
    def classes(self) -> int:
        """Number of outputs."""
        return self.weights[-1].shape[0]


WORKLOADS = {
    "W1": Workload("dense", 25, 128, (784,), (Weight((800, 784)), Weight((10, 800))), constant=True),
    "W2": Workload("dense", 50, 128, (784,), (Weight((256, 784)), Weight((256, 256)), Weight((10, 256)))),
    "W3": Workload(
        "conv",
        20,
        64,
        (1, 28, 28),
        (Weight((16, 1, 5, 5)), Weight((32, 16, 5, 5), 2.0), Weight((10, 512))),
        constant=True,
    ),
    "W4": Workload(
        "recurrent",
        100,
        64,
        (700,),
        (Weight((256, 700), 5.0), Weight((256, 256)), Weight((20, 256))),
        data=None,
        lr=2e-4,
    ),
    "W5": Workload("dense", 300, 32, (2312,), (Weight((512, 2312), 10.0), Weight((10, 512))), data="nmnist"),
}


@dataclass(frozen=True, eq=False)
class Batch:
    """Some samples: constant currents ``x`` [B, inputs], or events; and their classes ``y`` [B]."""

    x: FloatArray | Events
    y: NDArray[np.int64]

    def dense(self) -> FloatArray:
        """Return the input as a time-major array: [B, inputs] where it is constant, else [T, B, inputs]."""
        return np.ascontiguousarray(self.x.to_dense()) if isinstance(self.x, Events) else self.x


def initial_weights(workload: Workload, seed: int) -> list[FloatArray]:
    """Draw the initial weights, each (out, in, ...)."""
    rng = np.random.default_rng([seed, 1])
    bounds = [weight.gain / math.sqrt(math.prod(weight.shape[1:])) for weight in workload.weights]
    return [
        rng.uniform(-bound, bound, weight.shape).astype(np.float32)
        for weight, bound in zip(workload.weights, bounds, strict=True)
    ]


def save_batches(path: Path, batches: list[Batch]) -> None:
    """Keep batches in an uncompressed archive, for processes that need not know where they came from."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for k, batch in enumerate(batches):
        arrays[f"y{k}"] = batch.y
        if isinstance(batch.x, Events):
            arrays |= {f"indptr{k}": batch.x.indptr, f"indices{k}": batch.x.indices}
        else:
            arrays[f"x{k}"] = batch.x
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # the stub takes every name for allow_pickle


def load_batches(path: Path, workload: Workload, most: int = BATCHES) -> Iterator[Batch]:
    """Read at most so many batches back, one after another."""
    with np.load(path) as stored:
        for k in range(min(most, sum(name.startswith("y") for name in stored.files))):
            y = stored[f"y{k}"]
            if workload.constant:
                yield Batch(stored[f"x{k}"], y)
            else:
                indptr, indices = stored[f"indptr{k}"], stored[f"indices{k}"]
                events = Events(indptr, indices, None, workload.steps, len(y), (workload.inputs,))
                yield Batch(events, y)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
