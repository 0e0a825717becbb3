"""A convolution by matrix products, tile by tile: forwards, and both gradients."""

from dataclasses import dataclass

import numpy as np

from snnsim.events import Events
from snnsim.kernels import columns as column_kernels
from snnsim.kernels.lanes import LANES, SLACK
from snnsim.layers.base import MicroBatch
from snnsim.layers.signals import FloatArray, event_values
from snnsim.layers.tiles import PANEL, Tiles, forward_tiles, input_tiles, weight_tiles, whole
from snnsim.layers.weight_orders import WeightOrders
from snnsim.layers.window import IndexArray, Window

_NO_PLACES = np.empty(0, np.int32)
_NO_EVENTS = np.zeros(1, np.int64), _NO_PLACES, np.empty(0, np.float32)
_NO_ROWS = np.empty((0, 0), np.float32)


@dataclass(frozen=True, eq=False)
class Images:
    """Buffers of one worker, channels innermost: a padded image, and flat results with room behind them."""

    padded: FloatArray
    products: FloatArray
    back: FloatArray
    gradient: FloatArray


class ImageProducts:
    """The products of one convolution, row by row, so that they stay in a cache; each row has its own bits.

    Attributes
    ----------
    size : int
        Outputs of one row as the kernels write them: [groups, pixels, outputs of the group in whole vectors].
    """

    def __init__(self, window: Window, groups: int, outputs: int, orders: WeightOrders, padded_of: IndexArray) -> None:
        self._groups, self._orders, self._padded_of = groups, orders, padded_of
        inside, each = window.image[0] // groups, outputs // groups
        self._columns, self._columns_back = whole(each), whole(inside)
        pixels = window.out[0] * window.out[1]
        self.size = groups * pixels * self._columns
        self._back = groups * window.image[1] * window.image[2] * self._columns_back
        self._padded = groups * inside * window.padded[0] * window.padded[1]
        self._delta = groups * pixels * each
        self._no_bias = np.zeros(window.image[0], np.float32)
        self._forward = forward_tiles(window, inside, each)
        self._weight = weight_tiles(window, inside, each)
        self._input = input_tiles(window, inside, each)

    def images(self, index: int, micro: MicroBatch) -> Images:
        """Return the buffers of the layer ``index``."""

        def flat(role: str, size: int) -> FloatArray:
            buffer: FloatArray = micro.workspace.array((index, role), (size + SLACK,))
            return buffer

        return Images(
            micro.workspace.array((index, "image"), (self._padded,)),
            flat("products", self.size),
            flat("back", self._back),
            flat("weight gradient", self._orders.by_tap.size),
        )

    def multiply(self, x: Events | FloatArray, current: FloatArray, images: Images, bias: FloatArray) -> None:
        """Write the currents [rows, N] of rows, dense or events."""
        panels = self._orders.panels
        apart = (0, panels[0].size, panels[0, 0].size)
        self._add(x, images, self._forward, self._columns, panels, apart, images.products, bias, current)

    def add_weight_gradient(self, x: Events | FloatArray, delta: FloatArray, images: Images) -> None:
        """Add the weights' gradient of rows, dense or events, to ``images.gradient``."""
        columns = self._orders.by_tap.shape[2]
        apart = (self._delta, self._delta // self._groups, PANEL)
        self._add(x, images, self._weight, columns, delta, apart, images.gradient, self._no_bias, _NO_ROWS)

    def input_gradient(self, delta: FloatArray, result: FloatArray, images: Images) -> None:
        """Write the gradient of the input rows [rows, F] for deltas [rows, groups, pixels, outputs]."""
        panels = self._orders.panels_back
        apart = (0, panels[0].size, panels[0, 0].size)
        rows = delta.reshape(delta.shape[0], -1)
        self._add(
            rows,
            images,
            self._input,
            self._columns_back,
            panels,
            apart,
            images.back,
            self._no_bias,
            result,
            padded_of=_NO_PLACES,
        )

    def _add(
        self,
        x: Events | FloatArray,
        images: Images,
        tiles: Tiles,
        columns: int,
        b: FloatArray,
        apart: tuple[int, int, int],
        out: FloatArray,
        bias: FloatArray,
        current: FloatArray,
        padded_of: IndexArray | None = None,
    ) -> None:
        events = (x.indptr, x.indices, event_values(x)) if isinstance(x, Events) else _NO_EVENTS
        column_kernels.add_products(
            *events,
            _NO_ROWS if isinstance(x, Events) else x,
            self._padded_of if padded_of is None else padded_of,
            images.padded,
            self._groups,
            tiles.tiles,
            tiles.steps,
            columns // LANES,
            b.reshape(-1),
            apart,
            out,
            bias,
            current,
        )
