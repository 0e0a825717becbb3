"""Leaky integrators, which never fire, over all steps of a micro-batch; and the way back."""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import kernel

FloatArray = NDArray[np.float32]

NIL = np.float32(0)


@kernel
def integrate(
    current: FloatArray, membrane: FloatArray, beta: FloatArray, state: FloatArray, carried: FloatArray
) -> None:
    """Leaky integration without firing: ``membrane[t] = beta * membrane[t - 1] + current[t]``.

    ``current`` [M, T, N], or [M, 1, N] where it is the same at every step; ``membrane`` [M, T, N]; ``state`` [1, N].
    ``carried`` [M, at least 1, N] is the membrane before the first step, overwritten by that after the last; empty: 0.
    """
    samples, steps, n = membrane.shape
    constant = current.shape[1] == 1
    rest = state[0]
    carry = carried.size > 0
    for b in range(samples):
        for j in range(n):
            rest[j] = carried[b, 0, j] if carry else NIL
        for t in range(steps):
            drive = current[b, 0 if constant else t]
            u = membrane[b, t]
            for j in range(n):
                rest[j] = beta[j] * rest[j] + drive[j]
            for j in range(n):
                u[j] = rest[j]
        if carry:
            for j in range(n):
                carried[b, 0, j] = rest[j]


@kernel
def backpropagate_integration(
    membrane_gradient: FloatArray, delta_sum: FloatArray, beta: FloatArray, state: FloatArray, carried: FloatArray
) -> None:
    """Turn dL/du [M, T, N] of leaky integrators into dL/dI in place; ``delta_sum`` [M, N] is its sum over time.

    ``state`` [2, N] is scratch. ``carried`` [M, at least 1, N] is dL/dI of the step after the last, overwritten by that
    of the first; empty: 0.
    """
    samples, steps, n = membrane_gradient.shape
    later = state[0]
    total = state[1]
    carry = carried.size > 0
    for b in range(samples):
        for j in range(n):
            later[j] = carried[b, 0, j] if carry else NIL
            total[j] = NIL
        for t in range(steps - 1, -1, -1):
            g = membrane_gradient[b, t]
            for j in range(n):
                later[j] = g[j] + beta[j] * later[j]
                g[j] = later[j]
                total[j] += later[j]
        for j in range(n):
            delta_sum[b, j] = total[j]
        if carry:
            for j in range(n):
                carried[b, 0, j] = later[j]
