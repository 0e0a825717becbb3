"""The way back through neurons: surrogate derivatives, and gradients carried back through time."""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import dot_kernel, kernel
from snnsim.kernels.codes import (
    ATAN,
    BOXCAR,
    FAST_SIGMOID,
    PENDING,
    REST,
    SIGMOID,
    SUBTRACT,
    SUBTRACT_DELAYED,
    SYNAPTIC,
    TRACE,
    TRIANGLE,
    ZERO,
)
from snnsim.kernels.vectors import add_products, carry_back, emit_nonzero

FloatArray = NDArray[np.float32]


ONE = np.float32(1)
NIL = np.float32(0)


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
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
) -> None:
    """Write as events where the surrogate's derivative is not zero: there alone a spike's gradient matters.

    ``indptr`` [M * T + 1], ``indices`` [at least M * T * N + `SLACK`]; scratch, arrays and ``begun`` as in
    `backpropagate`.
    """
    samples, steps, n = membrane.shape
    h, trace = state[0], state[1]
    total = 0
    indptr[0] = 0
    for b in range(samples):
        if rho.size:
            _firing_limits(membrane[b], threshold, fire_above, rho, adaptation, begun, b, trace, 0, levels, limits)
        for t in range(steps):
            _surrogate(code, sharpness, membrane[b, t], levels[t] if rho.size else threshold, h)
            total = emit_nonzero(h, n, indices, total)
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
def _backpropagate_plain(
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
    state: FloatArray,
    carried: FloatArray,
) -> None:
    """`backpropagate` for neurons that have nothing but a membrane: the same arithmetic in one pass a step."""
    samples, steps, n = membrane.shape
    same = spike_gradient.shape[1] == 1
    keep = delta.size > 0
    h, spare, du, total, kept = state[0], state[1], state[2], state[3], state[4]
    carry = carried.size > 0
    for j in range(n):
        kept[j] = beta[j]
    for b in range(samples):
        more = extra[b]
        for j in range(n):
            du[j] = carried[b, 0, j] if carry else NIL
            total[j] = NIL
        for t in range(steps - 1, -1, -1):
            u = membrane[b, t]
            _surrogate(code, sharpness, u, threshold, h)
            if reset == ZERO:
                for j in range(n):
                    kept[j] = NIL if u[j] > fire_above[j] else beta[j]
            above = spike_gradient[b, 0 if same else t]
            out = delta[b, t] if keep else spare
            carry_back(h, above, step_weights[t], more, kept, du, total, out, n)
        for j in range(n):
            delta_sum[b, j] = total[j]
        if carry:
            for j in range(n):
                carried[b, 0, j] = du[j]
                carried[b, 1, j] = du[j]
                carried[b, 2, j] = NIL


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
    ``learned`` [3, N], to which the gradients of beta, alpha and threshold are added. Scratch: ``state`` [8 * K, N]
    and, for adaptive neurons, ``levels`` and ``limits`` [K * T, N]: K samples, at most `TOGETHER`, go through a step
    side by side and share what is loaded of the recurrent weights; no delta depends on it. Where the steps are part of
    a longer run: ``begun`` [M, 5, N], the states before the first step, and ``carried`` [M, 3, N], dL/du, dL/di and
    dL/da of the step after the last, overwritten by those of the first; otherwise both are empty.

    With ``g`` the whole gradient of a spike, direct, through the reset (unless detached), through recurrent weights
    and through the adaptation: ``du[t] = h[t] g[t] + (dr[t] / du[t]) beta du[t + 1]`` and
    ``di[t] = du[t] + alpha di[t + 1]``.
    """
    if detach_reset and not (alpha.size or rho.size or recurrent.size or learned.size):
        _backpropagate_plain(
            membrane,
            spike_gradient,
            step_weights,
            extra,
            delta,
            delta_sum,
            beta,
            threshold,
            fire_above,
            reset,
            code,
            sharpness,
            state,
            carried,
        )
        return
    samples, steps, n = membrane.shape
    same = spike_gradient.shape[1] == 1
    keep = delta.size > 0
    compact = code in (TRIANGLE, BOXCAR)
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
                _surrogate(code, sharpness, u, levels[s * steps + t] if rho.size else threshold, h)
                above, more = spike_gradient[b, 0 if same else t], extra[b]
                for j in range(n):
                    g[j] = above[j] * weight + more[j]
                if recurrent.size and compact:
                    _add_needed_products(state[inputs + s], recurrent, h, g)
            if recurrent.size and not compact:
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
