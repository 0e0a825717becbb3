"""Hypothesis strategies for networks over images: convolutions and pools of every geometry that fits."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from problems import Problem as Training
from reference.convolution import geometry, out_shape
from strategies import Problem, densities, exact_values, seeds, spike_trains

Shape = tuple[int, ...]
LIF = {"lif": {"beta": 0.75, "threshold": 0.5}}


@st.composite
def image_shapes(draw: st.DrawFn) -> Shape:
    """Draw channels, height and width; odd sizes, and images of one row or one pixel, among them."""
    return draw(st.integers(1, 4)), draw(st.integers(1, 9)), draw(st.integers(1, 9))


@st.composite
def convolutions(draw: st.DrawFn, shape: Shape) -> dict[str, Any]:
    """Draw a convolution that fits: kernels that are not square, strides, dilation, padding, groups."""
    kernel = [draw(st.integers(1, min(5, n))) for n in shape[1:]]
    options: dict[str, Any] = {"kernel": kernel, "bias": draw(st.booleans())}
    options["stride"] = draw(st.sampled_from([1, 1, 2, 3, [2, 1], [1, 3]]))
    options["padding"] = draw(st.sampled_from([0, 1, 2, [2, 0], "same"]))
    if options["padding"] == "same":
        options["stride"] = 1
    options["dilation"] = draw(st.sampled_from([1, 1, 2, 3, [1, 2]]))
    if min(geometry("conv2d", options, shape).out) < 1:
        options["dilation"] = 1
    options["groups"] = draw(st.sampled_from([g for g in (1, 2, 4) if shape[0] % g == 0]))
    options["out"] = options["groups"] * draw(st.integers(1, 5))
    return {"conv2d": options}


@st.composite
def pools(draw: st.DrawFn, shape: Shape) -> dict[str, Any]:
    """Draw a pool that fits: windows that are not square, that overlap, or that leave a remainder or gaps."""
    options: dict[str, Any] = {"kernel": [draw(st.integers(1, min(3, n))) for n in shape[1:]]}
    if draw(st.booleans()):
        options["stride"] = draw(st.sampled_from([1, 2, 3, [1, 2]]))
    return {draw(st.sampled_from(["avg_pool2d", "sum_pool2d", "max_pool2d"])): options}


@st.composite
def image_layers(draw: st.DrawFn, shape: Shape) -> list[Any]:
    """Draw one or two blocks of convolution, pool and neurons in any order, then a dense readout."""
    layers: list[Any] = []
    for _ in range(draw(st.integers(1, 2))):
        block = draw(st.sampled_from(["conv", "conv pool", "pool conv", "conv fire pool", "conv fire", "pool"]))
        for kind in block.split():
            layer = LIF
            if kind != "fire":
                layer = draw(convolutions(shape) if kind == "conv" else pools(shape))
                ((name, options),) = layer.items()
                shape = out_shape(name, options, shape)
            layers.append(layer)
        if draw(st.booleans()):
            layers.append(LIF)
    return [*layers, {"dense": 3}, {"li": {"beta": 0.75, "readout": draw(st.sampled_from(["mean", "max"]))}}]


@st.composite
def image_problems(draw: st.DrawFn, kinds: tuple[str, ...] = ("binary", "graded", "direct")) -> Problem:
    """Draw a network over images with weights of n/256, and binary, graded or analog input for it."""
    shape = draw(image_shapes())
    layers = draw(image_layers(shape))
    steps, batch, seed = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(seeds)
    kind = draw(st.sampled_from(kinds))
    rng = np.random.default_rng(seed)
    x = spike_trains(rng, (1 if kind == "direct" else steps, batch, *shape), draw(densities), graded=kind != "binary")
    if kind != "direct":
        return Problem(layers, shape, x, steps, "events", seed)
    return Problem(layers, shape, x, steps, "direct", seed, options={"input_coding": "direct", "num_steps": steps})


def training(problem: Problem) -> Training:
    """Return the problem with labels, larger weights and a loss, for its gradients."""
    network = problem.network()
    rng = np.random.default_rng(problem.seed)
    parameters = {name: exact_values(rng, array.shape, 1.0) for name, array in network.parameters.items()}
    labels = rng.integers(0, network.classes, problem.batch)
    x = np.repeat(problem.x, problem.steps, axis=0) if problem.coding == "direct" else problem.x
    base = Training(problem.layers, parameters, x, labels, {"cross_entropy": {}})
    return replace(base, input_coding=problem.coding)
