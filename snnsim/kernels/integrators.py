"""Leaky integrators, which never fire, over all steps of a micro-batch; and the way back."""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import kernel

FloatArray = NDArray[np.float32]

NIL = np.float32(0)


@kernel
def integrate(current: FloatArray, membrane: FloatArray, beta: FloatArray, state: FloatArray) -> None:
    """Leaky integration without firing: ``membrane[t] = beta * membrane[t - 1] + current[t]``.

    ``current`` [M, T, N], or [M, 1, N] where it is the same at every step; ``membrane`` [M, T, N]; ``state`` [1, N].
    """
    samples, steps, n = membrane.shape
    constant = current.shape[1] == 1
    rest = state[0]
    for b in range(samples):
        for j in range(n):
            rest[j] = NIL
        for t in range(steps):
            drive = current[b, 0 if constant else t]
            u = membrane[b, t]
            for j in range(n):
                rest[j] = beta[j] * rest[j] + drive[j]
            for j in range(n):
                u[j] = rest[j]


@kernel
def backpropagate_integration(
    membrane_gradient: FloatArray, delta_sum: FloatArray, beta: FloatArray, state: FloatArray
) -> None:
    """Turn dL/du [M, T, N] of leaky integrators into dL/dI in place; ``delta_sum`` [M, N] is its sum over time."""
    samples, steps, n = membrane_gradient.shape
    carried = state[0]
    total = state[1]
    for b in range(samples):
        for j in range(n):
            carried[j] = NIL
            total[j] = NIL
        for t in range(steps - 1, -1, -1):
            g = membrane_gradient[b, t]
            for j in range(n):
                carried[j] = g[j] + beta[j] * carried[j]
                g[j] = carried[j]
                total[j] += carried[j]
        for j in range(n):
            delta_sum[b, j] = total[j]
