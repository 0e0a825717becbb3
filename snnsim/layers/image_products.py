"""A convolution by matrix products, tile by tile: forwards, and both gradients."""

from dataclasses import dataclass

import numpy as np

from snnsim.events import Events
from snnsim.kernels import columns, convolve
from snnsim.kernels.lanes import LANES, SLACK
from snnsim.layers.base import FloatArray, MicroBatch, event_values
from snnsim.layers.tiles import PANEL, Tiles, forward_tiles, input_tiles, weight_tiles, whole
from snnsim.layers.weight_orders import WeightOrders
from snnsim.layers.window import IndexArray, Window

# How much of padded images and products lies between kernels, in bytes: a part of an L2 cache.
IMAGE_BYTES = 1 << 17


@dataclass(frozen=True, eq=False)
class Images:
    """Buffers of one worker, channels innermost: padded images, and flat results with room behind them."""

    padded: FloatArray
    products: FloatArray
    back: FloatArray
    gradient: FloatArray


class ImageProducts:
    """The products of one convolution, a few rows at a time, so that they stay in a cache; each row has its own bits.

    Attributes
    ----------
    size : int
        Outputs of one row as the kernels write them: [groups, pixels, outputs of the group in whole vectors].
    """

    def __init__(self, window: Window, groups: int, outputs: int, orders: WeightOrders, padded_of: IndexArray) -> None:
        self._groups, self._orders, self._padded_of = groups, orders, padded_of
        inside, each = window.image[0] // groups, outputs // groups
        self._columns, self._columns_back = whole(each), whole(inside)
        self._pixels = window.out[0] * window.out[1]
        self.size = groups * self._pixels * self._columns
        self._back = groups * window.image[1] * window.image[2] * self._columns_back
        self._padded = (groups, inside * window.padded[0] * window.padded[1])
        self._delta = groups * self._pixels * each
        self._no_bias = np.zeros(window.image[0], np.float32)
        self._forward = forward_tiles(window, inside, each)
        self._weight = weight_tiles(window, inside, each)
        self._input = input_tiles(window, inside, each)
        largest = max(self.size, self._back, groups * self._padded[1])
        self._rows = max(1, IMAGE_BYTES // (4 * largest))

    def images(self, index: int, micro: MicroBatch) -> Images:
        """Return the buffers of the layer ``index``."""

        def flat(role: str, size: int) -> FloatArray:
            buffer: FloatArray = micro.workspace.array((index, role), (size + SLACK,))
            return buffer

        return Images(
            micro.workspace.array((index, "images"), (self._rows, *self._padded)),
            flat("products", self._rows * self.size),
            flat("back", self._rows * self._back),
            flat("weight gradient", self._orders.by_tap.size),
        )

    def multiply(self, x: Events | FloatArray, current: FloatArray, images: Images, bias: FloatArray) -> None:
        """Write the currents [rows, N] of rows, dense or events."""
        panels = self._orders.panels
        apart = (0, panels[0].size, panels[0, 0].size)
        for first, last in chunks(current.shape[0], self._rows):
            padded = self._write_images(x, first, last, images)
            images.products[...] = 0
            out_apart = (self.size, self.size // self._groups)
            _add(self._forward, self._columns, padded, panels, apart, images.products, out_apart)
            products = images.products[: (last - first) * self.size]
            convolve.to_channels(
                products.reshape(last - first, self._groups, self._pixels, self._columns), bias, current[first:last]
            )

    def add_weight_gradient(self, x: Events | FloatArray, delta: FloatArray, images: Images) -> None:
        """Add the weights' gradient of rows, dense or events, to ``images.gradient``."""
        _, depth, columns = self._orders.by_tap.shape
        apart = (self._delta, self._delta // self._groups, PANEL)
        for first, last in chunks(delta.shape[0], self._rows):
            padded = self._write_images(x, first, last, images)
            _add(self._weight, columns, padded, delta[first:last], apart, images.gradient, (0, depth * columns))

    def input_gradient(self, delta: FloatArray, result: FloatArray, images: Images) -> None:
        """Write the gradient of the input rows [rows, F] for deltas [rows, groups, pixels, outputs]."""
        panels, columns = self._orders.panels_back, self._columns_back
        apart = (0, panels[0].size, panels[0, 0].size)
        by_group = delta.reshape(delta.shape[0], self._groups, -1)
        for first, last in chunks(delta.shape[0], self._rows):
            images.back[...] = 0
            out_apart = (self._back, self._back // self._groups)
            _add(self._input, columns, by_group[first:last], panels, apart, images.back, out_apart)
            back = images.back[: (last - first) * self._back]
            convolve.to_channels(
                back.reshape(last - first, self._groups, -1, columns), self._no_bias, result[first:last]
            )

    def _write_images(self, x: Events | FloatArray, first: int, last: int, images: Images) -> FloatArray:
        """Write the rows ``first`` to ``last`` as padded images [rows, groups, (y, x, channel)]."""
        padded = images.padded[: last - first]
        flat = padded.reshape(last - first, -1)
        if isinstance(x, Events):
            columns.pad_events(x.indptr[first : last + 1], x.indices, event_values(x), self._padded_of, flat)
        else:
            columns.pad(x[first:last], self._padded_of, flat)
        return padded


def chunks(count: int, size: int) -> list[tuple[int, int]]:
    """Cut rows into chunks of ``size``."""
    return [(start, min(start + size, count)) for start in range(0, count, size)]


def _add(
    tiles: Tiles,
    width: int,
    a: FloatArray,
    b: FloatArray,
    b_apart: tuple[int, int, int],
    out: FloatArray,
    out_apart: tuple[int, int],
) -> None:
    columns.add_products(tiles.tiles, tiles.steps, width // LANES, a, b.reshape(-1), b_apart, out, out_apart)
