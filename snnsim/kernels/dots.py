"""Dot products that kernels of several files take. See `snnsim.kernels._jit.dot_kernel`."""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import dot_kernel

FloatArray = NDArray[np.float32]

NIL = np.float32(0)


@dot_kernel
def add_needed_products(factors: FloatArray, weight: FloatArray, h: FloatArray, out: FloatArray) -> None:
    """Add ``weight[j] . factors`` to ``out[j]`` where ``h[j]`` is not zero."""
    for j in range(out.size):
        if h[j] != NIL:
            w = weight[j]
            total = NIL
            for k in range(factors.size):
                total += w[k] * factors[k]
            out[j] += total
