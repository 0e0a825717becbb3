"""Sums of rows: what events add to the currents of a dense layer, and what deltas add to its weights' gradient.

Both take rows of a table in any order, eight a pass, and are bound by the cache that the table comes from. They go by
blocks of `WIDTH` columns, of which a bucket's sums stay in registers. Where many events read a table it is packed
first: the columns of a block lie together, a small part of the whole table, and come from a nearer cache.
"""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import kernel
from snnsim.kernels.vectors import WIDTH as WIDTH
from snnsim.kernels.vectors import row_adder

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int32]
CountArray = NDArray[np.int64]

_add_weights = row_adder((8, 2, 1))
_add_deltas = row_adder((8, 1))


@kernel
def pack(table: FloatArray, packed: FloatArray) -> None:
    """Copy a table [rows, N] by blocks of columns, ``packed`` [ceil(N / WIDTH), rows, WIDTH]."""
    for b in range(packed.shape[0]):
        block = packed[b]
        columns = min(WIDTH, table.shape[1] - b * WIDTH)
        for r in range(table.shape[0]):
            for k in range(columns):
                block[r, k] = table[r, b * WIDTH + k]


@kernel
def gather(
    indptr: CountArray,
    indices: IndexArray,
    weight: FloatArray,
    packed: FloatArray,
    bias: FloatArray,
    current: FloatArray,
) -> None:
    """Add up the weight rows of every bucket's binary events: ``current[r] = bias + sum_i weight[i]``.

    ``weight`` [F, N], ``packed`` the same (see `pack`) or no blocks, ``bias`` [N], ``current`` [rows, N] (overwritten),
    ``indptr`` [rows + 1] into ``indices``. Eight rows a pass in a fixed tree of partial sums: a bucket's bits depend on
    its own events alone.
    """
    n = bias.size
    blocks = (n + WIDTH - 1) // WIDTH
    table, between, stride, together = weight.reshape(-1), WIDTH, n, blocks
    if packed.shape[0]:
        table, between, stride, together = packed.reshape(-1), packed.shape[1] * WIDTH, WIDTH, 1
    out = current.reshape(-1)
    for start in range(0, blocks, together):
        for r in range(indptr.size - 1):
            for b in range(start, start + together):
                at, columns = b * WIDTH, min(WIDTH, n - b * WIDTH)
                _add_weights(
                    bias, at, out, r * n + at, table, b * between, stride, columns, indices, indptr[r], indptr[r + 1]
                )


@kernel
def add_weight_gradient(
    starts: CountArray, rows: IndexArray, delta: FloatArray, packed: FloatArray, gradient: FloatArray
) -> None:
    """Add a chunk's weight gradient: ``gradient[i] += sum of delta[r]`` over the buckets r that input i is in.

    ``delta`` [rows, N], ``packed`` the same (see `pack`) or no blocks, ``gradient`` [F, N]; ``starts`` and ``rows`` as
    `propagate.sort_by_input` leaves them. Eight rows a pass in a fixed tree of partial sums.
    """
    n = gradient.shape[1]
    blocks = (n + WIDTH - 1) // WIDTH
    table, between, stride, together = delta.reshape(-1), WIDTH, n, blocks
    if packed.shape[0]:
        table, between, stride, together = packed.reshape(-1), packed.shape[1] * WIDTH, WIDTH, 1
    out = gradient.reshape(-1)
    for start in range(0, blocks, together):
        for i in range(starts.size - 1):
            if starts[i] == starts[i + 1]:
                continue
            for b in range(start, start + together):
                at, columns = i * n + b * WIDTH, min(WIDTH, n - b * WIDTH)
                _add_deltas(out, at, out, at, table, b * between, stride, columns, rows, starts[i], starts[i + 1])
