"""The layers, step by step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.convolution import POOLS, convolve, geometry, out_shape, pool

Array = NDArray[np.float64]
Layers = Sequence[str | dict[str, Any]]
Parameters = Mapping[str, NDArray[Any]]

SHORT = {"dense": "out", "dropout": "p"} | dict.fromkeys(POOLS, "kernel")
FIRING = ("lif", "if")
STATEFUL = (*FIRING, "li")


@dataclass
class Trace:
    """All that happened in a forward pass.

    ``inputs[i]`` is what layer i got, [T, B, N]; ``membrane[i]`` is that of a firing layer before its reset, of ``li``,
    and the input of a ``relu``; ``spikes[i]`` what a firing layer sent on; ``shapes[i]`` that of layer i's input.
    """

    inputs: list[Array] = field(default_factory=list)
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    membrane: dict[int, Array] = field(default_factory=dict)
    spikes: dict[int, Array] = field(default_factory=dict)
    step_logits: Array = field(default_factory=lambda: np.empty(0))
    logits: Array = field(default_factory=lambda: np.empty(0))


def named(layer: str | dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a layer's name and options, from any way of writing it."""
    if isinstance(layer, str):
        return layer, {}
    ((name, options),) = layer.items()
    if options is None:
        return name, {}
    return name, options if isinstance(options, dict) else {SHORT[name]: options}


def decay(name: str, options: dict[str, Any]) -> Array:
    """Return beta: given, from the time constant, 0.9, or 1 without leak."""
    if name == "if":
        return np.asarray(1.0)
    if "tau_mem" in options:
        ratio = options["dt"] / np.asarray(options["tau_mem"], np.float64)
        return np.asarray(1 - ratio if options.get("discretization") == "euler" else np.exp(-ratio))
    return np.asarray(options.get("beta", 0.9), np.float64)


def is_ann(network: Layers) -> bool:
    """Say whether no layer has a state."""
    return not any(named(layer)[0] in STATEFUL for layer in network)


def readout_of(network: Layers) -> str:
    """Return how the step logits become logits: a firing layer's ``count`` is a sum, its ``rate`` a mean."""
    name, options = named(network[-1])
    readout = options.get("readout", "mean" if name == "li" else "last")
    return str({"count": "sum", "rate": "mean"}.get(readout, readout))


def forward(
    network: Layers,
    parameters: Parameters,
    x: NDArray[Any],
    *,
    input_coding: str = "events",
    masks: Mapping[int, NDArray[Any]] | None = None,
) -> Trace:
    """Run a network on ``x`` [T, B, ...]; ``masks`` [B, N] are what dropout layers multiply by, without it 1."""
    signal = np.asarray(x, np.float64).reshape(*x.shape[:2], -1)
    if is_ann(network):  # has no time: events reach it summed, analog values once
        signal = signal.sum(axis=0, keepdims=True) if input_coding == "events" else signal[:1]
    trace = Trace()
    shape = x.shape[2:]
    for index, layer in enumerate(network):
        name, options = named(layer)
        trace.inputs.append(signal)
        trace.shapes.append(shape)
        if name == "conv2d" or name in POOLS:
            images = over_images(name, options, signal.reshape(-1, *shape), parameters, index)
            shape = out_shape(name, options, shape)
            signal = images.reshape(*signal.shape[:2], -1)
        elif name == "dense":
            shape = (options["out"],)
            signal = dense(signal, parameters[f"{index}.weight"], parameters.get(f"{index}.bias"))
        elif name in FIRING:
            trace.membrane[index], signal = fire(signal, name, options)
            trace.spikes[index] = signal
        elif name == "li":
            signal = trace.membrane[index] = integrate(signal, decay(name, options))
        elif name == "relu":
            trace.membrane[index], signal = signal, np.maximum(signal, 0)
        elif name == "dropout" and masks is not None:
            signal = signal * masks[index]
    trace.step_logits = signal
    trace.logits = read_out(signal, readout_of(network))
    return trace


def over_images(name: str, options: dict[str, Any], x: Array, parameters: Parameters, index: int) -> Array:
    """Return what a convolution or a pool makes of images [T * B, C, H, W]."""
    at = geometry(name, options, x.shape[1:])
    if name in POOLS:
        return pool(name, x, at)
    weight, bias = parameters[f"{index}.weight"], parameters.get(f"{index}.bias")
    return convolve(
        x,
        weight.astype(np.float64),
        None if bias is None else bias.astype(np.float64),
        at,
        options.get("groups", 1),
    )


def dense(signal: Array, weight: NDArray[Any], bias: NDArray[Any] | None) -> Array:
    """Return ``I[t] = W s[t] + b``."""
    current = signal @ weight.astype(np.float64).T
    return np.asarray(current if bias is None else current + bias.astype(np.float64))


def fire(current: Array, name: str, options: dict[str, Any]) -> tuple[Array, Array]:
    """Return the membranes before the reset and the spikes of IF or LIF neurons."""
    beta = decay(name, options)
    threshold = np.asarray(options.get("threshold", 1.0), np.float64)
    reset, delayed = options.get("reset", "subtract"), options.get("reset_delay", False)
    membrane, spikes = np.zeros_like(current), np.zeros_like(current)
    rest = np.zeros_like(current[0])
    pending = np.zeros_like(current[0])
    for t in range(len(current)):
        u = beta * rest + current[t] - pending
        s = (u >= threshold if options.get("spike_at", ">") == ">=" else u > threshold).astype(np.float64)
        if reset == "subtract" and delayed:  # the next step subtracts, after the decay
            rest, pending = u, threshold * s
        elif reset == "subtract":
            rest = u - threshold * s
        elif reset == "zero":
            rest = u * (1 - s)
        else:
            rest = u
        membrane[t], spikes[t] = u, s
    return membrane, spikes


def integrate(current: Array, beta: Array) -> Array:
    """Return the membranes of leaky integrators, ``u[t] = beta u[t-1] + I[t]``."""
    membrane = np.zeros_like(current)
    u = np.zeros_like(current[0])
    for t in range(len(current)):
        u = beta * u + current[t]
        membrane[t] = u
    return membrane


def read_out(steps: Array, readout: str) -> Array:
    """Return logits [B, K] from step logits [T, B, K]."""
    if readout == "last":
        return np.asarray(steps[-1])
    if readout == "max":
        return np.asarray(steps.max(axis=0))
    total = steps.sum(axis=0)
    return np.asarray(total / len(steps) if readout == "mean" else total)
