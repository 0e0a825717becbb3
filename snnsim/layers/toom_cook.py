"""A convolution's input gradient by fewer products. See `snnsim.kernels.toom_cook`."""

import math
from threading import Lock

import numpy as np

from snnsim.kernels import toom_cook
from snnsim.kernels.lanes import LANES, SLACK, TILE_ROWS
from snnsim.layers.base import MicroBatch
from snnsim.layers.signals import FloatArray
from snnsim.layers.tiles import PANEL, whole
from snnsim.layers.window import Window
from snnsim.memory import aligned_zeros

# What sums before and behind the products cost, as parts of the products: for each output and each channel, and where
# the outputs are no whole vectors, so that pixels are copied first. Measured on one core (Zen 4, AVX-512 and AVX2 code)
# for images of 4x4 to 28x28, with and without padding, 2 to 256 channels and 8 to 256 outputs.
OUTPUT_COST, CHANNEL_COST, COPY_COST = 10.0, 8.0, 0.6
# Above so many bytes, weights at the points take longer to read than to multiply: 256 channels and outputs, 5x5.
WEIGHT_BYTES = 1 << 24


class ToomCook:
    """Products at points in place of pixels. The taps' values there are taken once a batch, when first asked for."""

    def __init__(self, window: Window, outputs: int) -> None:
        self._window, self._outputs, self._taps = window, outputs, window.kernel[0]
        self._edge, self._points = toom_cook.edge(self._taps), toom_cook.points(self._taps)
        line = toom_cook.tap_values(self._taps)
        self._values_of = np.kron(line, line)
        channels = window.image[0]
        self._weight = aligned_zeros((self._points**2, -(-channels // PANEL), outputs, PANEL))
        self._none = np.zeros(whole(channels), np.float32)
        self._taking, self._new = Lock(), True
        down, across = _tiles(window)
        pixels, gradients = TILE_ROWS * whole(outputs), TILE_ROWS * whole(channels)
        reached = self._edge + self._taps - 1
        self._scratch = (
            self._edge**2 * whole(outputs),
            self._points * (self._edge * pixels + toom_cook.PAD),
            self._points * pixels,
            self._points * gradients,
            reached * (self._points * gradients + toom_cook.PAD),
            (down * self._edge + self._taps - 1) * (across * self._edge + self._taps - 1) * whole(channels),
        )

    @staticmethod
    def gain(window: Window, groups: int, outputs: int) -> float:
        """Return about how many times the work of the product pixel by pixel is its; 0 where it cannot be taken."""
        square = window.kernel in [(taps, taps) for taps in toom_cook.BLOCKS]
        if not square or groups > 1 or window.stride != (1, 1) or window.dilation != (1, 1):
            return 0.0
        points = toom_cook.points(window.kernel[0]) ** 2
        if points * window.image[0] * outputs * 4 > WEIGHT_BYTES:
            return 0.0
        products = math.prod(int((window.hits(axis) >= 0).sum()) for axis in (0, 1))
        cost = 1 + OUTPUT_COST / whole(outputs) + CHANNEL_COST / whole(window.image[0])
        if outputs % LANES:
            cost += COPY_COST
        return products / (cost * points * math.prod(_tiles(window)))

    def prepare(self) -> None:
        """Take note that the weights may have changed."""
        self._new = True

    def _values(self, weight: FloatArray) -> FloatArray:
        """Return OIHW weights at the points: [points of x, points of y, panels of channels, outputs, PANEL]."""
        with self._taking:
            if self._new:
                lines = weight.transpose(3, 2, 0, 1)
                values = np.dot(self._values_of, lines.reshape(self._taps**2, -1))
                values = values.reshape(-1, *weight.shape[:2])
                for k in range(self._weight.shape[1]):
                    part = values[:, :, k * PANEL : (k + 1) * PANEL]
                    self._weight[:, k, :, : part.shape[2]] = part
                self._new = False
        return self._weight

    def input_gradient(
        self, index: int, micro: MicroBatch, weight: FloatArray, delta: FloatArray, result: FloatArray
    ) -> None:
        """Write the gradient of the input rows [rows, F] for deltas [rows, 1, pixels, outputs]; weights are OIHW."""
        tile, lines, values, products, pixels, full = (
            micro.workspace.array((index, f"tiles {k}"), (size + SLACK,)) for k, size in enumerate(self._scratch)
        )
        toom_cook.input_gradient(
            delta.reshape(delta.shape[0], -1),
            (*self._window.out, self._outputs),
            self._taps,
            (self._edge, self._points),
            self._values(weight).reshape(-1),
            self._window.before,
            self._window.image,
            (tile, lines, values, products, pixels, full),
            self._none,
            result,
        )


def _tiles(window: Window) -> tuple[int, int]:
    """Return how many tiles cover a convolution's output, down and across."""
    edge = toom_cook.edge(window.kernel[0])
    return -(-window.out[0] // edge), -(-window.out[1] // edge)
