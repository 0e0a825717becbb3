"""Convolution as a matrix product: padded images, and what each output or each tap sees of them.

Inside, images lie with their channels innermost, split into groups: ``[group, y, x, channel]``; outside, rows are
row-major [C, H, W].
"""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import kernel

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int32]
CountArray = NDArray[np.int64]

NIL = np.float32(0)
ONE = np.float32(1)


@kernel
def pad_events(
    indptr: CountArray, indices: IndexArray, values: FloatArray, padded_of: IndexArray, images: FloatArray
) -> None:
    """Write buckets as padded images [rows, groups * height * width * channels], zero where nothing fired."""
    graded = values.size > 0
    for r in range(indptr.size - 1):
        image = images[r]
        for k in range(image.size):
            image[k] = NIL
        for j in range(indptr[r], indptr[r + 1]):
            image[padded_of[indices[j]]] = values[j] if graded else ONE


@kernel
def pad(x: FloatArray, padded_of: IndexArray, images: FloatArray) -> None:
    """Write rows [rows, C*H*W] as padded images."""
    for r in range(x.shape[0]):
        image = images[r]
        for k in range(image.size):
            image[k] = NIL
        for i in range(padded_of.size):
            image[padded_of[i]] = x[r, i]


@kernel
def unpad(images: FloatArray, padded_of: IndexArray, x: FloatArray) -> None:
    """Write padded images as rows [rows, C*H*W]."""
    for r in range(x.shape[0]):
        for i in range(padded_of.size):
            x[r, i] = images[r, padded_of[i]]


@kernel
def patches(
    images: FloatArray,
    padded: tuple[int, int],
    out: tuple[int, int],
    taps: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    columns: FloatArray,
) -> None:
    """Write what each output sees, for a matrix product: ``columns`` [rows, groups, pixels, (ky, kx, channel)]."""
    rows, groups, _, depth = columns.shape
    channels = depth // (taps[0] * taps[1])
    run = taps[1] if dilation[1] == 1 else 1
    size = run * channels
    for r in range(rows):
        for g in range(groups):
            image = images[r, g * padded[0] * padded[1] * channels : (g + 1) * padded[0] * padded[1] * channels]
            for oy in range(out[0]):
                for ox in range(out[1]):
                    target = columns[r, g, oy * out[1] + ox]
                    place = 0
                    for ky in range(taps[0]):
                        y = oy * stride[0] + ky * dilation[0]
                        for kx in range(0, taps[1], run):
                            start = (y * padded[1] + ox * stride[1] + kx * dilation[1]) * channels
                            source = image[start : start + size]
                            part = target[place : place + size]
                            for k in range(part.size):
                                part[k] = source[k]
                            place += size


@kernel
def tap_rows(
    x: FloatArray,
    image: tuple[int, int, int],
    before: tuple[int, int],
    out: tuple[int, int],
    taps: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    columns: FloatArray,
) -> None:
    """Write what each tap sees of rows [rows, C*H*W]: ``columns`` [rows, groups, (channel, ky, kx), pixels].

    `patches` the other way round, for images of few channels: what is contiguous are rows of pixels.
    """
    channels, height, width = image
    rows, groups, _, _ = columns.shape
    inside = channels // groups
    for r in range(rows):
        for c in range(channels):
            for ky in range(taps[0]):
                for kx in range(taps[1]):
                    target = columns[r, c // inside, ((c % inside) * taps[0] + ky) * taps[1] + kx]
                    shift = kx * dilation[1] - before[1]
                    begin = min(out[1], max(0, -(shift // stride[1])))
                    end = max(begin, min(out[1], (width - 1 - shift) // stride[1] + 1))
                    for oy in range(out[0]):
                        line = target[oy * out[1] : (oy + 1) * out[1]]
                        y = oy * stride[0] + ky * dilation[0] - before[0]
                        if y < 0 or y >= height:
                            for ox in range(line.size):
                                line[ox] = NIL
                            continue
                        for ox in range(begin):
                            line[ox] = NIL
                        for ox in range(end, line.size):
                            line[ox] = NIL
                        part = line[begin:end]
                        start = (c * height + y) * width + begin * stride[1] + shift
                        if stride[1] == 1:
                            source = x[r, start : start + part.size]
                            for ox in range(part.size):
                                part[ox] = source[ox]
                        else:
                            for ox in range(part.size):
                                part[ox] = x[r, start + ox * stride[1]]


@kernel
def add_patches(
    columns: FloatArray,
    padded: tuple[int, int],
    out: tuple[int, int],
    taps: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    images: FloatArray,
) -> None:
    """Add what `patches` took apart back into images, overwritten: its transpose."""
    rows, groups, _, depth = columns.shape
    channels = depth // (taps[0] * taps[1])
    run = taps[1] if dilation[1] == 1 else 1
    size = run * channels
    for r in range(rows):
        for k in range(images.shape[1]):
            images[r, k] = NIL
        for g in range(groups):
            image = images[r, g * padded[0] * padded[1] * channels : (g + 1) * padded[0] * padded[1] * channels]
            for oy in range(out[0]):
                for ox in range(out[1]):
                    source = columns[r, g, oy * out[1] + ox]
                    place = 0
                    for ky in range(taps[0]):
                        y = oy * stride[0] + ky * dilation[0]
                        for kx in range(0, taps[1], run):
                            start = (y * padded[1] + ox * stride[1] + kx * dilation[1]) * channels
                            target = image[start : start + size]
                            part = source[place : place + size]
                            for k in range(target.size):
                                target[k] += part[k]
                            place += size
