"""Neurons over all steps of a micro-batch: integrate, compare, reset and emit in one pass.

The membrane before the reset is all that is stored for the way back (`snnsim.kernels.neurons_back`). Order of work in
a step: decay, input, threshold, reset. A neuron fires where ``u > fire_above``: the threshold itself, or for ``>=`` the
float just below it.
"""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import kernel
from snnsim.kernels.codes import FIRED, PENDING, REST, SYNAPTIC, TRACE
from snnsim.kernels.scans import FIRED_BLOCK as FIRED_BLOCK
from snnsim.kernels.scans import emit, fire
from snnsim.kernels.vectors import WIDTH, row_adder

FloatArray = NDArray[np.float32]

NIL = np.float32(0)

_add_rows = row_adder((8, 2, 1))


@kernel
def _adapted(
    fire_above: FloatArray, threshold: FloatArray, adaptation: FloatArray, trace: FloatArray, limit: FloatArray
) -> None:
    """Write where adapted neurons fire: above ``threshold + adaptation * a``, or for ``>=`` the float just below."""
    for j in range(limit.size):
        value = threshold[j] + adaptation[j] * trace[j]
        limit[j] = value if fire_above[j] == threshold[j] else np.nextafter(value, np.float32(-np.inf))


@kernel
def integrate_and_fire(
    constant: FloatArray,
    membrane: FloatArray,
    beta: FloatArray,
    threshold: FloatArray,
    fire_above: FloatArray,
    reset: int,
    alpha: FloatArray,
    rho: FloatArray,
    adaptation: FloatArray,
    recurrent: FloatArray,
    state: FloatArray,
    fired: NDArray[np.uint8],
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    carried: FloatArray,
) -> None:
    """Run firing neurons over all steps and write their events.

    ``membrane`` [M, T, N] holds the currents and is overwritten by the membrane before the reset; where currents are
    the same at every step they are ``constant`` [M, N] instead (otherwise empty), and ``membrane`` may be [M, 1, N],
    of which only the last step's remains. ``beta``, ``threshold``, ``fire_above`` [N]. Empty where a neuron has no
    such thing: ``alpha`` [N] (synaptic current), ``rho`` and ``adaptation`` [N] (adaptive threshold), ``recurrent``
    [N, N], one row per neuron that fires. Scratch: ``state`` [5, N]; ``fired`` [T, bits of N in whole blocks of
    `FIRED_BLOCK`]. Events: ``indptr`` [M * T + 1], ``indices`` [at least M * T * N + `SLACK`]. ``carried`` [M, 5, N]
    are the states before the first step (rows `REST` to `FIRED`), overwritten by those after the last; empty: all start
    at zero.
    """
    samples, kept, n = membrane.shape
    steps = (indptr.size - 1) // samples
    rest = state[0]
    pending = state[1]
    synaptic = state[2]
    trace = state[3]
    limit = state[4]
    for j in range(n):
        limit[j] = fire_above[j]
    rows = recurrent.reshape(-1)
    row, blocks = fired.shape[1], (n + FIRED_BLOCK - 1) // FIRED_BLOCK
    # Where a step needs what others did in the step before, it goes alone.
    together = 1 if recurrent.size or alpha.size or rho.size else steps
    carry = carried.size > 0
    total = 0
    indptr[0] = 0
    for b in range(samples):
        for j in range(n):
            rest[j] = NIL
            pending[j] = NIL
            synaptic[j] = NIL
            trace[j] = NIL
        if carry:
            for j in range(n):
                rest[j] = carried[b, REST, j]
                pending[j] = carried[b, PENDING, j]
                synaptic[j] = carried[b, SYNAPTIC, j]
                trace[j] = carried[b, TRACE, j]
        for first in range(0, steps, together):
            u = membrane[b].reshape(-1)[first * n if kept == steps else 0 :]
            drive = constant[b] if constant.size else u
            drive_step = 0 if constant.size else n
            if recurrent.size:
                begin, end = indptr[b * steps + first - 1] if first > 0 else total, total
                if first == 0 and carry:
                    # The last spikes before, for a moment where this step's own will be.
                    for j in range(n):
                        if carried[b, FIRED, j] != NIL:
                            indices[end] = j
                            end += 1
                for k in range(0, n, WIDTH):
                    _add_rows(drive, k, u, k, rows, k, n, min(WIDTH, n - k), indices, begin, end)
                drive = u
            if alpha.size:
                for j in range(n):
                    synaptic[j] = alpha[j] * synaptic[j] + drive[j]
                drive = synaptic
            if rho.size:
                _adapted(fire_above, threshold, adaptation, trace, limit)
            bits, u_step = fired[first:].reshape(-1), n if kept == steps else 0
            fire(drive, drive_step, u, u_step, beta, limit, threshold, rest, pending, bits, row, n, together, reset)
            if rho.size:
                for j in range(n):
                    trace[j] = rho[j] * trace[j] + np.float32(u[j] > limit[j])
            for t in range(first, first + together):
                total = emit(fired[t], blocks, indices, total)
                indptr[b * steps + t + 1] = total
        if carry:
            last = membrane[b, kept - 1]
            for j in range(n):
                carried[b, REST, j] = rest[j]
                carried[b, PENDING, j] = pending[j]
                carried[b, SYNAPTIC, j] = synaptic[j]
                carried[b, TRACE, j] = trace[j]
                carried[b, FIRED, j] = np.float32(last[j] > limit[j])
