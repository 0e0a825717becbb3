"""The weights of a convolution in the orders of its kernels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels import convolve
from snnsim.layers.base import Shape
from snnsim.layers.signals import FloatArray
from snnsim.layers.tiles import PANEL, whole
from snnsim.layers.window import IndexArray, Window
from snnsim.memory import aligned_zeros


class WeightOrders:
    """Copies of OIHW weights with channels innermost, and where gradients in such orders belong.

    Attributes
    ----------
    by_run : float32 [ky, channel, tap, output of the group]
        Taps in the order of the runs: for events.
    by_tap : float32 [groups, (ky, kx, channel), outputs of the group in whole vectors]
        For events too, output by output.
    panels : float32 [groups, panels of outputs, (ky, kx, channel), PANEL]
        For the product forwards; the last panel is filled up with zeros.
    panels_back : float32 [groups, panels of channels, (kx, ky, output), PANEL]
        For the product back.
    """

    def __init__(self, window: Window, groups: int, shape: Shape) -> None:
        outputs, inputs = shape[0] // groups, shape[1]
        taps = window.kernel[0] * window.kernel[1]
        self._window = window
        self._split = (groups, outputs, inputs, *window.kernel)
        self.by_run = aligned_zeros((window.kernel[0], window.image[0], window.kernel[1], outputs))
        self.by_tap = aligned_zeros((groups, inputs * taps, whole(outputs)))
        self.panels = aligned_zeros((groups, -(-outputs // PANEL), inputs * taps, PANEL))
        self.panels_back = aligned_zeros((groups, -(-inputs // PANEL), outputs * taps, PANEL))
        numbers = np.arange(groups * outputs * inputs * taps, dtype=np.int32).reshape(shape)
        product = np.arange(self.by_tap.size).reshape(self.by_tap.shape)[:, :, :outputs]
        by_run = np.arange(numbers.size).reshape(self.by_run.shape)
        self._from_run = _places(self._in_runs(numbers), by_run, numbers.shape)
        self._from_taps = _places(self._as_product(numbers), product, numbers.shape)

    def take(self, weight: FloatArray) -> None:
        """Copy the weights."""
        self.by_run[...] = self._in_runs(weight)
        product = self._as_product(weight)
        self.by_tap[:, :, : product.shape[2]] = product
        _fill(self.panels, product)
        groups, _, depth, _ = self.panels_back.shape
        _fill(self.panels_back, self.grouped(weight).transpose(0, 4, 3, 1, 2).reshape(groups, depth, -1))

    def add_to(
        self, weight: FloatArray, *, product: FloatArray | None = None, by_run: FloatArray | None = None
    ) -> None:
        """Add flat gradients, in the orders of `by_tap` and `by_run`, to the weight's, OIHW.

        The memory of that is its transpose.
        """
        memory = weight.T.reshape(-1)
        assert np.shares_memory(memory, weight)
        if product is not None:
            convolve.add_reordered(product, self._from_taps, memory)
        if by_run is not None:
            convolve.add_reordered(by_run, self._from_run, memory)

    def grouped(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Return OIHW weights as [group, output of the group, input of the group, ky, kx]."""
        return weight.reshape(self._split)

    def _in_runs(self, weight: NDArray[Any]) -> NDArray[Any]:
        by_run = self.grouped(weight).transpose(3, 0, 2, 4, 1).reshape(self.by_run.shape)
        return np.asarray(by_run[:, :, self._window.tap_order])

    def _as_product(self, weight: NDArray[Any]) -> NDArray[Any]:
        groups, outputs = self._split[:2]
        return self.grouped(weight).transpose(0, 3, 4, 2, 1).reshape(groups, -1, outputs)


def _fill(panels: FloatArray, matrix: NDArray[Any]) -> None:
    """Write matrices [groups, depth, columns] by panels of columns."""
    for k in range(panels.shape[1]):
        part = matrix[:, :, k * PANEL : (k + 1) * PANEL]
        panels[:, k, :, : part.shape[2]] = part


def _places(ordered: NDArray[Any], at: NDArray[Any], shape: Shape) -> IndexArray:
    """Return where each weight, in the order of the transposed memory, lies: number ``ordered[k]`` at ``at[k]``."""
    place = np.empty(ordered.size, np.int32)
    place[ordered.ravel()] = at.ravel()
    return np.ascontiguousarray(place.reshape(shape).T).ravel()
