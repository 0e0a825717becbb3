"""Matrix products of which a row's bits depend on that row alone."""

from collections.abc import Callable

import numpy as np

from snnsim.kernels.lanes import TILE_ROWS
from snnsim.kernels.multiply import PANEL, multiply
from snnsim.layers.signals import FloatArray

# Into how many blocks of columns a product is cut for the workers; no bit depends on it.
BLOCKS = 4


def row_products(x: FloatArray, weight: FloatArray, run: Callable[..., None] | None = None) -> FloatArray:
    """Return ``x @ weight``, float32 [R, N], for ``x`` [R, F] and ``weight`` [F, N].

    A sample's results must not depend on who else is in its batch, or where in the batch it stands.
    ``run(task, count)`` shares the work out; without it, all is done here.
    """
    rows, columns = np.ascontiguousarray(x).reshape(-1), np.ascontiguousarray(weight)
    depth, targets = columns.shape
    result = np.empty((x.shape[0], targets), np.float32)
    panels, blocks = -(-targets // PANEL), BLOCKS if run else 1
    bounds = [min(targets, panels * k // blocks * PANEL) for k in range(blocks + 1)]

    def block(k: int) -> None:
        if bounds[k] < bounds[k + 1]:
            panel = np.empty((depth + TILE_ROWS) * PANEL, np.float32)
            multiply(rows, depth, columns, result, bounds[k], bounds[k + 1], panel)

    if run:
        run(block, blocks)
    else:
        block(0)
    return result
