"""Neurons over all steps of a micro-batch: integrate, compare, reset and emit in one pass; and the way back.

The membrane before the reset is all that is stored; the surrogate's derivative is computed again from it. Order of
work in a step: decay, input, threshold, reset. A neuron fires where ``u > fire_above``: the threshold itself, or for
``>=`` the float just below it.
"""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import dot_kernel, kernel

FloatArray = NDArray[np.float32]

SUBTRACT, ZERO, NONE, SUBTRACT_DELAYED = 0, 1, 2, 3
# Rows of what neurons carry from one stretch of steps into the next.
REST, PENDING, SYNAPTIC, TRACE, FIRED = 0, 1, 2, 3, 4
CARRIED = 5
# And of what the way back carries into the stretch before: the gradients of membrane, current and adaptation.
CARRIED_BACK = 3
FAST_SIGMOID, ATAN, SIGMOID, TRIANGLE, BOXCAR, STRAIGHT_THROUGH = 0, 1, 2, 3, 4, 5

ONE = np.float32(1)
NIL = np.float32(0)

# Eight bytes that are 0 or 1, times this, have these as bits in the product's highest byte.
GATHER_BYTES = np.uint64(0x0102040810204080)
# A word with one bit set, times this, has a different number in its highest six bits for every bit (de Bruijn).
DE_BRUIJN = 0x03F79D71B4CB0A89
FIND_BIT = np.uint64(DE_BRUIJN)
BIT = np.array([((DE_BRUIJN << k) % (1 << 64)) >> 58 for k in range(64)]).argsort().astype(np.int32)


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
def _add_rows(indices: NDArray[np.int32], weight: FloatArray, out: FloatArray) -> None:
    """Add the weight rows of some events to ``out`` [N], four rows a pass."""
    j = 0
    while j + 3 < indices.size:
        w0 = weight[indices[j]]
        w1 = weight[indices[j + 1]]
        w2 = weight[indices[j + 2]]
        w3 = weight[indices[j + 3]]
        for k in range(out.size):
            out[k] += (w0[k] + w1[k]) + (w2[k] + w3[k])
        j += 4
    while j < indices.size:
        w0 = weight[indices[j]]
        for k in range(out.size):
            out[k] += w0[k]
        j += 1


@kernel
def _add_products(factors: FloatArray, weight: FloatArray, out: FloatArray) -> None:
    """Add ``sum_k factors[k] * weight[k]`` to ``out`` [N]; rows with factor zero are skipped, four rows a pass."""
    k = 0
    n = out.size
    while k < n:
        if k + 3 < n:
            f0, f1, f2, f3 = factors[k], factors[k + 1], factors[k + 2], factors[k + 3]
            if f0 != NIL or f1 != NIL or f2 != NIL or f3 != NIL:
                w0, w1, w2, w3 = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
                for j in range(n):
                    out[j] += (f0 * w0[j] + f1 * w1[j]) + (f2 * w2[j] + f3 * w3[j])
            k += 4
        else:
            f0 = factors[k]
            w0 = weight[k]
            for j in range(n):
                out[j] += f0 * w0[j]
            k += 1


@dot_kernel
def _add_needed_products(factors: FloatArray, weight: FloatArray, h: FloatArray, out: FloatArray) -> None:
    """Add ``weight[j] . factors`` to ``out[j]`` where ``h[j]`` is not zero."""
    for j in range(out.size):
        if h[j] != NIL:
            w = weight[j]
            total = NIL
            for k in range(factors.size):
                total += w[k] * factors[k]
            out[j] += total


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
    the same at every step they are ``constant`` [M, N] instead (otherwise empty). ``beta``, ``threshold``,
    ``fire_above`` [N]. Empty where a neuron has no such thing: ``alpha`` [N] (synaptic current), ``rho`` and
    ``adaptation`` [N] (adaptive threshold), ``recurrent`` [N, N], one row per neuron that fires. Scratch: ``state``
    [5, N], ``fired`` [N rounded up to 64, the rest zero] with ``words``, the same memory as 64-bit words. Events:
    ``indptr`` [M * T + 1], ``indices`` [at least M * T * N]. ``carried`` [M, 5, N] are the states before the first
    step (rows `REST` to `FIRED`), overwritten by those after the last; empty: all start at zero.
    """
    samples, steps, n = membrane.shape
    rest = state[0]
    pending = state[1]
    synaptic = state[2]
    trace = state[3]
    # A copy beside the other states: with two places to choose from, the compiler would not vectorise as well.
    limit = state[4]
    for j in range(n):
        limit[j] = fire_above[j]
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
            u = membrane[b, t]
            if constant.size:
                drive = constant[b]
                for j in range(n):
                    u[j] = drive[j]
            if recurrent.size:
                if t > 0:
                    _add_rows(indices[indptr[bucket - 1] : total], recurrent, u)
                elif carry:
                    # The last spikes before, for a moment where this step's own will be.
                    end = total
                    for j in range(n):
                        if carried[b, FIRED, j] != NIL:
                            indices[end] = j
                            end += 1
                    _add_rows(indices[total:end], recurrent, u)
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


@kernel
def _surrogate(code: int, sharpness: np.float32, u: FloatArray, threshold: FloatArray, h: FloatArray) -> None:
    """Write the surrogate's derivative h(u - threshold) of one row; ``sharpness`` is its slope, alpha or width."""
    if code == FAST_SIGMOID:
        for j in range(h.size):
            y = sharpness * abs(u[j] - threshold[j]) + ONE
            h[j] = ONE / (y * y)
    elif code == ATAN:
        half = sharpness * np.float32(0.5)
        scale = sharpness * np.float32(np.pi / 2)
        for j in range(h.size):
            y = scale * (u[j] - threshold[j])
            h[j] = half / (ONE + y * y)
    elif code == SIGMOID:
        for j in range(h.size):
            # y (1 - y) written so that no digits cancel where y is near 1.
            e = np.exp(-sharpness * abs(u[j] - threshold[j]))
            h[j] = sharpness * e / ((ONE + e) * (ONE + e))
    elif code == TRIANGLE:
        for j in range(h.size):
            h[j] = max(NIL, ONE - abs(u[j] - threshold[j]) / sharpness) / sharpness
    elif code == BOXCAR:
        height = np.float32(0.5) / sharpness
        for j in range(h.size):
            h[j] = height if abs(u[j] - threshold[j]) < sharpness else NIL
    else:
        for j in range(h.size):
            h[j] = ONE


@kernel
def surrogate_derivative(code: int, sharpness: np.float32, u: FloatArray, threshold: FloatArray, h: FloatArray) -> None:
    """Write ``h[r] = h(u[r] - threshold)`` for the rows of ``u`` [rows, N]."""
    for r in range(u.shape[0]):
        _surrogate(code, sharpness, u[r], threshold, h[r])


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
    levels: FloatArray,
    limits: FloatArray,
) -> None:
    """Run sample b again: ``levels`` [T, N] are ``threshold + adaptation * a``; above ``limits`` it fired.

    ``membrane`` [T, N] is the sample's; ``begun`` [M, 5, N] the states before the first step, or empty; ``trace`` [N]
    scratch.
    """
    for j in range(trace.size):
        trace[j] = begun[b, TRACE, j] if begun.size else NIL
    for t in range(membrane.shape[0]):
        u = membrane[t]
        level = levels[t]
        limit = limits[t]
        for j in range(trace.size):
            level[j] = threshold[j] + adaptation[j] * trace[j]
        _adapted(fire_above, threshold, adaptation, trace, limit)
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
    active: NDArray[np.uint8],
    words: NDArray[np.uint64],
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    begun: FloatArray,
) -> None:
    """Write as events where the surrogate's derivative is not zero: there alone a spike's gradient matters.

    Scratch, arrays and ``begun`` as in `backpropagate`; ``active`` and ``words`` as ``fired`` in `integrate_and_fire`;
    events as there.
    """
    samples, steps, n = membrane.shape
    h, trace = state[0], state[1]
    total = 0
    indptr[0] = 0
    for b in range(samples):
        if rho.size:
            _firing_limits(membrane[b], threshold, fire_above, rho, adaptation, begun, b, trace, levels, limits)
        for t in range(steps):
            _surrogate(code, sharpness, membrane[b, t], levels[t] if rho.size else threshold, h)
            for j in range(n):
                active[j] = h[j] != NIL
            total = _emit(words, indices, total)
            indptr[b * steps + t + 1] = total


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
def backpropagate(
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
    detach_reset: bool,
    alpha: FloatArray,
    rho: FloatArray,
    adaptation: FloatArray,
    recurrent: FloatArray,
    code: int,
    sharpness: np.float32,
    state: FloatArray,
    levels: FloatArray,
    limits: FloatArray,
    learned: NDArray[np.float64],
    begun: FloatArray,
    carried: FloatArray,
) -> None:
    """Carry dL/ds back through time to ``delta = dL/dI``, the gradient of the input current.

    The spikes' gradient at step t is ``spike_gradient[b, t] * step_weights[t] + extra[b]``; ``spike_gradient`` is
    [M, T, N], or [M, 1, N] where it is the same at every step but for the weight. ``extra`` [M, N]. Written:
    ``delta`` [M, T, N] (may be ``spike_gradient``), or nothing where it is empty, and ``delta_sum`` [M, N], its sum
    over time. Empty where a neuron has no such thing: ``alpha``, ``rho``, ``adaptation`` [N]; ``recurrent`` [N, N],
    here one row per neuron that is *reached*, or, for surrogates of compact support, per neuron that fires;
    ``learned`` [3, N], to which the gradients of beta, alpha and threshold are added. Scratch: ``state`` [8, N];
    ``levels`` and ``limits`` [T, N] for adaptive neurons. Where the steps are part of a longer run: ``begun``
    [M, 5, N], the states before the first step, and ``carried`` [M, 3, N], dL/du, dL/di and dL/da of the step after
    the last, overwritten by those of the first; otherwise both are empty.

    With ``g`` the whole gradient of a spike, direct, through the reset (unless detached), through recurrent weights
    and through the adaptation: ``du[t] = h[t] g[t] + (dr[t] / du[t]) beta du[t + 1]`` and
    ``di[t] = du[t] + alpha di[t + 1]``.
    """
    samples, steps, n = membrane.shape
    same = spike_gradient.shape[1] == 1
    keep = delta.size > 0
    plain = detach_reset and not (alpha.size or rho.size or recurrent.size or learned.size)
    h, g, du, di = state[0], state[1], state[2], state[3]
    total, da, rest, older = state[4], state[5], state[6], state[7]
    carry = carried.size > 0
    for b in range(samples):
        more = extra[b]
        if rho.size:
            _firing_limits(membrane[b], threshold, fire_above, rho, adaptation, begun, b, da, levels, limits)
        for j in range(n):
            du[j] = carried[b, 0, j] if carry else NIL
            di[j] = carried[b, 1, j] if carry else NIL
            da[j] = carried[b, 2, j] if carry else NIL
            total[j] = NIL
        for t in range(steps - 1, -1, -1):
            u = membrane[b, t]
            limit = limits[t] if rho.size else fire_above
            _surrogate(code, sharpness, u, levels[t] if rho.size else threshold, h)
            above = spike_gradient[b, 0 if same else t]
            weight = step_weights[t]
            if plain:
                # The same arithmetic as below, in one pass.
                if reset == ZERO:
                    for j in range(n):
                        kept = NIL if u[j] > limit[j] else beta[j]
                        du[j] = h[j] * (above[j] * weight + more[j]) + kept * du[j]
                else:
                    for j in range(n):
                        du[j] = h[j] * (above[j] * weight + more[j]) + beta[j] * du[j]
                for j in range(n):
                    total[j] += du[j]
                if keep:
                    out = delta[b, t]
                    for j in range(n):
                        out[j] = du[j]
                continue
            for j in range(n):
                g[j] = above[j] * weight + more[j]
            if recurrent.size:
                if code in (TRIANGLE, BOXCAR):
                    _add_needed_products(di, recurrent, h, g)
                else:
                    _add_products(di, recurrent, g)
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
            else:
                for j in range(n):
                    di[j] = du[j]
            if learned.size and t > 0:
                before = membrane[b, t - 1]
                limit_before = limits[t - 1] if rho.size else fire_above
                _rested(reset, before, limit_before, threshold, rest)
                for j in range(n):
                    learned[0, j] += du[j] * rest[j]
                if alpha.size:
                    # The synaptic current of the step before is what its membrane got on top of the decayed rest.
                    if t > 1:
                        earlier = membrane[b, t - 2]
                        limit_earlier = limits[t - 2] if rho.size else fire_above
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
            for j in range(n):
                total[j] += di[j]
            if keep:
                out = delta[b, t]
                for j in range(n):
                    out[j] = di[j]
        for j in range(n):
            delta_sum[b, j] = total[j]
        if carry:
            for j in range(n):
                carried[b, 0, j] = du[j]
                carried[b, 1, j] = di[j]
                carried[b, 2, j] = da[j]
