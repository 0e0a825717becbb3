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
FIRING = ("lif", "if", "cuba_lif", "alif")
STATEFUL = (*FIRING, "li", "cuba_li")


@dataclass(frozen=True)
class Neuron:
    """A layer of firing neurons: its options as written, and its values, one number or one per neuron.

    ``alpha`` 0 means no synaptic current, ``adaptation`` 0 a fixed threshold, ``recurrent`` [N, N] zeros no weights
    from the layer to itself.
    """

    options: dict[str, Any]
    beta: Array
    threshold: Array
    alpha: Array
    rho: Array
    adaptation: Array
    recurrent: Array


@dataclass
class States:
    """What neurons went through, [T, B, N] each.

    ``membrane`` is before the reset, ``rest`` after it (a delayed reset is still to come); ``synaptic`` is what drives
    the membrane; ``trace`` is the adaptation's, as it stood when the neuron was tested.
    """

    membrane: Array
    spikes: Array
    rest: Array
    synaptic: Array
    trace: Array

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> "States":
        """Return zeros."""
        return cls(*(np.zeros(shape) for _ in range(5)))


@dataclass
class Trace:
    """All that happened in a forward pass.

    ``inputs[i]`` is what layer i got, [T, B, N]; ``membrane[i]`` is that of a firing layer before its reset, of ``li``,
    and the input of a ``relu``; ``spikes[i]`` what a firing layer sent on, ``states[i]`` all of its
    states; ``shapes[i]`` the shape of layer i's input.
    """

    inputs: list[Array] = field(default_factory=list)
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    membrane: dict[int, Array] = field(default_factory=dict)
    spikes: dict[int, Array] = field(default_factory=dict)
    states: dict[int, States] = field(default_factory=dict)
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


def decay(name: str, options: dict[str, Any], key: str = "beta") -> Array:
    """Return beta or alpha: given, from the time constant, 0.9 and 0.8, or 1 without leak."""
    if name == "if":
        return np.asarray(1.0)
    tau = {"beta": "tau_mem", "alpha": "tau_syn"}[key]
    if tau in options:
        ratio = options["dt"] / np.asarray(options[tau], np.float64)
        return np.asarray(1 - ratio if options.get("discretization") == "euler" else np.exp(-ratio))
    return np.asarray(options.get(key, {"beta": 0.9, "alpha": 0.8}[key]), np.float64)


def neuron(name: str, options: dict[str, Any], index: int, parameters: Parameters, size: int) -> Neuron:
    """Return a firing layer's neurons; learned values are those among the parameters."""

    def value(key: str, otherwise: Any) -> Array:
        return np.asarray(parameters.get(f"{index}.{key}", otherwise), np.float64)

    adapts = name == "alif"
    return Neuron(
        options,
        value("beta", decay(name, options)),
        value("threshold", options.get("threshold", 1.0)),
        value("alpha", decay(name, options, "alpha") if name == "cuba_lif" else 0.0),
        np.asarray(options.get("rho", 0.97) if adapts else 0.0, np.float64),
        np.asarray(options.get("adaptation", 0.1) if adapts else 0.0, np.float64),
        value("recurrent_weight", np.zeros((size, size))),
    )


def is_ann(network: Layers) -> bool:
    """Say whether no layer has a state."""
    return not any(named(layer)[0] in STATEFUL for layer in network)


def readout_of(network: Layers) -> str:
    """Return how the step logits become logits: a firing layer's ``count`` is a sum, its ``rate`` a mean."""
    name, options = named(network[-1])
    readout = options.get("readout", "mean" if name in ("li", "cuba_li") else "last")
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
            states = trace.states[index] = fire(signal, neuron(name, options, index, parameters, signal.shape[2]))
            trace.membrane[index] = states.membrane
            trace.spikes[index] = signal = states.spikes
        elif name in ("li", "cuba_li"):
            current = integrate(signal, decay(name, options, "alpha")) if name == "cuba_li" else signal
            signal = trace.membrane[index] = integrate(current, decay(name, options))
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


def fire(current: Array, cells: Neuron) -> States:
    """Return what neurons go through under a current [T, B, N].

    I[t] += V s[t-1];  i[t] = alpha i[t-1] + I[t];  u[t] = beta r[t-1] + i[t] (and less a delayed reset);
    a[t] = rho a[t-1] + s[t-1];  s[t] = H(u[t] - threshold - adaptation a[t]);  r[t] = u[t] after the reset.
    """
    reset, delayed = cells.options.get("reset", "subtract"), cells.options.get("reset_delay", False)
    reaches = np.greater_equal if cells.options.get("spike_at", ">") == ">=" else np.greater
    states = States.of(current.shape)
    rest, spikes, synaptic, trace, pending = (np.zeros_like(current[0]) for _ in range(5))
    for t in range(len(current)):
        synaptic = cells.alpha * synaptic + current[t] + spikes @ cells.recurrent.T
        u = cells.beta * rest + synaptic - pending
        trace = cells.rho * trace + spikes
        spikes = reaches(u, cells.threshold + cells.adaptation * trace).astype(np.float64)
        rest = u
        if reset == "subtract" and delayed:  # the next step subtracts, after the decay
            pending = cells.threshold * spikes
        elif reset == "subtract":
            rest = u - cells.threshold * spikes
        elif reset == "zero":
            rest = u * (1 - spikes)
        states.membrane[t], states.spikes[t], states.rest[t] = u, spikes, rest
        states.synaptic[t], states.trace[t] = synaptic, trace
    return states


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
