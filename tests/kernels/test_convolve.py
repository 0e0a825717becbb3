"""Kernels of convolutions against the reference; exact values make the order of sums irrelevant."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from images import convolutions, image_shapes
from reference.convolution import connections, convolve, convolve_backward, geometry
from snnsim import Events, Network
from snnsim.kernels import convolve as kernels
from snnsim.kernels.lanes import SLACK
from snnsim.layers import Conv2d
from snnsim.layers.base import MicroBatch, Workspace
from snnsim.layers.signals import Analog, Gradient
from strategies import FloatArray, densities, exact_values, seeds, spike_trains


def conv_of(layer: dict[str, Any], shape: tuple[int, ...], seed: int) -> Conv2d:
    """Build a convolution with exact weights."""
    conv = Network.from_config([layer, "li"], input_shape=shape).layers[0]
    assert isinstance(conv, Conv2d)
    rng = np.random.default_rng(seed)
    for array in conv.parameters.values():
        array[...] = exact_values(rng, array.shape)
    conv.prepare(0)
    return conv


@st.composite
def edges(draw: st.DrawFn) -> tuple[Conv2d, dict[str, Any], FloatArray, int]:
    """Draw a convolution, its options, a spike train [T, B, C, H, W] and a seed."""
    shape, seed = draw(image_shapes()), draw(seeds)
    layer = draw(convolutions(shape))
    size = (draw(st.integers(1, 4)), draw(st.integers(1, 3)), *shape)
    x = spike_trains(np.random.default_rng(seed), size, draw(densities), graded=draw(st.booleans()))
    return conv_of(layer, shape, seed), layer["conv2d"], x, seed


def by_sample(x: Any) -> FloatArray:
    """Turn [T, B, ...] into [B, T, N]."""
    return np.ascontiguousarray(np.swapaxes(x, 0, 1).reshape(x.shape[1], x.shape[0], -1), np.float32)


@given(edges(), st.sampled_from(["events", "dense"]))
def test_both_paths_forwards_and_back(edge: tuple[Conv2d, dict[str, Any], FloatArray, int], path: str) -> None:
    """Currents and all three gradients are exactly the reference's."""
    check_against_the_reference(*edge, path)


@pytest.mark.parametrize("path", ["events", "dense"])
@pytest.mark.parametrize("density", [0.01, 0.3])
@pytest.mark.parametrize(
    ("channels", "options"),
    [
        (16, {"out": 32, "kernel": 5, "bias": True}),
        (9, {"out": 13, "kernel": 3, "padding": 1, "bias": False}),
        (16, {"out": 72, "kernel": 5, "groups": 2, "stride": 2, "bias": True}),
        (1, {"out": 8, "kernel": [3, 5], "dilation": [1, 2], "bias": False}),
        (40, {"out": 40, "kernel": 3, "bias": True}),
    ],
    ids=str,
)
def test_more_than_a_vector(channels: int, options: dict[str, Any], density: float, path: str) -> None:
    """The same where channels, outputs and pixels fill whole vectors and tiles, with a rest."""
    shape = (channels, 12, 11)
    defaults = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    x = spike_trains(np.random.default_rng(0), (2, 2, *shape), density, graded=channels == 9)
    layer = {"conv2d": defaults | options}
    check_against_the_reference(conv_of(layer, shape, 1), layer["conv2d"], x, 2, path)


def check_against_the_reference(conv: Conv2d, options: dict[str, Any], x: FloatArray, seed: int, path: str) -> None:
    steps, batch, *shape = x.shape
    at, groups = geometry("conv2d", options, tuple(shape)), options["groups"]
    weight, images = conv.parameters["weight"].astype(np.float64), x.reshape(-1, *shape).astype(np.float64)
    bias = conv.parameters["bias"].astype(np.float64) if "bias" in conv.parameters else None
    micro = MicroBatch(batch, batch, steps, Workspace(), path=path)
    signal = conv.forward(Events.from_dense(x), micro)
    assert isinstance(signal, Analog)
    expected = convolve(images, weight, bias, at, groups).reshape(steps, batch, -1)
    np.testing.assert_array_equal(signal.values, by_sample(expected))
    g = exact_values(np.random.default_rng(seed), expected.shape)
    gradients = {name: np.zeros(array.T.shape, np.float32).T for name, array in conv.parameters.items()}
    back = conv.backward(Gradient(by_sample(g)), micro, gradients, True)
    assert back is not None
    by_image = g.astype(np.float64).reshape(-1, *conv.out_shape)
    to_input, to_weight = convolve_backward(by_image, images, weight, at, groups)
    np.testing.assert_array_equal(back.values, by_sample(to_input.reshape(x.shape)))
    np.testing.assert_array_equal(gradients["weight"], to_weight)
    if bias is not None:
        np.testing.assert_array_equal(gradients["bias"], by_image.sum(axis=(0, 2, 3)))


@given(edges())
def test_the_reference_is_a_matrix_of_connections(edge: tuple[Conv2d, dict[str, Any], FloatArray, int]) -> None:
    """The reference's convolution, tap by tap, is the product with its connections, output by output."""
    conv, options, x, _ = edge
    shape = x.shape[2:]
    weight = conv.parameters["weight"].astype(np.float64)
    images = x.reshape(-1, *shape).astype(np.float64)
    _, matrix = connections(weight, options, shape)
    result = convolve(images, weight, None, geometry("conv2d", options, shape), options["groups"])
    np.testing.assert_array_equal(result.reshape(len(images), -1), images.reshape(len(images), -1) @ matrix.T)


@given(edges())
def test_events_are_sorted_by_place(edge: tuple[Conv2d, dict[str, Any], FloatArray, int]) -> None:
    """Each bucket's events come pixel by pixel, channels upwards, with their values, whatever lay there before."""
    _, options, x, _ = edge
    steps, batch, channels, height, width = x.shape
    events, groups = Events.from_dense(x), options["groups"]
    inside, size = channels // groups, channels * height * width
    sizes = np.full(events.indices.size + SLACK, np.nan, np.float32)
    starts = np.full((batch * steps, groups * height * width + 1), -1, np.int32)
    along = np.full(events.indices.size + SLACK, -1, np.int32)
    channel, pixel = np.divmod(np.arange(size), height * width)
    image_of = (((channel // inside) * height * width + pixel) * inside + channel % inside).astype(np.int32)
    values = np.empty(0, np.float32) if events.values is None else events.values
    scratch = np.full(size, np.nan, np.float32), np.full(width * inside + SLACK, -1, np.int32)
    lines = (groups * height, width, inside)
    kernels.sort_by_place(events.indptr, events.indices, values, image_of, lines, *scratch, starts, along, sizes)
    images = x.swapaxes(0, 1).reshape(batch * steps, groups, channels // groups, height * width)
    for r, image in enumerate(images):
        for p in range(groups * height * width):
            group, at = divmod(p, height * width)
            (expected,) = np.nonzero(image[group, :, at])
            part = slice(starts[r, p], starts[r, p + 1])
            np.testing.assert_array_equal(along[part], at % width * inside + expected)
            np.testing.assert_array_equal(sizes[part], image[group, expected, at])
