"""Edges of a convolution: what an event does to the currents of its patch, and what deltas do to the weights.

Inside, images lie with their channels innermost, split into groups: ``[group, y, x, channel]``; outside, currents,
deltas and events are row-major [C, H, W]. All event kernels work along *runs*: with the taps of a row in descending
order, the outputs that one event reaches with one row of taps are contiguous, and so are the weights,
``weight [ky, channel, tap, output]``; of a run's sums, a block at a time stays in registers. What a convolution as a
matrix product needs is in `snnsim.kernels.columns`.
"""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import dot_kernel, kernel
from snnsim.kernels.lanes import BLOCK, LANES, add_rows, spread_row

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int32]
CountArray = NDArray[np.int64]

NIL = np.float32(0)
ONE = np.float32(1)


@kernel
def sort_by_place(
    indptr: CountArray,
    indices: IndexArray,
    values: FloatArray,
    place_of: IndexArray,
    channel_of: IndexArray,
    starts: IndexArray,
    channels: IndexArray,
    sizes: FloatArray,
) -> None:
    """Sort every bucket's events by place, counting; a place is a group and a pixel, in it go channels upwards.

    ``place_of`` and ``channel_of`` [C*H*W]; written: ``starts`` [rows, places + 1] into ``channels`` and ``sizes``
    [events], counted from the first bucket's first event; ``values`` is empty for binary events, whose size is 1.
    """
    graded = values.size > 0
    first = indptr[0]
    for r in range(indptr.size - 1):
        at = starts[r]
        begin = indptr[r]
        end = indptr[r + 1]
        for p in range(at.size):
            at[p] = 0
        # Unsigned indices: the compiler then leaves out the wrap-around of negative ones, which doubled the time.
        for j in range(begin, end):
            at[np.uint32(place_of[np.uint32(indices[j])])] += np.int32(1)
        total = np.int32(begin - first)
        for p in range(at.size):
            count = at[p]
            at[p] = total
            total += count
        for j in range(begin, end):
            i = np.uint32(indices[j])
            place = np.uint32(place_of[i])
            k = np.uint32(at[place])
            channels[k] = channel_of[i]
            sizes[k] = values[j] if graded else ONE
            at[place] = np.int32(k + 1)
        for p in range(at.size - 1, 0, -1):
            at[p] = at[p - 1]
        at[0] = begin - first


@kernel
def _block(size: int) -> int:
    """Return into how large blocks a run is cut: equal ones of whole vectors, that registers can hold."""
    vectors = (size + LANES - 1) // LANES
    blocks = (vectors + BLOCK - 1) // BLOCK
    return (vectors + blocks - 1) // blocks * LANES


@kernel
def scatter(
    starts: IndexArray,
    channels: IndexArray,
    sizes: FloatArray,
    rows: IndexArray,
    ptr: IndexArray,
    tap: IndexArray,
    column: IndexArray,
    length: IndexArray,
    weight: FloatArray,
    shape: tuple[int, int, int, int],
    patch: FloatArray,
    bias: FloatArray,
    current: FloatArray,
) -> None:
    """Add every event's patch to the currents: ``current[r] = bias + sum over events of size * their patches``.

    ``rows`` [kernel height, H] is the output row that a tap row sends an input row to, or -1; ``ptr``, ``tap``,
    ``column``, ``length`` are `Runs`; ``weight`` is flat [kernel height, C, taps, outputs of a group]; ``shape`` is
    (groups, taps of a row, output width, outputs of a group); ``patch`` [outputs + `lanes.SLACK`] is scratch;
    ``current`` [rows, outputs] is overwritten. Tap rows come outermost: the weights of one stay in the L1 cache.
    """
    groups, taps, width, outputs = shape
    height, image = rows.shape
    columns = ptr.size - 1
    pixels = current.shape[1] // (groups * outputs)
    tap_row = weight.size // height
    apart = taps * outputs
    for r in range(starts.shape[0]):
        at = starts[r]
        for k in range(current.shape[1]):
            patch[k] = NIL
        for ky in range(height):
            for g in range(groups):
                for y in range(image):
                    oy = rows[ky, y]
                    if oy < 0:
                        continue
                    place = (g * image + y) * columns
                    for x in range(columns):
                        begin = at[place + x]
                        end = at[place + x + 1]
                        if begin == end:
                            continue
                        for q in range(ptr[x], ptr[x + 1]):
                            size = length[q] * outputs
                            first = (g * pixels + oy * width + column[q]) * outputs
                            base = ky * tap_row + tap[q] * outputs
                            block = _block(size)
                            for k in range(0, size, block):
                                part = min(block, size - k)
                                add_rows(patch, first + k, part, weight, base + k, apart, channels, sizes, begin, end)
        _to_channels(patch, bias, groups, pixels, outputs, outputs, current[r])


@kernel
def _to_channels(
    patch: FloatArray, bias: FloatArray, groups: int, pixels: int, outputs: int, apart: int, current: FloatArray
) -> None:
    """Write [group, pixel, output], pixels ``apart``, as [channel, pixel], and add the bias."""
    for g in range(groups):
        source = patch[g * pixels * apart : (g + 1) * pixels * apart].reshape(pixels, apart)
        for k in range(outputs):
            target = current[(g * outputs + k) * pixels : (g * outputs + k + 1) * pixels]
            b = bias[g * outputs + k]
            for p in range(pixels):
                target[p] = source[p, k] + b


@kernel
def to_channels(products: FloatArray, bias: FloatArray, current: FloatArray) -> None:
    """Write products [rows, groups, pixels, at least outputs] as rows [rows, channels * pixels], and add the bias."""
    rows, groups, pixels, apart = products.shape
    outputs = current.shape[1] // (groups * pixels)
    for r in range(rows):
        _to_channels(products[r].reshape(-1), bias, groups, pixels, outputs, apart, current[r])


@kernel
def to_pixels(delta: FloatArray, result: FloatArray) -> None:
    """Write deltas [rows, channels * pixels] as [rows, groups, pixels, outputs]."""
    rows, groups, pixels, outputs = result.shape
    for r in range(rows):
        for g in range(groups):
            source = delta[r, g * outputs * pixels : (g + 1) * outputs * pixels].reshape(outputs, pixels)
            target = result[r, g]
            for p in range(pixels):
                for k in range(outputs):
                    target[p, k] = source[k, p]


@kernel
def add_weight_gradient(
    starts: IndexArray,
    channels: IndexArray,
    sizes: FloatArray,
    rows: IndexArray,
    ptr: IndexArray,
    tap: IndexArray,
    column: IndexArray,
    length: IndexArray,
    delta: FloatArray,
    gradient: FloatArray,
    shape: tuple[int, int, int, int],
    inputs: int,
) -> None:
    """Add the weights' gradient, event by event along the same runs: ``gradient[run] += size * delta[run]``.

    ``delta`` [rows, groups * pixels * outputs] with the outputs innermost; ``gradient`` lies as `scatter`'s weight for
    ``inputs`` channels, and has `lanes.SLACK` numbers behind its last.
    """
    groups, taps, width, outputs = shape
    height, image = rows.shape
    columns = ptr.size - 1
    pixels = delta.shape[1] // (groups * outputs)
    apart = taps * outputs
    tap_row = inputs * apart
    flat = delta.reshape(-1)
    for r in range(starts.shape[0]):
        at = starts[r]
        for ky in range(height):
            for g in range(groups):
                for y in range(image):
                    oy = rows[ky, y]
                    if oy < 0:
                        continue
                    place = (g * image + y) * columns
                    for x in range(columns):
                        begin = at[place + x]
                        end = at[place + x + 1]
                        if begin == end:
                            continue
                        for q in range(ptr[x], ptr[x + 1]):
                            size = length[q] * outputs
                            first = r * delta.shape[1] + (g * pixels + oy * width + column[q]) * outputs
                            base = ky * tap_row + tap[q] * outputs
                            block = _block(size)
                            for k in range(0, size, block):
                                part = min(block, size - k)
                                spread_row(
                                    flat, first + k, part, gradient, base + k, apart, channels, sizes, begin, end
                                )


@dot_kernel
def needed_products(
    starts: IndexArray,
    channels: IndexArray,
    rows: IndexArray,
    ptr: IndexArray,
    tap: IndexArray,
    column: IndexArray,
    length: IndexArray,
    delta: FloatArray,
    weight: FloatArray,
    shape: tuple[int, int, int, int],
    out: FloatArray,
) -> None:
    """Multiply deltas back through the weights where somebody needs it, along the same runs: the input's gradient.

    ``starts`` and ``channels`` list the inputs that are needed, as `sort_by_place` leaves them; ``delta`` and
    ``weight`` lie as in `add_weight_gradient`; ``out`` [rows, C*H*W] is overwritten, zero where nobody needs it. A
    product's bits do not depend on which others are needed.
    """
    groups, taps, width, outputs = shape
    height, image = rows.shape
    columns = ptr.size - 1
    pixels = delta.shape[1] // (groups * outputs)
    tap_row = weight.size // height
    apart = taps * outputs
    for r in range(starts.shape[0]):
        at = starts[r]
        from_row = delta[r]
        target = out[r]
        for k in range(target.size):
            target[k] = NIL
        for ky in range(height):
            for g in range(groups):
                for y in range(image):
                    oy = rows[ky, y]
                    if oy < 0:
                        continue
                    for x in range(columns):
                        place = (g * image + y) * columns + x
                        for j in range(at[place], at[place + 1]):
                            channel = channels[np.uintp(j)]
                            total = NIL
                            for q in range(ptr[x], ptr[x + 1]):
                                size = np.uintp(length[q] * outputs)
                                first = np.uintp((g * pixels + oy * width + column[q]) * outputs)
                                a = np.uintp(ky * tap_row + channel * apart + tap[q] * outputs)
                                d = from_row[first : first + size]
                                w = weight[a : a + size]
                                for k in range(d.size):
                                    total += w[k] * d[k]
                            target[np.uintp((channel * image + y) * columns + x)] += total


@kernel
def add_reordered(source: FloatArray, order: IndexArray, target: FloatArray) -> None:
    """Add a flat array in another order: ``target[k] += source[order[k]]``."""
    for k in range(target.size):
        target[k] += source[np.uint32(order[k])]
