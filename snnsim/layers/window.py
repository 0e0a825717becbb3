"""Where the taps of convolutions and pools meet an image: sizes, and tables for the kernels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from snnsim.errors import InputError, KeyPath
from snnsim.layers.base import Shape

Pair = tuple[int, int]
IndexArray = NDArray[np.int32]


@dataclass(frozen=True)
class Runs:
    """For each column of an image, what its tap row touches, as runs that are contiguous on both sides.

    Column x has the runs ``ptr[x]`` to ``ptr[x + 1]``; run q goes from tap ``tap[q]`` (in the order of
    `Window.tap_order`) and output column ``out[q]`` on for ``length[q]`` places.
    """

    ptr: IndexArray
    tap: IndexArray
    out: IndexArray
    length: IndexArray


@dataclass(frozen=True)
class Window:
    """A window that slides over an image [C, H, W]; pairs are (rows, columns).

    Tap k of output o lies at input ``o * stride + k * dilation - before``.
    """

    image: tuple[int, int, int]
    kernel: Pair
    stride: Pair
    before: Pair = (0, 0)
    after: Pair = (0, 0)
    dilation: Pair = (1, 1)

    @classmethod
    def of(
        cls,
        shape: Shape,
        at: KeyPath,
        *,
        kernel: int | Sequence[int],
        stride: int | Sequence[int],
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
    ) -> "Window":
        """Check that a window fits an image of this shape.

        Raises
        ------
        InputError
            Flat input, a kernel larger than the padded image, or ``same`` with a stride; ``at`` names the layer.
        """
        if len(shape) != 3:
            raise InputError(
                f"needs an image [channels, height, width] as input (got shape {list(shape)}); "
                "flatten and dense layers come after it",
                at,
            )
        sizes, steps, spread = _pair(kernel), _pair(stride), _pair(dilation)
        extent = (spread[0] * (sizes[0] - 1) + 1, spread[1] * (sizes[1] - 1) + 1)
        if padding == "same":
            if steps != (1, 1):
                raise InputError("same needs stride 1; give the padding as a number", (*at, "padding"))
            before = ((extent[0] - 1) // 2, (extent[1] - 1) // 2)
            after = (extent[0] - 1 - before[0], extent[1] - 1 - before[1])
        else:
            assert not isinstance(padding, str)
            before = after = _pair(padding)
        window = cls((shape[0], shape[1], shape[2]), sizes, steps, before, after, spread)
        for axis, name in enumerate(("height", "width")):
            padded = shape[axis + 1] + before[axis] + after[axis]
            if extent[axis] > padded:
                raise InputError(f"spans {extent[axis]}, more than the padded {name} {padded}", (*at, "kernel"))
        return window

    @cached_property
    def padded(self) -> Pair:
        """Height and width of the image with its padding."""
        return self._padded(0), self._padded(1)

    def _padded(self, axis: int) -> int:
        return self.image[axis + 1] + self.before[axis] + self.after[axis]

    @cached_property
    def out(self) -> Pair:
        """Height and width of the output."""
        return self._out(0), self._out(1)

    def _out(self, axis: int) -> int:
        extent = self.dilation[axis] * (self.kernel[axis] - 1) + 1
        return (self._padded(axis) - extent) // self.stride[axis] + 1

    def hits(self, axis: int) -> IndexArray:
        """Return the output that tap k has input i for, or -1: int32 [kernel, size] along an axis."""
        taps = np.arange(self.kernel[axis])[:, None]
        shifted = np.arange(self.image[axis + 1]) + self.before[axis] - taps * self.dilation[axis]
        out = shifted // self.stride[axis]
        valid = (shifted >= 0) & (shifted % self.stride[axis] == 0) & (out < self._out(axis))
        return np.where(valid, out, -1).astype(np.int32)

    @cached_property
    def tap_order(self) -> IndexArray:
        """Return the order of a row's taps in which those of one column lie together, outputs ascending."""
        step = self.stride[1] // int(np.gcd(self.stride[1], self.dilation[1]))
        taps = np.arange(self.kernel[1])
        return np.lexsort((-taps, taps % step)).astype(np.int32)

    @cached_property
    def runs(self) -> Runs:
        """Return what each column's tap row touches."""
        hits = self.hits(1)[self.tap_order]
        ptr = [0]
        tap: list[int] = []
        out: list[int] = []
        length: list[int] = []
        for x in range(self.image[2]):
            last = -2
            for j in np.flatnonzero(hits[:, x] >= 0).tolist():
                o = int(hits[j, x])
                if last == j - 1 and out[-1] + length[-1] == o:
                    length[-1] += 1
                else:
                    tap.append(j)
                    out.append(o)
                    length.append(1)
                last = j
            ptr.append(len(tap))
        return Runs(*(np.array(part, np.int32) for part in (ptr, tap, out, length)))

    @cached_property
    def row_order(self) -> tuple[IndexArray, IndexArray, IndexArray]:
        """Return an order of an image's rows in which those that a tap row meets lie together, and what they meet.

        Their ranks [H]; the line of outputs, times its width, that each lies at [H]; and per tap row [kernel height, 3]
        the first rank that it meets, one past the last, and how far before their lines its outputs lie.
        """
        place = np.arange(self.image[1]) + self.before[0]
        rank = np.empty(place.size, np.int32)
        rank[np.lexsort((place, place % self.stride[0]))] = np.arange(place.size)
        line = place // self.stride[0] * self.out[1]
        reach = np.zeros((self.kernel[0], 3), np.int32)
        for k, hits in enumerate(self.hits(0)):
            met = np.flatnonzero(hits >= 0)
            if met.size:
                reach[k] = rank[met[0]], rank[met[-1]] + 1, line[met[0]] - hits[met[0]] * self.out[1]
        return rank, line.astype(np.int32), reach

    @cached_property
    def windows_of(self) -> tuple[IndexArray, IndexArray]:
        """Return, as ptr [C*H*W + 1] and windows, the outputs [C, out] whose window each input lies in."""
        (channels, height, width), (out_height, out_width) = self.image, self.out
        inputs, outputs = [], []
        for a in self.hits(0):
            for b in self.hits(1):
                y, x = np.flatnonzero(a >= 0), np.flatnonzero(b >= 0)
                inputs.append(np.add.outer(y * width, x).ravel())
                outputs.append(np.add.outer(a[y] * out_width, b[x]).ravel())
        reached, windows = np.concatenate(inputs), np.concatenate(outputs)
        windows = windows[np.lexsort((windows, reached))]
        counts = np.tile(np.bincount(reached, minlength=height * width), channels)
        ptr = np.concatenate([[0], np.cumsum(counts)])
        first = np.arange(channels)[:, None] * (out_height * out_width)
        return ptr.astype(np.int32), (first + windows).ravel().astype(np.int32)

    @cached_property
    def part_of(self) -> IndexArray:
        """Return the one output whose window each input lies in, times 4, and which of its inputs that is, modulo 4.

        [C*H*W]; for an input in no window, output C * outputs. Empty where windows overlap.
        """
        if self.kernel[0] > self.stride[0] or self.kernel[1] > self.stride[1]:
            return np.zeros(0, np.int32)
        ptr, windows = self.windows_of
        found = np.full(ptr.size - 1, 4 * self.image[0] * self.out[0] * self.out[1], np.int32)
        _, y, x = np.unravel_index(np.flatnonzero(ptr[:-1] < ptr[1:]), self.image)
        number = y % self.stride[0] * self.kernel[1] + x % self.stride[1]
        found[ptr[:-1] < ptr[1:]] = 4 * windows + number % 4
        return found


def _pair(value: int | Sequence[int]) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
