"""Neurons over all steps of a micro-batch: integrate, compare, reset and emit in one pass.

The membrane before the reset is all that is stored for the way back (`snnsim.kernels.neurons_back`). Order of work in
a step: decay, input, threshold, reset. A neuron fires where ``u > fire_above``: the threshold itself, or for ``>=`` the
float just below it.
"""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import kernel
from snnsim.kernels.codes import FIRED, NONE, PENDING, REST, SUBTRACT, SYNAPTIC, TRACE, ZERO
from snnsim.kernels.vectors import WIDTH, row_adder

FloatArray = NDArray[np.float32]


NIL = np.float32(0)

# Eight bytes that are 0 or 1, times this, have these as bits in the product's highest byte.
GATHER_BYTES = np.uint64(0x0102040810204080)
# A word with one bit set, times this, has a different number in its highest six bits for every bit (de Bruijn).
DE_BRUIJN = 0x03F79D71B4CB0A89
FIND_BIT = np.uint64(DE_BRUIJN)
BIT = np.array([((DE_BRUIJN << k) % (1 << 64)) >> 58 for k in range(64)]).argsort().astype(np.int32)

_add_rows = row_adder((8, 2, 1))


@kernel
def _packed(word: np.uint64, k: int) -> np.uint64:
    """Return a word's eight bytes, each 0 or 1, as bits 8k to 8k + 7."""
    return ((word * GATHER_BYTES) >> np.uint64(56)) << np.uint64(8 * k)


@kernel
def _emit(words: NDArray[np.uint64], indices: NDArray[np.int32], total: int) -> int:
    """Write the places of all bytes that are 1 from ``indices[total]`` on; return the end.

    ``words`` hold the bytes, eight each, in memory order, a multiple of eight words. 64 neurons become the bits of
    one word; a branch per neuron, or per eight, would be mispredicted too often.
    """
    for c in range(0, words.size, 8):
        bits = (
            (_packed(words[c], 0) | _packed(words[c + 1], 1))
            | (_packed(words[c + 2], 2) | _packed(words[c + 3], 3))
            | (_packed(words[c + 4], 4) | _packed(words[c + 5], 5))
            | (_packed(words[c + 6], 6) | _packed(words[c + 7], 7))
        )
        while bits != 0:
            lowest = bits & (~bits + np.uint64(1))
            indices[total] = np.int32(8 * c) + BIT[(lowest * FIND_BIT) >> np.uint64(58)]
            total += 1
            bits ^= lowest
    return total


@kernel
def emit_rows(words: NDArray[np.uint64], indptr: NDArray[np.int64], indices: NDArray[np.int32]) -> None:
    """Write the places of rows of bytes that are 1 as events, a bucket a row.

    ``words`` [rows, N rounded up to 64, over 8]; ``indptr`` [rows + 1], ``indices`` [at least rows * N].
    """
    total = 0
    indptr[0] = 0
    for r in range(words.shape[0]):
        total = _emit(words[r], indices, total)
        indptr[r + 1] = total


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
    words: NDArray[np.uint64],
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    carried: FloatArray,
) -> None:
    """Run firing neurons over all steps and write their events.

    ``membrane`` [M, T, N] holds the currents and is overwritten by the membrane before the reset; where currents are
    the same at every step they are ``constant`` [M, N] instead (otherwise empty), and ``membrane`` may be [M, 1, N],
    of which only the last step's remains. ``beta``, ``threshold``,
    ``fire_above`` [N]. Empty where a neuron has no such thing: ``alpha`` [N] (synaptic current), ``rho`` and
    ``adaptation`` [N] (adaptive threshold), ``recurrent`` [N, N], one row per neuron that fires. Scratch: ``state``
    [5, N], ``fired`` [N rounded up to 64, the rest zero] with ``words``, the same memory as 64-bit words. Events:
    ``indptr`` [M * T + 1], ``indices`` [at least M * T * N]. ``carried`` [M, 5, N] are the states before the first
    step (rows `REST` to `FIRED`), overwritten by those after the last; empty: all start at zero.
    """
    samples, kept, n = membrane.shape
    steps = (indptr.size - 1) // samples
    rest = state[0]
    pending = state[1]
    synaptic = state[2]
    trace = state[3]
    # A copy beside the other states: with two places to choose from, the compiler would not vectorise as well.
    limit = state[4]
    for j in range(n):
        limit[j] = fire_above[j]
    rows = recurrent.reshape(-1)
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
        for t in range(steps):
            bucket = b * steps + t
            # One array for current and membrane: with two that may overlap, the compiler would not vectorise.
            u = membrane[b, t if kept == steps else 0]
            if constant.size:
                drive = constant[b]
                for j in range(n):
                    u[j] = drive[j]
            if recurrent.size:
                begin, end = indptr[bucket - 1] if t > 0 else total, total
                if t == 0 and carry:
                    # The last spikes before, for a moment where this step's own will be.
                    for j in range(n):
                        if carried[b, FIRED, j] != NIL:
                            indices[end] = j
                            end += 1
                for k in range(0, n, WIDTH):
                    _add_rows(u, k, u, k, rows, k, n, min(WIDTH, n - k), indices, begin, end)
            if alpha.size:
                for j in range(n):
                    synaptic[j] = alpha[j] * synaptic[j] + u[j]
                for j in range(n):
                    u[j] = synaptic[j]
            if rho.size:
                _adapted(fire_above, threshold, adaptation, trace, limit)
            if reset == SUBTRACT:
                for j in range(n):
                    v = beta[j] * rest[j] + u[j]
                    s = v > limit[j]
                    u[j] = v
                    rest[j] = v - threshold[j] if s else v
                    fired[j] = s
            elif reset == ZERO:
                for j in range(n):
                    v = beta[j] * rest[j] + u[j]
                    s = v > limit[j]
                    u[j] = v
                    rest[j] = NIL if s else v
                    fired[j] = s
            elif reset == NONE:
                for j in range(n):
                    v = beta[j] * rest[j] + u[j]
                    u[j] = v
                    rest[j] = v
                    fired[j] = v > limit[j]
            else:
                for j in range(n):
                    v = (beta[j] * rest[j] + u[j]) - pending[j]
                    s = v > limit[j]
                    u[j] = v
                    rest[j] = v
                    pending[j] = threshold[j] if s else NIL
                    fired[j] = s
            if rho.size:
                for j in range(n):
                    trace[j] = rho[j] * trace[j] + np.float32(fired[j])
            total = _emit(words, indices, total)
            indptr[bucket + 1] = total
        if carry:
            for j in range(n):
                carried[b, REST, j] = rest[j]
                carried[b, PENDING, j] = pending[j]
                carried[b, SYNAPTIC, j] = synaptic[j]
                carried[b, TRACE, j] = trace[j]
                carried[b, FIRED, j] = np.float32(fired[j])
