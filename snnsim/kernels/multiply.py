"""Products of matrices in which a number's bits depend on its own row and column alone, wherever they stand.

A BLAS takes rows at different places through differently unrolled loops. Here every sum goes upwards, by fused
multiply-adds, in a register of its own.
"""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import kernel
from snnsim.kernels.lanes import LANES, TILE_ROWS, TILE_VECTORS, add_tile, copy_panel

FloatArray = NDArray[np.float32]

# Columns of the right matrix that are taken together, copied so that they lie in the order of use.
PANEL = TILE_VECTORS * LANES


@kernel
def multiply(
    a: FloatArray, depth: int, b: FloatArray, out: FloatArray, first: int, last: int, panel: FloatArray
) -> None:
    """Write columns ``first`` to ``last`` of ``out = a @ b``, ``first`` a multiple of `PANEL`.

    ``a`` [R, K], flat, ``b`` [K, N], ``out`` [R, N], with ``depth`` = K; scratch: ``panel``, flat, at least
    [K + TILE_ROWS, PANEL].
    """
    tile, table = panel[depth * PANEL :], b.reshape(-1)
    for at in range(first, last, PANEL):
        columns = min(PANEL, last - at)
        copy_panel(panel, table, at, b.shape[1], depth, columns)
        # Tiles alike in size: one of few rows would wait for its own sums.
        parts = (out.shape[0] + TILE_ROWS - 1) // TILE_ROWS
        for part in range(parts):
            r = out.shape[0] * part // parts
            rows = out.shape[0] * (part + 1) // parts - r
            for j in range(rows * PANEL):
                tile[j] = np.float32(0)
            add_tile(tile, 0, PANEL, rows, TILE_VECTORS, a, r * depth, depth, 0, 1, panel, 0, 0, PANEL, 1, depth)
            for i in range(rows):
                result = out[r + i]
                for j in range(columns):
                    result[at + j] = tile[i * PANEL + j]
