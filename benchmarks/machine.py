"""What the machine is, and what it can do: event-driven additions, matrix products, streaming through memory."""

import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import snnsim
from snnsim.execution import single_threaded_blas
from snnsim.kernels import row_sums
from snnsim.kernels._jit import kernel
from snnsim.layers.packing import NOT_PACKED

FloatArray = NDArray[np.float32]
Task = tuple[Callable[[], object], float]  # and how much it does

# Weight rows of 256 numbers, 800 KB in all, and buckets with 5 % of the rows each.
ROWS, COLUMNS, BUCKETS, ACTIVE = 784, 256, 400, 39
SIDE = 512
STRETCHES = 5
CACHED, UNCACHED = 1 << 14, 1 << 23  # numbers in each of two arrays: 64 KB, 32 MB


@dataclass(frozen=True)
class Rates:
    """What some threads reach together, per second.

    Attributes
    ----------
    additions
        Rows of weights gathered event by event, in cache: numbers added.
    multiply_adds
        Single precision matrix products.
    cached_bytes, memory_bytes
        Bytes read and written by a plain loop over arrays in cache, and over arrays far larger.
    """

    additions: float
    multiply_adds: float
    cached_bytes: float
    memory_bytes: float

    def plain(self) -> dict[str, float]:
        """Return the rates for JSON."""
        return {name: round(value) for name, value in asdict(self).items()}


def about() -> dict[str, str | int]:
    """Say on what machine and with which versions something is measured."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "python": platform.python_version(),
        "snnsim": snnsim.__version__,
        "numpy": np.__version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def rates(threads: int, seconds: float) -> Rates:
    """Measure each for so many seconds, on some threads at once that have arrays of their own.

    The best of several stretches of time counts.
    """
    with single_threaded_blas(), ThreadPoolExecutor(threads) as pool:

        def reached(task: Task) -> float:
            return _rate(*task, seconds / STRETCHES)

        def best(make: Callable[[int], Task]) -> float:
            tasks = [make(k) for k in range(threads)]
            return max(sum(pool.map(reached, tasks)) for _ in range(STRETCHES))

        return Rates(best(_gathering), best(_multiplying), best(_streaming(CACHED)), best(_streaming(UNCACHED)))


def _rate(task: Callable[[], object], work: float, seconds: float) -> float:
    began, calls, took = time.perf_counter(), 0, 0.0
    while took < seconds or not calls:
        task()
        calls += 1
        took = time.perf_counter() - began
    return calls * work / took


def _gathering(k: int) -> Task:
    rng = np.random.default_rng(k)
    chosen = [np.sort(rng.choice(ROWS, ACTIVE, replace=False)) for _ in range(BUCKETS)]
    indices = np.concatenate(chosen).astype(np.int32)
    indptr = np.arange(BUCKETS + 1, dtype=np.int64) * ACTIVE
    weight = rng.normal(size=(ROWS, COLUMNS)).astype(np.float32)
    out, bias = np.empty((BUCKETS, COLUMNS), np.float32), np.zeros(COLUMNS, np.float32)
    packed = np.empty((-(-COLUMNS // row_sums.WIDTH), ROWS, row_sums.WIDTH), np.float32)
    row_sums.pack(weight, packed)

    def task() -> None:
        row_sums.gather(indptr, indices, weight, packed, bias, out)

    row_sums.gather(indptr, indices, weight, NOT_PACKED, bias, out)
    return task, float(indices.size * COLUMNS)


def _multiplying(k: int) -> Task:
    a, b = np.random.default_rng(k).normal(size=(2, SIDE, SIDE)).astype(np.float32)
    out = np.empty_like(a)

    def task() -> None:
        np.dot(a, b, out=out)

    task()
    return task, float(SIDE**3)


def _streaming(size: int) -> Callable[[int], Task]:
    def make(k: int) -> Task:
        x, state = np.ones((2, size), np.float32)
        repeats = max(1, UNCACHED // (4 * size))

        def task() -> None:
            _stream(x, state, np.float32(0.5), repeats)

        _stream(x, state, np.float32(0.5), 1)
        return task, 12.0 * size * repeats  # reads both arrays, writes one

    return make


@kernel
def _stream(x: FloatArray, state: FloatArray, factor: np.float32, repeats: int) -> None:
    for _ in range(repeats):
        for k in range(x.size):
            state[k] = factor * state[k] + x[k]
