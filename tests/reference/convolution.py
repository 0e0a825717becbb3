"""Convolutions and pools, tap by tap; images [n, C, H, W] with n = T * B.

Output o and tap k meet at input ``o * stride + k * dilation - padding``; ``same`` pads one more at bottom and right
where it must. A pool is a window without weights; of equal values the first in row-major order is the largest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Options = dict[str, Any]
POOLS = ("avg_pool2d", "sum_pool2d", "max_pool2d")


def pair(value: int | list[int]) -> tuple[int, int]:
    """Return (rows, columns)."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


@dataclass(frozen=True)
class Geometry:
    """Kernel, stride, dilation, padding before and after, and the output's size; pairs are (rows, columns)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int]
    after: tuple[int, int]
    out: tuple[int, int]

    def taps(self) -> Iterator[tuple[int, int, tuple[slice, slice]]]:
        """Yield each tap and what it sees of the padded image, one place per output."""
        for ky in range(self.kernel[0]):
            for kx in range(self.kernel[1]):
                parts = []
                for axis, k in enumerate((ky, kx)):
                    first = k * self.dilation[axis]
                    parts.append(slice(first, first + (self.out[axis] - 1) * self.stride[axis] + 1, self.stride[axis]))
                yield ky, kx, (parts[0], parts[1])

    def padded(self, x: Array) -> Array:
        """Return images with their borders of zeros."""
        (top, left), (bottom, right) = self.before, self.after
        return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))

    def cropped(self, x: Array) -> Array:
        """Return padded images without their borders."""
        (top, left), (bottom, right) = self.before, self.after
        return x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right]


def geometry(name: str, options: Options, shape: tuple[int, ...]) -> Geometry:
    """Return the geometry of a layer on images of a shape [C, H, W]."""
    kernel = pair(options["kernel"])
    stride = pair(options.get("stride") or (options["kernel"] if name in POOLS else 1))
    dilation = pair(options.get("dilation", 1))
    extent = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    padding = options.get("padding", 0)
    if padding == "same":
        before = ((extent[0] - 1) // 2, (extent[1] - 1) // 2)
        after = (extent[0] // 2, extent[1] // 2)
    else:
        before = after = pair(padding)
    out = [(shape[a + 1] + before[a] + after[a] - extent[a]) // stride[a] + 1 for a in (0, 1)]
    return Geometry(kernel, stride, dilation, before, after, (out[0], out[1]))


def out_shape(name: str, options: Options, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape [C, H, W] of a layer's output."""
    return (options["out"] if name == "conv2d" else shape[0], *geometry(name, options, shape).out)


def convolve(x: Array, weight: Array, bias: Array | None, at: Geometry, groups: int) -> Array:
    """Return the convolution of images with OIHW weights."""
    result = np.zeros((len(x), len(weight), *at.out))
    padded = at.padded(x)
    for ky, kx, (rows, columns) in at.taps():
        seen = padded[:, :, rows, columns]
        for part, kernel, source in zip(
            np.split(result, groups, axis=1), np.split(weight, groups), np.split(seen, groups, axis=1), strict=True
        ):
            part += np.einsum("nchw,oc->nohw", source, kernel[:, :, ky, kx])
    return result if bias is None else result + bias[:, None, None]


def convolve_backward(g: Array, x: Array, weight: Array, at: Geometry, groups: int) -> tuple[Array, Array]:
    """Return the gradients of the images and of the weights."""
    padded = at.padded(x)
    to_padded, to_weight = np.zeros_like(padded), np.zeros_like(weight)
    outputs, inputs = len(weight) // groups, weight.shape[1]
    for ky, kx, (rows, columns) in at.taps():
        for k in range(groups):
            of = slice(k * outputs, (k + 1) * outputs)
            source = slice(k * inputs, (k + 1) * inputs)
            to_weight[of, :, ky, kx] = np.einsum("nohw,nchw->oc", g[:, of], padded[:, source, rows, columns])
            to_padded[:, source, rows, columns] += np.einsum("nohw,oc->nchw", g[:, of], weight[of, :, ky, kx])
    return at.cropped(to_padded), to_weight


def windows(x: Array, at: Geometry) -> Array:
    """Return the elements of every window, row-major, [n, C, h, w, taps]."""
    return np.stack([x[:, :, rows, columns] for _, _, (rows, columns) in at.taps()], axis=-1)


def pool(name: str, x: Array, at: Geometry) -> Array:
    """Return the pooled images."""
    seen = windows(x, at)
    if name == "max_pool2d":
        return np.asarray(seen.max(axis=-1))
    return np.asarray(seen.mean(axis=-1) if name == "avg_pool2d" else seen.sum(axis=-1))


def pool_backward(name: str, g: Array, x: Array, at: Geometry) -> Array:
    """Return the gradient of the images."""
    result = np.zeros_like(x)
    size = at.kernel[0] * at.kernel[1]
    largest = windows(x, at).argmax(axis=-1)
    for k, (_, _, (rows, columns)) in enumerate(at.taps()):
        if name == "max_pool2d":
            result[:, :, rows, columns] += g * (largest == k)
        else:
            result[:, :, rows, columns] += g / size if name == "avg_pool2d" else g
    return result


def connections(weight: NDArray[Any], options: Options, shape: tuple[int, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return which synapses a convolution has, bool [outputs, inputs], and their weights; output by output."""
    at = geometry("conv2d", options, shape)
    (outputs, inputs, _, _), groups = weight.shape, options.get("groups", 1)
    exists = np.zeros((outputs, *at.out, *shape), bool)
    values = np.zeros(exists.shape, weight.dtype)
    for o, oy, ox in np.ndindex(outputs, *at.out):
        for c, ky, kx in np.ndindex(inputs, *at.kernel):
            channel = o // (outputs // groups) * inputs + c
            y = oy * at.stride[0] + ky * at.dilation[0] - at.before[0]
            x = ox * at.stride[1] + kx * at.dilation[1] - at.before[1]
            if 0 <= y < shape[1] and 0 <= x < shape[2]:
                exists[o, oy, ox, channel, y, x] = True
                values[o, oy, ox, channel, y, x] = weight[o, c, ky, kx]
    size = int(np.prod(shape))
    return exists.reshape(-1, size), values.reshape(-1, size)
