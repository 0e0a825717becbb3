"""The way back through neurons of every kind: adaptive, synaptic, learned, with a gradient through the reset.

Kernels of their own, since what most networks need (`snnsim.kernels.neurons_back`) is compiled and loaded in a fraction
of their time and memory.
"""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import kernel
from snnsim.kernels.codes import PENDING, REST, SUBTRACT, SUBTRACT_DELAYED, SYNAPTIC, TRACE, ZERO
from snnsim.kernels.dots import add_needed_products
from snnsim.kernels.scans import surrogate
from snnsim.kernels.vectors import add_products, emit_nonzero

FloatArray = NDArray[np.float32]

ONE = np.float32(1)
NIL = np.float32(0)


@kernel
def _firing_limits(
    membrane: FloatArray,
    threshold: FloatArray,
    fire_above: FloatArray,
    rho: FloatArray,
    adaptation: FloatArray,
    begun: FloatArray,
    b: int,
    trace: FloatArray,
    first: int,
    levels: FloatArray,
    limits: FloatArray,
) -> None:
    """Run sample b again: ``levels`` [T, N] are ``threshold + adaptation * a``; above ``limits`` it fired.

    Both are written from row ``first`` on.

    ``membrane`` [T, N] is the sample's; ``begun`` [M, 5, N] the states before the first step, or empty; ``trace`` [N]
    scratch.
    """
    for j in range(trace.size):
        trace[j] = begun[b, TRACE, j] if begun.size else NIL
    for t in range(membrane.shape[0]):
        u = membrane[t]
        level = levels[first + t]
        limit = limits[first + t]
        for j in range(trace.size):
            value = threshold[j] + adaptation[j] * trace[j]
            level[j] = value
            limit[j] = value if fire_above[j] == threshold[j] else np.nextafter(value, np.float32(-np.inf))
        for j in range(trace.size):
            trace[j] = rho[j] * trace[j] + (ONE if u[j] > limit[j] else NIL)


@kernel
def find_active(
    membrane: FloatArray,
    threshold: FloatArray,
    fire_above: FloatArray,
    rho: FloatArray,
    adaptation: FloatArray,
    code: int,
    sharpness: np.float32,
    state: FloatArray,
    levels: FloatArray,
    limits: FloatArray,
    begun: FloatArray,
    most: int,
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
) -> bool:
    """Write as events where the surrogate's derivative is not zero: there alone a spike's gradient matters.

    Where there are more than ``most``, it gives up, and returns False.

    ``indptr`` [M * T + 1], ``indices`` [at least M * T * N + `SLACK`]; scratch, arrays and ``begun`` as in
    `backpropagate_all`.
    """
    samples, steps, n = membrane.shape
    h, trace = state[0], state[1]
    total = 0
    indptr[0] = 0
    for b in range(samples):
        if rho.size:
            _firing_limits(membrane[b], threshold, fire_above, rho, adaptation, begun, b, trace, 0, levels, limits)
        for t in range(steps):
            surrogate(membrane[b, t], levels[t] if rho.size else threshold, h, n, code, sharpness)
            total = emit_nonzero(h, n, indices, total)
            indptr[b * steps + t + 1] = total
            if total > most:
                return False
    return True


@kernel
def _rested(reset: int, u: FloatArray, limit: FloatArray, threshold: FloatArray, rest: FloatArray) -> None:
    """Write the membrane after the reset, as the next step's decay meets it."""
    for j in range(rest.size):
        s = u[j] > limit[j]
        if reset == SUBTRACT:
            rest[j] = u[j] - threshold[j] if s else u[j]
        elif reset == ZERO:
            rest[j] = NIL if s else u[j]
        else:
            rest[j] = u[j]


@kernel
def backpropagate_all(
    membrane: FloatArray,
    spike_gradient: FloatArray,
    step_weights: FloatArray,
    extra: FloatArray,
    delta: FloatArray,
    delta_sum: FloatArray,
    beta: FloatArray,
    threshold: FloatArray,
    fire_above: FloatArray,
    reset: int,
    code: int,
    sharpness: np.float32,
    carried: FloatArray,
    state: FloatArray,
    recurrent: FloatArray,
    few: bool,
    detach_reset: bool,
    alpha: FloatArray,
    rho: FloatArray,
    adaptation: FloatArray,
    levels: FloatArray,
    limits: FloatArray,
    learned: NDArray[np.float64],
    begun: FloatArray,
) -> None:
    """Do what `neurons_back` does for neurons that have more than a membrane, or a gradient through the reset.

    Empty where a neuron has no such thing: ``alpha``, ``rho``, ``adaptation`` [N]; ``recurrent``; ``learned`` [3, N],
    to which the gradients of beta, alpha and threshold are added. Scratch: ``state`` [8 * K, N] and, for adaptive
    neurons, ``levels`` and ``limits`` [K * T, N]; K and ``few`` as in `backpropagate_recurrent`. ``begun`` [M, 5, N]
    are the states before the first step where that is not the first of all; otherwise it is empty.

    With ``g`` the whole gradient of a spike, direct, through the reset (unless detached), through recurrent weights
    and through the adaptation: ``du[t] = h[t] g[t] + (dr[t] / du[t]) beta du[t + 1]`` and
    ``di[t] = du[t] + alpha di[t + 1]``.
    """
    samples, steps, n = membrane.shape
    same = spike_gradient.shape[1] == 1
    keep = delta.size > 0
    carry = carried.size > 0
    together = state.shape[0] // 8
    # Without a synaptic current the gradient of the input is the membrane's: the same row.
    inputs = (3 if alpha.size else 2) * together
    flat = state.reshape(-1)
    all_g = flat[together * n : 2 * together * n]
    all_di = flat[inputs * n : (inputs + together) * n]
    weights = recurrent.reshape(-1)
    for first in range(0, samples, together):
        count = min(together, samples - first)
        for s in range(count):
            b = first + s
            du, di = state[2 * together + s], state[inputs + s]
            total, da = state[4 * together + s], state[5 * together + s]
            if rho.size:
                at = s * steps
                _firing_limits(membrane[b], threshold, fire_above, rho, adaptation, begun, b, da, at, levels, limits)
            for j in range(n):
                di[j] = carried[b, 1, j] if carry else NIL
                du[j] = carried[b, 0, j] if carry else NIL
                da[j] = carried[b, 2, j] if carry else NIL
                total[j] = NIL
        for t in range(steps - 1, -1, -1):
            weight = step_weights[t]
            for s in range(count):
                b = first + s
                h, g = state[s], state[together + s]
                u = membrane[b, t]
                surrogate(u, levels[s * steps + t] if rho.size else threshold, h, n, code, sharpness)
                above, more = spike_gradient[b, 0 if same else t], extra[b]
                for j in range(n):
                    g[j] = above[j] * weight + more[j]
                if recurrent.size and few:
                    add_needed_products(state[inputs + s], recurrent, h, g)
            if recurrent.size and not few:
                add_products(all_di, n, weights, all_g, n, n, count)
            for s in range(count):
                b = first + s
                h, g, du, di = state[s], state[together + s], state[2 * together + s], state[inputs + s]
                total, da = state[4 * together + s], state[5 * together + s]
                u = membrane[b, t]
                limit = limits[s * steps + t] if rho.size else fire_above
                if rho.size:
                    for j in range(n):
                        g[j] += da[j]
                if not detach_reset:
                    if reset == SUBTRACT:
                        for j in range(n):
                            g[j] -= beta[j] * threshold[j] * du[j]
                    elif reset == ZERO:
                        for j in range(n):
                            g[j] -= beta[j] * u[j] * du[j]
                    elif reset == SUBTRACT_DELAYED:
                        for j in range(n):
                            g[j] -= threshold[j] * du[j]
                if learned.size:
                    for j in range(n):
                        learned[2, j] -= h[j] * g[j]
                        if u[j] > limit[j]:
                            if reset == SUBTRACT:
                                learned[2, j] -= beta[j] * du[j]
                            elif reset == SUBTRACT_DELAYED:
                                learned[2, j] -= du[j]
                if rho.size:
                    for j in range(n):
                        da[j] = rho[j] * da[j] - adaptation[j] * h[j] * g[j]
                if reset == ZERO:
                    for j in range(n):
                        kept = NIL if u[j] > limit[j] else beta[j]
                        du[j] = h[j] * g[j] + kept * du[j]
                else:
                    for j in range(n):
                        du[j] = h[j] * g[j] + beta[j] * du[j]
                if alpha.size:
                    for j in range(n):
                        di[j] = du[j] + alpha[j] * di[j]
                for j in range(n):
                    total[j] += di[j]
                if keep:
                    out = delta[b, t]
                    for j in range(n):
                        out[j] = di[j]
                if learned.size and t > 0:
                    before = membrane[b, t - 1]
                    limit_before = limits[s * steps + t - 1] if rho.size else fire_above
                    rest, older = state[6 * together + s], state[7 * together + s]
                    _rested(reset, before, limit_before, threshold, rest)
                    for j in range(n):
                        learned[0, j] += du[j] * rest[j]
                    if alpha.size:
                        # The synaptic current of the step before is what its membrane got on top of the decayed rest.
                        if t > 1:
                            earlier = membrane[b, t - 2]
                            limit_earlier = limits[s * steps + t - 2] if rho.size else fire_above
                            _rested(reset, earlier, limit_earlier, threshold, older)
                            for j in range(n):
                                pending = (
                                    threshold[j] if reset == SUBTRACT_DELAYED and earlier[j] > limit_earlier[j] else NIL
                                )
                                learned[1, j] += di[j] * (before[j] - beta[j] * older[j] + pending)
                        elif carry:
                            for j in range(n):
                                current = before[j] - beta[j] * begun[b, REST, j] + begun[b, PENDING, j]
                                learned[1, j] += di[j] * current
                        else:
                            for j in range(n):
                                learned[1, j] += di[j] * before[j]
                elif learned.size and carry:
                    for j in range(n):
                        learned[0, j] += du[j] * begun[b, REST, j]
                    if alpha.size:
                        for j in range(n):
                            learned[1, j] += di[j] * begun[b, SYNAPTIC, j]
        for s in range(count):
            b = first + s
            du, di = state[2 * together + s], state[inputs + s]
            total, da = state[4 * together + s], state[5 * together + s]
            for j in range(n):
                delta_sum[b, j] = total[j]
            if carry:
                for j in range(n):
                    carried[b, 0, j] = du[j]
                    carried[b, 1, j] = di[j]
                    carried[b, 2, j] = da[j]
