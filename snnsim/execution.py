"""Micro-batches on a thread pool: how much a worker carries at once, and in which fixed order results add up."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from functools import cache

import numpy as np
from threadpoolctl import ThreadpoolController

from snnsim.errors import InputError

# What one micro-batch's widest membrane trace may take, in bytes: half of a 2 MiB cache with the delta on the way back,
# all of it forwards only. Constants, since results must not depend on the machine's size.
CACHE_BYTES = 1 << 20
FORWARD_BYTES = 1 << 21
MOST_SAMPLES = 32

# Below so many samples, on the way back for every so many layers, the interpreter's own time shows; they may take an L3
# cache then. And all samples of an ANN, whose one step each writes as much of the weights' gradients as many steps do.
FEW_SAMPLES, FEW_LAYERS = 2, 4
FEW_BYTES = 1 << 24

# What is done number by number is cut into pieces of so many: 20 us of work, as long as a worker takes to wake up.
PIECE = 1 << 17


def micro_batch_size(widest: int, steps: int, *, back: int = 0) -> int:
    """Return how many samples a worker carries at once, forwards or also ``back`` through so many layers.

    A power of two up to 32, from shapes alone.
    """
    size = MOST_SAMPLES
    few = MOST_SAMPLES if steps == 1 else FEW_SAMPLES * max(1, back // FEW_LAYERS)
    sample = steps * widest * (8 if back else 4)
    most = CACHE_BYTES if back else FORWARD_BYTES
    while size > 1 and size * sample > (most if size > few else FEW_BYTES):
        size //= 2
    return size


def micro_batches(batch: int, size: int) -> list[tuple[int, int]]:
    """Cut a batch into ranges of ``size`` samples."""
    return [(start, min(start + size, batch)) for start in range(0, batch, size)]


def pieces(sizes: Sequence[int]) -> list[list[tuple[int, slice]]]:
    """Cut arrays of these sizes into tasks of at most `PIECE` numbers: which array, and what of it."""
    tasks: list[list[tuple[int, slice]]] = [[]]
    room = PIECE
    for number, size in enumerate(sizes):
        start = 0
        while start < size:
            if room == 0:
                tasks.append([])
                room = PIECE
            stop = min(size, start + room)
            tasks[-1].append((number, slice(start, stop)))
            room -= stop - start
            start = stop
    return tasks


def thread_count(threads: int | None) -> int:
    """Return the number of workers: as given, or one per core that this process may use.

    Raises
    ------
    InputError
        Less than one.
    """
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads < 1:
        raise InputError(f"threads: must be at least 1 (got {threads})")
    return threads


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="snnsim")


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


def single_threaded_blas() -> AbstractContextManager[object]:
    """Keep the BLAS to one thread: the workers are the parallelism."""
    limit: AbstractContextManager[object] = _blas().limit(limits=1, user_api="blas")
    return limit


def share(task: Callable[[int], None], count: int, threads: int) -> None:
    """Run ``task(0)`` to ``task(count - 1)``, on this thread and on workers: each takes the next when done with one.

    This thread begins at once; a worker takes 30 to 60 us to wake up.
    """
    numbers = iter(range(count))  # one goes to one thread: the interpreter gives them out one by one

    def work() -> None:
        # Overflow shows in the loss, and is reported there.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            for k in numbers:
                task(k)

    futures = [_pool(threads - 1).submit(work) for _ in range(min(threads, count) - 1)]
    try:
        work()
        wait(futures)
    except BaseException:
        # Nobody may still write into the workers' buffers when the caller goes on, also after Ctrl-C.
        for _ in numbers:
            pass
        wait(futures)
        raise
    for future in futures:
        future.result()
