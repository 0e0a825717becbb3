"""Backpropagation through time, by hand.

For one layer, with g[t] = dL/ds[t], d[t] = dL/du[t] for the membrane before the reset, e[t] = dL/di[t] for the
synaptic current, which is also the gradient of the current I[t], and q[t] = dL/da[t] for the adaptation. A spike's
derivative is h[t] = h(u[t] - threshold - adaptation a[t]); ``detach_reset`` leaves out the terms in brackets. A spike
acts on the next step: through the recurrent weights, the adaptation, and the reset.

    g[t] += V^T e[t+1] + q[t+1]
    subtract           r[t] = u[t] - threshold s[t]                d[t] = h g + beta (1 [- threshold h]) d[t+1]
    subtract, delayed  u[t+1] = beta u[t] - threshold s[t] + ...   d[t] = h g + (beta [- threshold h]) d[t+1]
    zero               r[t] = u[t] (1 - s[t])                      d[t] = h g + beta (1 - s [- u h]) d[t+1]
    none               r[t] = u[t]                                 d[t] = h g + beta d[t+1]
    e[t] = d[t] + alpha e[t+1]
    q[t] = rho q[t+1] - adaptation h[t] G[t]

G[t] is all that a spike's derivative is multiplied by, the terms in brackets included. The values themselves:

    beta: d[t] r[t-1]    alpha: e[t] i[t-1]    V: e[t] s[t-1]
    threshold: -h[t] G[t], and what it takes off the membrane: -beta s[t] d[t+1], delayed -s[t] d[t+1]
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.convolution import POOLS, convolve_backward, geometry, pool_backward
from reference.forward import (
    FIRING,
    Array,
    Layers,
    Neuron,
    Parameters,
    States,
    Trace,
    decay,
    named,
    neuron,
    readout_of,
)
from reference.surrogates import derivative


def backward(
    network: Layers,
    parameters: Parameters,
    trace: Trace,
    *,
    logits: Array | None = None,
    step_logits: Array | None = None,
    spikes: Mapping[int, Array] | None = None,
    masks: Mapping[int, NDArray[Any]] | None = None,
    cut: int | None = None,
) -> dict[str, Array]:
    """Return the gradients of the parameters, from the loss's gradients of logits, step logits and hidden spikes.

    ``spikes[i]`` [B, N] is the gradient of layer i's spikes, the same at every step. With ``cut``, what neurons carry
    over a multiple of so many steps is a constant.
    """
    gradient = np.zeros_like(trace.step_logits)
    if logits is not None:
        gradient = gradient + spread(logits, trace.step_logits, readout_of(network))
    if step_logits is not None:
        gradient = gradient + step_logits
    gradients: dict[str, Array] = {}
    for index in reversed(range(len(network))):
        name, options = named(network[index])
        if name == "conv2d" or name in POOLS:
            gradient = through_images(name, options, gradient, index, parameters, trace, gradients)
        elif name == "dense":
            weight = parameters[f"{index}.weight"].astype(np.float64)
            gradients[f"{index}.weight"] = np.einsum("tbo,tbi->oi", gradient, trace.inputs[index])
            if f"{index}.bias" in parameters:
                gradients[f"{index}.bias"] = gradient.sum(axis=(0, 1))
            gradient = gradient @ weight
        elif name in FIRING:
            if spikes is not None and index in spikes:
                gradient = gradient + spikes[index]
            cells = neuron(name, options, index, parameters, gradient.shape[2])
            gradient, values = through_spikes(gradient, trace.states[index], cells, cut)
            for key in values.keys() & {key.partition(".")[2] for key in parameters if key.startswith(f"{index}.")}:
                gradients[f"{index}.{key}"] = shared(values[key], parameters[f"{index}.{key}"].shape)
        elif name in ("li", "cuba_li"):
            gradient = through_integration(gradient, decay(name, options), cut)
            if name == "cuba_li":
                gradient = through_integration(gradient, decay(name, options, "alpha"), cut)
        elif name == "relu":
            gradient = gradient * (trace.membrane[index] > 0)
        elif name == "dropout" and masks is not None:
            gradient = gradient * masks[index]
    return gradients


def through_images(
    name: str,
    options: dict[str, Any],
    gradient: Array,
    index: int,
    parameters: Parameters,
    trace: Trace,
    gradients: dict[str, Array],
) -> Array:
    """Return the gradient of the input of a convolution or a pool; put those of the parameters into ``gradients``."""
    shape, signal = trace.shapes[index], trace.inputs[index]
    at = geometry(name, options, shape)
    x = signal.reshape(-1, *shape)
    g = gradient.reshape(len(x), -1, *at.out)
    if name in POOLS:
        return pool_backward(name, g, x, at).reshape(signal.shape)
    weight = parameters[f"{index}.weight"].astype(np.float64)
    to_input, gradients[f"{index}.weight"] = convolve_backward(g, x, weight, at, options.get("groups", 1))
    if f"{index}.bias" in parameters:
        gradients[f"{index}.bias"] = g.sum(axis=(0, 2, 3))
    return to_input.reshape(signal.shape)


def spread(gradient: Array, steps: Array, readout: str) -> Array:
    """Return the step logits' gradient [T, B, K] for that of the logits [B, K]; of equal maxima the first has it."""
    result = np.zeros_like(steps)
    if readout == "last":
        result[-1] = gradient
    elif readout == "max":
        np.put_along_axis(result, steps.argmax(axis=0)[None], gradient[None], axis=0)
    else:
        result[:] = gradient / len(steps) if readout == "mean" else gradient
    return result


def through_spikes(g: Array, states: States, cells: Neuron, cut: int | None = None) -> tuple[Array, dict[str, Array]]:
    """Return the gradient of the current for that of the spikes, and those of the values, per neuron [N].

    The values' are summed over time and batch: of beta, alpha, threshold, and of the recurrent weights [N, N].
    """
    level = cells.threshold + cells.adaptation * states.trace
    h = derivative(cells.options.get("surrogate", "atan"), states.membrane - level)
    current = np.zeros_like(g)
    later_d, later_e, later_q = (np.zeros_like(g[0]) for _ in range(3))
    values = {key: np.zeros(g.shape[2]) for key in ("beta", "alpha", "threshold")}
    values["recurrent_weight"] = np.zeros_like(cells.recurrent)
    for t in reversed(range(len(g))):
        if cut is not None and (t + 1) % cut == 0:
            later_d, later_e, later_q = (np.zeros_like(g[0]) for _ in range(3))
        through_reset, kept, taken = at_reset(cells, states.membrane[t], states.spikes[t])
        spike = g[t] + later_e @ cells.recurrent + later_q + through_reset * later_d
        values["threshold"] -= (h[t] * spike + taken * later_d).sum(axis=0)
        later_q = cells.rho * later_q - cells.adaptation * h[t] * spike
        later_d = h[t] * spike + kept * later_d
        later_e = current[t] = later_d + cells.alpha * later_e
        if t > 0:
            values["beta"] += (later_d * states.rest[t - 1]).sum(axis=0)
            values["alpha"] += (later_e * states.synaptic[t - 1]).sum(axis=0)
            values["recurrent_weight"] += later_e.T @ states.spikes[t - 1]
    return current, values


def at_reset(cells: Neuron, u: Array, s: Array) -> tuple[Array, Array, Array]:
    """Return what the next membrane is to this step: du[t+1]/ds[t], du[t+1]/du[t], and -du[t+1]/dthreshold.

    The first is zero where the reset is detached.
    """
    reset, nothing = cells.options.get("reset", "subtract"), np.zeros_like(u)
    beta = cells.beta + nothing
    if reset == "subtract" and cells.options.get("reset_delay", False):
        through, kept, taken = -cells.threshold + nothing, beta, s
    elif reset == "subtract":
        through, kept, taken = -beta * cells.threshold, beta, beta * s
    elif reset == "zero":
        through, kept, taken = -beta * u, beta * (1 - s), nothing
    else:
        through, kept, taken = nothing, beta, nothing
    return nothing if cells.options.get("detach_reset", True) else through, kept, taken


def shared(per_neuron: Array, shape: tuple[int, ...]) -> Array:
    """Add up the gradients of neurons that have one value in common."""
    return per_neuron if per_neuron.shape == shape else np.asarray(per_neuron.sum())


def through_integration(g: Array, beta: Array, cut: int | None = None) -> Array:
    """Return the gradient of the current for that of a leaky integrator's membrane."""
    d = np.zeros_like(g)
    later = np.zeros_like(g[0])
    for t in reversed(range(len(g))):
        if cut is not None and (t + 1) % cut == 0:
            later = np.zeros_like(later)
        later = d[t] = g[t] + beta * later
    return d
