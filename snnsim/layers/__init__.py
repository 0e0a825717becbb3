"""Layers of a network: each runs forwards and back over all steps of a micro-batch, and counts."""

import math
from collections.abc import Sequence

import numpy as np

from snnsim import spec
from snnsim.errors import InputError, KeyPath
from snnsim.layers.base import Affine, Layer, Shape
from snnsim.layers.conv import Conv2d
from snnsim.layers.dense import Dense
from snnsim.layers.neurons import LEARNABLE, Firing, FiringNeurons
from snnsim.layers.pool import MaxPool2d, SumPool2d
from snnsim.layers.readout import LeakyIntegrators
from snnsim.layers.simple import Dropout, Flatten, Relu
from snnsim.layers.window import Window
from snnsim.memory import require_memory
from snnsim.surrogates import Surrogate

__all__ = [
    "Affine",
    "Conv2d",
    "Dense",
    "FiringNeurons",
    "Flatten",
    "Layer",
    "LeakyIntegrators",
    "MaxPool2d",
    "Relu",
    "Shape",
    "SumPool2d",
    "build_layers",
]


def build_layers(choices: Sequence[spec.LayerChoice], input_shape: Shape, rng: np.random.Generator) -> list[Layer]:
    """Build the layers of a network, each on the shape that the one before gives.

    Raises
    ------
    InputError
        Sizes that do not fit, an end that gives no logits, or arrays larger than the machine's memory; its path
        names the layer.
    """
    _require_memory(choices, input_shape)
    layers: list[Layer] = []
    shape = input_shape
    for index, choice in enumerate(choices):
        layer = _build(index, choice, shape, rng)
        layers.append(layer)
        shape = layer.out_shape
    _check_ends(layers)
    return layers


def _require_memory(choices: Sequence[spec.LayerChoice], input_shape: Shape) -> None:
    """Check that all weights fit into memory, before any is allocated."""
    shape, needed = input_shape, 0
    for index, choice in enumerate(choices):
        at = ("network", index, choice.name)
        match choice.options:
            case spec.Dense(out=out):
                needed += 4 * out * (math.prod(shape) + 1)
                shape = (out,)
            case spec.Conv2d(out=out) as options:
                window = _convolved(options, shape, at)
                needed += 4 * out * (shape[0] // options.groups * math.prod(window.kernel) + math.prod(window.out))
                shape = (out, *window.out)
            case spec.AvgPool2d() | spec.SumPool2d() | spec.MaxPool2d() as options:
                shape = (shape[0], *_pooled(options, shape, at).out)
            case spec.Lif() | spec.If() | spec.CubaLif() | spec.Alif() as options:
                needed += 4 * math.prod(shape) ** 2 if options.recurrent else 0
            case spec.Flatten():
                shape = (math.prod(shape),)
        require_memory(needed, at)


def _build(index: int, choice: spec.LayerChoice, shape: Shape, rng: np.random.Generator) -> Layer:
    at = ("network", index, choice.name)
    match choice.options:
        case spec.Dense(out=out, bias=bias):
            return Dense(index, shape, out, bias=bias, rng=rng)
        case spec.Conv2d(out=out, groups=groups, bias=bias) as options:
            return Conv2d(index, _convolved(options, shape, at), out, groups=groups, bias=bias, rng=rng)
        case spec.AvgPool2d() | spec.SumPool2d() as options:
            mean = isinstance(options, spec.AvgPool2d)
            return SumPool2d(index, choice.name, _pooled(options, shape, at), mean=mean)
        case spec.MaxPool2d() as options:
            return MaxPool2d(index, _pooled(options, shape, at))
        case spec.Lif() | spec.If() | spec.CubaLif() | spec.Alif() as options:
            return FiringNeurons(index, choice.name, shape, _firing(options, shape, at), options.readout, rng)
        case spec.Li() as options:
            beta = _values(options.decay(), shape, (*at, options.written("beta")))
            alpha = None
            if isinstance(options, spec.CubaLi):
                alpha = _values(options.decay("alpha"), shape, (*at, options.written("alpha")))
            return LeakyIntegrators(index, shape, beta, options.readout, alpha)
        case spec.Flatten():
            return Flatten(index, shape)
        case spec.Relu():
            return Relu(index, shape)
        case spec.Dropout(p=p):
            return Dropout(index, shape, p)
    raise AssertionError(choice.name)


def _firing(options: spec.Lif | spec.If | spec.CubaLif | spec.Alif, shape: Shape, at: KeyPath) -> Firing:
    def values(value: float | list[float], key: str) -> float | list[float]:
        return _values(value, shape, (*at, key))

    beta = "beta" if isinstance(options, spec.If) else options.written("beta")
    synaptic = values(options.decay("alpha"), options.written("alpha")) if isinstance(options, spec.CubaLif) else None
    adaptive = options if isinstance(options, spec.Alif) else None
    return Firing(
        beta=values(options.decay(), beta),
        threshold=values(options.threshold, "threshold"),
        reset=options.reset,
        reset_delay=options.reset_delay,
        spike_at=options.spike_at,
        surrogate=Surrogate.of(options.surrogate),
        detach_reset=options.detach_reset,
        alpha=synaptic,
        rho=values(adaptive.rho, "rho") if adaptive else None,
        adaptation=values(adaptive.adaptation, "adaptation") if adaptive else None,
        recurrent=options.recurrent,
        learned=tuple(key for key in LEARNABLE if getattr(options, f"learn_{key}", False)),
    )


def _convolved(options: spec.Conv2d, shape: Shape, at: KeyPath) -> Window:
    window = Window.of(
        shape,
        at,
        kernel=options.kernel,
        stride=options.stride,
        padding=options.padding,
        dilation=options.dilation,
    )
    for name, channels in (("input channels", shape[0]), ("outputs", options.out)):
        if channels % options.groups:
            raise InputError(f"must divide the {channels} {name} (got {options.groups})", (*at, "groups"))
    return window


def _pooled(options: spec.AvgPool2d | spec.SumPool2d | spec.MaxPool2d, shape: Shape, at: KeyPath) -> Window:
    assert options.stride is not None  # filled in by the specification
    return Window.of(shape, at, kernel=options.kernel, stride=options.stride)


def _values(value: float | list[float], shape: Shape, at: KeyPath) -> float | list[float]:
    if not isinstance(value, list) or len(value) == math.prod(shape):
        return value
    if len(shape) != 3:
        raise InputError(f"must have one value per neuron, {math.prod(shape)} (got {len(value)})", at)
    if len(value) != shape[0]:
        raise InputError(
            f"must have one value per channel, {shape[0]}, or per neuron, {math.prod(shape)} (got {len(value)})", at
        )
    return value


def _check_ends(layers: Sequence[Layer]) -> None:
    if not any(isinstance(layer, Affine) for layer in layers):
        raise InputError("must have at least one layer with weights, for example dense", ("network",))
    for layer in layers[:-1]:
        if getattr(layer, "readout", None):
            raise InputError("a readout can only be the last layer", ("network", layer.index, layer.name))
    last = layers[-1]
    spiking = any(layer.fires for layer in layers)
    readout = getattr(last, "readout", None)
    if last.fires and readout is None:
        raise InputError("a firing last layer needs readout: count or rate", ("network", last.index, last.name))
    if spiking and readout is None:
        raise InputError(
            "a network of spiking layers must end in li or cuba_li, or in a firing layer with readout: count or rate",
            ("network", last.index, last.name),
        )
