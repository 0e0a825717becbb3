"""The way back through neurons: surrogate derivatives, and gradients carried back through time."""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import kernel
from snnsim.kernels.codes import ZERO
from snnsim.kernels.dots import add_needed_products
from snnsim.kernels.scans import carry_back, surrogate
from snnsim.kernels.vectors import add_products

FloatArray = NDArray[np.float32]

# Rows of scratch of the way back, and as many for each sample that goes beside others.
BACK_ROWS = 3

NIL = np.float32(0)


@kernel
def surrogate_derivative(code: int, sharpness: np.float32, u: FloatArray, threshold: FloatArray, h: FloatArray) -> None:
    """Write ``h[r] = h(u[r] - threshold)`` for the rows of ``u`` [rows, N]."""
    for r in range(u.shape[0]):
        surrogate(u[r], threshold, h[r], threshold.size, code, sharpness)


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
    code: int,
    sharpness: np.float32,
    carried: FloatArray,
    state: FloatArray,
) -> None:
    """Carry dL/ds back through time to ``delta = dL/dI``, the gradient of the input current.

    The spikes' gradient at step t is ``spike_gradient[b, t] * step_weights[t] + extra[b]``; ``spike_gradient`` is
    [M, T, N], or [M, 1, N] where it is the same at every step but for the weight. ``extra`` [M, N]. Written:
    ``delta`` [M, T, N] (may be ``spike_gradient``), or nothing where it is empty, and ``delta_sum`` [M, N], its sum
    over time. Where the steps are part of a longer run, ``carried`` [M, 3, N] are dL/du, dL/di and dL/da of the step
    after the last, overwritten by those of the first; otherwise it is empty. ``state`` [`BACK_ROWS`, N] is scratch.

    With ``g`` the gradient of a spike: ``delta[t] = du[t] = h[t] g[t] + (dr[t] / du[t]) beta du[t + 1]``. No gradient
    goes through the reset.
    """
    samples, steps, n = membrane.shape
    above_step = 0 if spike_gradient.shape[1] == 1 else n
    keep = delta.size > 0
    du, cleared_above, spare = state[0], state[1], state[2]
    _mark_cleared(reset, fire_above, cleared_above)
    for b in range(samples):
        total = delta_sum[b]
        _begin(carried, b, du, total)
        carry_back(
            membrane[b].reshape(-1),
            spike_gradient[b].reshape(-1),
            above_step,
            step_weights,
            extra[b],
            beta,
            cleared_above,
            threshold,
            du,
            total,
            delta[b].reshape(-1) if keep else spare,
            n if keep else 0,
            n,
            steps,
            code,
            sharpness,
        )
        _end(carried, b, du)


@kernel
def _mark_cleared(reset: int, fire_above: FloatArray, cleared_above: FloatArray) -> None:
    """Write above what a membrane is cleared by the reset: nothing is left of it to carry a gradient."""
    for j in range(cleared_above.size):
        cleared_above[j] = fire_above[j] if reset == ZERO else np.float32(np.inf)


@kernel
def _begin(carried: FloatArray, b: int, du: FloatArray, total: FloatArray) -> None:
    """Write what a sample's last step gets from the next: nothing, if there is none."""
    for j in range(du.size):
        du[j] = carried[b, 0, j] if carried.size else NIL
        total[j] = NIL


@kernel
def _end(carried: FloatArray, b: int, du: FloatArray) -> None:
    """Leave what the step before a sample's first gets, where there is one."""
    if carried.size:
        for j in range(du.size):
            carried[b, 0, j] = du[j]
            carried[b, 1, j] = du[j]
            carried[b, 2, j] = NIL


@kernel
def backpropagate_recurrent(
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
) -> None:
    """Do the same as `backpropagate` where spikes also arrive through ``recurrent`` weights [N, N].

    These are one row per neuron that is *reached*, or, where ``few`` derivatives are not zero, per neuron that fires.
    ``delta`` is not empty. ``state`` [`BACK_ROWS` * (K + 1), N]: K samples, at most `TOGETHER`, go through a step side
    by side and share what is loaded of the weights; no delta depends on it.
    """
    samples, steps, n = membrane.shape
    same = spike_gradient.shape[1] == 1
    h, cleared_above, no_more = state[0], state[1], state[2]
    together = state.shape[0] // BACK_ROWS - 1
    side_by_side = state[BACK_ROWS:].reshape(BACK_ROWS, together, n)
    all_g, all_du = side_by_side[0], side_by_side[1]
    once = np.ones(1, np.float32)
    weights = recurrent.reshape(-1)
    _mark_cleared(reset, fire_above, cleared_above)
    for j in range(n):
        no_more[j] = NIL
    for first in range(0, samples, together):
        count = min(together, samples - first)
        for s in range(count):
            _begin(carried, first + s, all_du[s], delta_sum[first + s])
        for t in range(steps - 1, -1, -1):
            for s in range(count):
                above, more, g = spike_gradient[first + s, 0 if same else t], extra[first + s], all_g[s]
                for j in range(n):
                    g[j] = above[j] * step_weights[t] + more[j]
                if few:
                    surrogate(membrane[first + s, t], threshold, h, n, code, sharpness)
                    add_needed_products(all_du[s], recurrent, h, g)
            if not few:
                add_products(all_du.reshape(-1), n, weights, all_g.reshape(-1), n, n, count)
            for s in range(count):
                b = first + s
                u, out = membrane[b, t], delta[b, t]
                du, total = all_du[s], delta_sum[b]
                carry_back(
                    u,
                    all_g[s],
                    0,
                    once,
                    no_more,
                    beta,
                    cleared_above,
                    threshold,
                    du,
                    total,
                    out,
                    0,
                    n,
                    1,
                    code,
                    sharpness,
                )
        for s in range(count):
            _end(carried, first + s, all_du[s])
