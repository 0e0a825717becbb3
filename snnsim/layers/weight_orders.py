"""The weights of a convolution in the orders of its kernels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels import convolve
from snnsim.layers.base import FloatArray, Shape
from snnsim.layers.window import IndexArray, Window
from snnsim.memory import aligned_zeros


class WeightOrders:
    """Copies of OIHW weights with the output channels of a group innermost.

    Attributes
    ----------
    by_run : float32 [ky, channel, tap, output of the group]
        Taps in the order of the runs: for events.
    product : float32 [groups, (ky, kx, channel), output of the group]
        For a matrix product.
    product_back : float32 [groups, output of the group, (ky, kx, channel)]
        The transpose of that.
    """

    def __init__(self, window: Window, groups: int, shape: Shape) -> None:
        outputs, inputs = shape[0] // groups, shape[1]
        depth = inputs * window.kernel[0] * window.kernel[1]
        self._window = window
        self._split = (groups, outputs, inputs, *window.kernel)
        self.by_run = aligned_zeros((window.kernel[0], window.image[0], window.kernel[1], outputs))
        self.product = aligned_zeros((groups, depth, outputs))
        self.product_back = aligned_zeros((groups, outputs, depth))
        numbers = np.arange(self.product.size, dtype=np.int32).reshape(shape)
        self._from_run = _places(self._in_runs(numbers), numbers)
        self._from_product = _places(self._as_product(numbers), numbers)

    def take(self, weight: FloatArray) -> None:
        """Copy the weights."""
        self.by_run[...] = self._in_runs(weight)
        self.product[...] = self._as_product(weight)
        self.product_back[...] = self.product.transpose(0, 2, 1)

    def add_to(
        self, weight: FloatArray, *, product: FloatArray | None = None, by_run: FloatArray | None = None
    ) -> None:
        """Add gradients in the kernels' orders to the weight's, OIHW, whose memory is its transpose."""
        memory = weight.T.reshape(-1)
        assert np.shares_memory(memory, weight)
        if product is not None:
            convolve.add_reordered(product.reshape(-1), self._from_product, memory)
        if by_run is not None:
            convolve.add_reordered(by_run.reshape(-1), self._from_run, memory)

    def grouped(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Return OIHW weights as [group, output of the group, input of the group, ky, kx]."""
        return weight.reshape(self._split)

    def _in_runs(self, weight: NDArray[Any]) -> NDArray[Any]:
        by_run = self.grouped(weight).transpose(3, 0, 2, 4, 1).reshape(self.by_run.shape)
        return np.asarray(by_run[:, :, self._window.tap_order])

    def _as_product(self, weight: NDArray[Any]) -> NDArray[Any]:
        return self.grouped(weight).transpose(0, 3, 4, 2, 1).reshape(self.product.shape)


def _places(ordered: NDArray[Any], numbers: NDArray[Any]) -> IndexArray:
    """Return where each weight, in the order of the transposed memory, lies in an ordered copy."""
    place = np.empty(numbers.size, np.int32)
    place[ordered.ravel()] = np.arange(numbers.size, dtype=np.int32)
    return np.ascontiguousarray(place.reshape(numbers.shape).T).ravel()
