"""A convolution's input gradient by fewer products: against the reference, and against the product pixel by pixel."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from reference.convolution import convolve_backward, geometry
from snnsim import Network
from snnsim.kernels import toom_cook as kernels
from snnsim.layers import Conv2d
from snnsim.layers.base import MicroBatch, Workspace
from snnsim.layers.conv import LEAST_GAIN
from snnsim.layers.toom_cook import ToomCook
from snnsim.layers.window import Window
from strategies import FloatArray, exact_values, seeds


class Used(Workspace):
    """Buffers that hold what no result may depend on."""

    def array(self, key: object, shape: tuple[int, ...], dtype: type = np.float32) -> NDArray[Any]:
        """Return a buffer full of NaN."""
        buffer = super().array(key, shape, dtype)
        buffer[...] = np.nan
        return buffer


def gradient(window: Window, weight: FloatArray, delta: FloatArray) -> FloatArray:
    """Return the input's gradient for ``delta`` [rows, outputs, pixels]."""
    micro = MicroBatch(len(delta), len(delta), 1, Used())
    result = np.full((len(delta), int(np.prod(window.image))), np.nan, np.float32)
    by_pixel = np.ascontiguousarray(delta.transpose(0, 2, 1))[:, None]
    ToomCook(window, len(weight)).input_gradient(0, micro, weight, by_pixel, result)
    return result


def exact_gradient(window: Window, weight: FloatArray, delta: FloatArray) -> NDArray[np.float64]:
    """Return the same by the reference, in float64."""
    options = {"kernel": window.kernel, "padding": window.before, "out": len(weight)}
    at = geometry("conv2d", options | {"stride": 1, "dilation": 1, "groups": 1}, window.image)
    by_image = delta.reshape(*delta.shape[:2], *window.out).astype(np.float64)
    images = np.zeros((len(delta), *window.image))
    return convolve_backward(by_image, images, weight.astype(np.float64), at, 1)[0].reshape(len(delta), -1)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    """Draw a window of stride 1 over an image, with padding on each side."""
    taps, channels = draw(st.sampled_from(list(kernels.BLOCKS))), draw(st.integers(1, 20))
    before = draw(st.tuples(st.integers(0, taps - 1), st.integers(0, taps - 1)))
    size = st.integers(taps, 11)
    image = (channels, draw(size), draw(size))
    return Window(image, (taps, taps), (1, 1), before, before)


@given(windows(), st.integers(1, 20), st.integers(1, 5), seeds)
def test_exact_values_give_the_reference(window: Window, outputs: int, rows: int, seed: int) -> None:
    """Sums and halves of small numbers are exact, whatever their order."""
    rng = np.random.default_rng(seed)
    weight = exact_values(rng, (outputs, window.image[0], *window.kernel))
    delta = exact_values(rng, (rows, outputs, window.out[0] * window.out[1]))
    wanted = exact_gradient(window, weight, delta)
    assert np.array_equal(gradient(window, weight, delta), wanted)


@pytest.mark.parametrize("taps", list(kernels.BLOCKS))
def test_rounding_is_that_of_float32(taps: int) -> None:
    """The error against float64 is a few times that of a plain sum: a millionth of the gradients' size at most."""
    rng = np.random.default_rng(0)
    window = Window((16, 14, 14), (taps, taps), (1, 1))
    weight = rng.normal(size=(32, 16, taps, taps)).astype(np.float32)
    delta = rng.normal(size=(8, 32, window.out[0] * window.out[1])).astype(np.float32)
    exact = exact_gradient(window, weight, delta)
    error = gradient(window, weight, delta) - exact
    assert np.sqrt(np.mean(error**2)) < 1e-6 * np.sqrt(np.mean(exact**2))


def test_bits_of_a_row_are_its_own() -> None:
    """They do not depend on the rows beside it."""
    rng = np.random.default_rng(0)
    window = Window((9, 7, 6), (5, 5), (1, 1), (2, 2), (2, 2))
    weight = rng.normal(size=(12, 9, 5, 5)).astype(np.float32)
    delta = rng.normal(size=(7, 12, 42)).astype(np.float32)
    together = gradient(window, weight, delta)
    for row in range(7):
        assert np.array_equal(gradient(window, weight, delta[row : row + 1])[0], together[row])


def test_tap_values_multiply_as_polynomials() -> None:
    """At the points 0, 1, -1 and infinity; of five taps, those of three blocks and then of two."""
    assert kernels.tap_values(3).tolist() == [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]
    five = kernels.tap_values(5)
    assert five.shape == (12, 5)
    assert five[[0, 1, 2, 9]].tolist() == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("image", "options", "pays"),
    [
        ((16, 12, 12), {"out": 32, "kernel": 5}, True),
        ((64, 14, 14), {"out": 64, "kernel": 3, "padding": 1}, True),
        ((64, 14, 14), {"out": 64, "kernel": 3, "stride": 2}, False),
        ((64, 14, 14), {"out": 64, "kernel": 3, "dilation": 2}, False),
        ((64, 14, 14), {"out": 64, "kernel": 3, "groups": 2}, False),
        ((64, 14, 14), {"out": 64, "kernel": [3, 5]}, False),
        ((64, 14, 14), {"out": 64, "kernel": 7}, False),
        ((1, 28, 28), {"out": 16, "kernel": 5}, False),
        ((256, 14, 14), {"out": 256, "kernel": 5}, False),
    ],
    ids=str,
)
def test_where_it_pays(image: tuple[int, int, int], options: dict[str, object], *, pays: bool) -> None:
    """Square kernels of 3 or 5 at stride 1, with channels enough, and weights that fit."""
    layer = Network.from_config([{"conv2d": options}, "li"], input_shape=image).layers[0]
    assert isinstance(layer, Conv2d)
    assert (ToomCook.gain(layer.window, layer.groups, int(str(options["out"]))) > LEAST_GAIN) is pays
