"""Neurons over all steps of a micro-batch: integrate, compare, reset and emit in one pass; and the way back.

The membrane before the reset is all that is stored; the surrogate's derivative is computed again from it. Order of
work in a step: decay, input, threshold, reset. A neuron fires where ``u > fire_above``: the threshold itself, or for
``>=`` the float just below it.
"""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import kernel

FloatArray = NDArray[np.float32]

SUBTRACT, ZERO, NONE, SUBTRACT_DELAYED = 0, 1, 2, 3
FAST_SIGMOID, ATAN, SIGMOID, TRIANGLE, BOXCAR, STRAIGHT_THROUGH = 0, 1, 2, 3, 4, 5

ONE = np.float32(1)
NIL = np.float32(0)


@kernel
def integrate_and_fire(
    constant: FloatArray,
    membrane: FloatArray,
    beta: FloatArray,
    threshold: FloatArray,
    fire_above: FloatArray,
    reset: int,
    state: FloatArray,
    fired: NDArray[np.uint8],
    words: NDArray[np.uint64],
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
) -> None:
    """Run firing neurons over all steps and write their events.

    ``membrane`` [M, T, N] holds the currents and is overwritten by the membrane before the reset; where currents are
    the same at every step they are ``constant`` [M, N] instead (otherwise empty). ``beta``, ``threshold``,
    ``fire_above`` [N]; scratch: ``state`` [2, N], ``fired`` [N rounded up to 8] with ``words``, the same memory as
    64-bit words; events: ``indptr`` [M * T + 1], ``indices`` [at least M * T * N + 8].
    """
    samples, steps, n = membrane.shape
    rest = state[0]
    pending = state[1]
    total = 0
    indptr[0] = 0
    for b in range(samples):
        for j in range(n):
            rest[j] = NIL
            pending[j] = NIL
        for t in range(steps):
            # One array for current and membrane: with two that may overlap, the compiler would not vectorise.
            u = membrane[b, t]
            if constant.size:
                drive = constant[b]
                for j in range(n):
                    u[j] = drive[j]
            if reset == SUBTRACT:
                for j in range(n):
                    v = beta[j] * rest[j] + u[j]
                    s = v > fire_above[j]
                    u[j] = v
                    rest[j] = v - threshold[j] if s else v
                    fired[j] = s
            elif reset == ZERO:
                for j in range(n):
                    v = beta[j] * rest[j] + u[j]
                    s = v > fire_above[j]
                    u[j] = v
                    rest[j] = NIL if s else v
                    fired[j] = s
            elif reset == NONE:
                for j in range(n):
                    v = beta[j] * rest[j] + u[j]
                    u[j] = v
                    rest[j] = v
                    fired[j] = v > fire_above[j]
            else:
                for j in range(n):
                    v = (beta[j] * rest[j] + u[j]) - pending[j]
                    s = v > fire_above[j]
                    u[j] = v
                    rest[j] = v
                    pending[j] = threshold[j] if s else NIL
                    fired[j] = s
            # Most words are zero; within a word every place is written and the end moves on only past a spike.
            for w in range(words.size):
                if words[w] != 0:
                    for j in range(8 * w, 8 * w + 8):
                        indices[total] = j
                        total += fired[j]
            indptr[b * steps + t + 1] = total


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
    code: int,
    sharpness: np.float32,
    state: FloatArray,
) -> None:
    """Carry dL/ds back through time to ``delta = dL/dI``, the gradient of the input current.

    The spikes' gradient at step t is ``spike_gradient[b, t] * step_weights[t] + extra[b]``; ``spike_gradient`` is
    [M, T, N], or [M, 1, N] where it is the same at every step but for the weight. ``extra`` [M, N]. Written:
    ``delta`` [M, T, N] (may be ``spike_gradient``), or nothing where it is empty, and ``delta_sum`` [M, N], its sum
    over time. ``state`` [3, N] is scratch.

    ``delta[t] = h[t] * dL/ds[t] + (du[t + 1] / du[t]) * delta[t + 1]``, where the second factor holds the reset's
    gradient only if ``detach_reset`` is false.
    """
    samples, steps, n = membrane.shape
    same = spike_gradient.shape[1] == 1
    keep = delta.size > 0
    h = state[0]
    carried = state[1]
    total = state[2]
    for b in range(samples):
        more = extra[b]
        for j in range(n):
            carried[j] = NIL
            total[j] = NIL
        for t in range(steps - 1, -1, -1):
            u = membrane[b, t]
            g = spike_gradient[b, 0 if same else t]
            weight = step_weights[t]
            _surrogate(code, sharpness, u, threshold, h)
            if detach_reset and reset != ZERO:
                for j in range(n):
                    carried[j] = h[j] * (g[j] * weight + more[j]) + beta[j] * carried[j]
            elif detach_reset:
                for j in range(n):
                    kept = NIL if u[j] > fire_above[j] else beta[j]
                    carried[j] = h[j] * (g[j] * weight + more[j]) + kept * carried[j]
            elif reset == SUBTRACT:
                for j in range(n):
                    passed = beta[j] * (ONE - threshold[j] * h[j])
                    carried[j] = h[j] * (g[j] * weight + more[j]) + passed * carried[j]
            elif reset == ZERO:
                for j in range(n):
                    s = ONE if u[j] > fire_above[j] else NIL
                    passed = beta[j] * ((ONE - s) - u[j] * h[j])
                    carried[j] = h[j] * (g[j] * weight + more[j]) + passed * carried[j]
            elif reset == SUBTRACT_DELAYED:
                for j in range(n):
                    passed = beta[j] - threshold[j] * h[j]
                    carried[j] = h[j] * (g[j] * weight + more[j]) + passed * carried[j]
            else:
                for j in range(n):
                    carried[j] = h[j] * (g[j] * weight + more[j]) + beta[j] * carried[j]
            for j in range(n):
                total[j] += carried[j]
            if keep:
                out = delta[b, t]
                for j in range(n):
                    out[j] = carried[j]
        for j in range(n):
            delta_sum[b, j] = total[j]


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
