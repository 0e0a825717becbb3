"""Backpropagation through time, by hand.

Written for one neuron, g[t] = dL/ds[t] and d[t] = dL/du[t], the membrane before the reset, which is also the gradient
of the current. A spike's derivative is h[t] = h(u[t] - threshold); ``detach_reset`` leaves out the terms in brackets:

    subtract           u[t+1] = beta (u[t] - threshold s[t]) + I    d[t] = h g + beta (1 [- threshold h]) d[t+1]
    subtract, delayed  u[t+1] = beta u[t] - threshold s[t] + I      d[t] = h g + (beta [- threshold h]) d[t+1]
    zero               u[t+1] = beta u[t] (1 - s[t]) + I            d[t] = h g + beta (1 - s [- u h]) d[t+1]
    none               u[t+1] = beta u[t] + I                       d[t] = h g + beta d[t+1]
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.convolution import POOLS, convolve_backward, geometry, pool_backward
from reference.forward import FIRING, Array, Layers, Parameters, Trace, decay, named, readout_of
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
) -> dict[str, Array]:
    """Return the gradients of the parameters, from the loss's gradients of logits, step logits and hidden spikes.

    ``spikes[i]`` [B, N] is the gradient of layer i's spikes, the same at every step.
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
            gradient = through_spikes(gradient, trace.membrane[index], trace.spikes[index], name, options)
        elif name == "li":
            gradient = through_integration(gradient, decay(name, options))
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


def through_spikes(g: Array, membrane: Array, spikes: Array, name: str, options: dict[str, Any]) -> Array:
    """Return the gradient of the current for that of the spikes."""
    beta = decay(name, options)
    threshold = np.asarray(options.get("threshold", 1.0), np.float64)
    h = derivative(options.get("surrogate", "atan"), membrane - threshold)
    through_reset = 0.0 if options.get("detach_reset", True) else 1.0
    d = np.zeros_like(g)
    later = np.zeros_like(g[0])
    for t in reversed(range(len(g))):
        kept = carried(options, beta, threshold, membrane[t], spikes[t], through_reset * h[t])
        later = d[t] = h[t] * g[t] + kept * later
    return d


def carried(options: dict[str, Any], beta: Array, threshold: Array, u: Array, s: Array, h: Array) -> Array:
    """Return du[t+1]/du[t]; ``h`` is zero where the reset is detached."""
    reset = options.get("reset", "subtract")
    if reset == "subtract" and options.get("reset_delay", False):
        return np.asarray(beta - threshold * h)
    if reset == "subtract":
        return np.asarray(beta * (1 - threshold * h))
    if reset == "zero":
        return np.asarray(beta * (1 - s - u * h))
    return beta


def through_integration(g: Array, beta: Array) -> Array:
    """Return the gradient of the current for that of a leaky integrator's membrane."""
    d = np.zeros_like(g)
    later = np.zeros_like(g[0])
    for t in reversed(range(len(g))):
        later = d[t] = g[t] + beta * later
    return d
