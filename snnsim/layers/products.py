"""Matrix products of which a row's bits depend on that row alone."""

import numpy as np

from snnsim.layers.base import FloatArray

# Rows of a product are taken so many at a time, as the lanes of the BLAS's vectors. Rows at different places of a
# larger product go through differently unrolled loops (OpenBLAS on AVX2: rows 0 to 5 of 16 differ from the others in
# their last bits), lanes of one vector through the same instructions.
LANES = 16


def row_products(x: FloatArray, weight: FloatArray) -> FloatArray:
    """Return ``x @ weight``, float32 [R, N], for ``x`` [R, F] and ``weight`` [F, N].

    A sample's results must not depend on who else is in its batch, or where in the batch it stands.
    """
    result = np.empty((x.shape[0], weight.shape[1]), np.float32)
    block = np.zeros((x.shape[1], LANES), np.float32)
    for start in range(0, x.shape[0], LANES):
        rows = x[start : start + LANES]
        block[:, : rows.shape[0]] = rows.T
        result[start : start + LANES] = np.dot(weight.T, block).T[: rows.shape[0]]
    return result
