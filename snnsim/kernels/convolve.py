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
from snnsim.kernels.lanes import BLOCK, GATHER_BLOCK, LANES, add_rows, gather_rows, transpose
from snnsim.kernels.vectors import emit_line

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int32]
CountArray = NDArray[np.int64]

NIL = np.float32(0)
ONE = np.float32(1)

# Numbers of weights that stay in an L1 cache of 32 KB beside what streams through.
CACHED = 6144


@kernel
def sort_by_place(
    indptr: CountArray,
    indices: IndexArray,
    values: FloatArray,
    image_of: IndexArray,
    shape: tuple[int, int, int],
    image: FloatArray,
    before: IndexArray,
    starts: IndexArray,
    along: IndexArray,
    sizes: FloatArray,
) -> None:
    """Sort every bucket's events by place; a place is a group and a pixel, in it go channels upwards.

    They are written into an image and read again. ``shape`` is (lines of all groups, columns, channels of a group),
    ``image_of`` [C*H*W] an input's place in ``image``, which is scratch, and so is ``before`` [a line's inputs +
    `lanes.SLACK`]. Written: ``starts`` [rows, places + 1] into ``along``, where in its line an event lies, and
    ``sizes``, both [events + `lanes.SLACK`], counted from the first bucket's first event; ``values`` is empty for
    binary events, whose size is 1.
    """
    lines, width, inputs = shape
    graded = values.size > 0
    total = 0
    for k in range(image.size):
        image[k] = NIL
    for r in range(indptr.size - 1):
        # Unsigned indices: the compiler then leaves out the wrap-around of negative ones.
        fired = indices[indptr[r] : indptr[r + 1]]
        for j in range(fired.size):
            image[np.uint32(image_of[np.uint32(fired[j])])] = values[indptr[r] + j] if graded else ONE
        at = starts[r]
        for y in range(lines):
            total = emit_line(image, y * width * inputs, width * inputs, along, sizes, before, total)
            for x in range(width):
                at[np.uint32(y * width + x)] = before[np.uint32(x * inputs)]
        at[lines * width] = total


@kernel
def _block(size: int) -> int:
    """Return into how large blocks a run is cut: equal ones of whole vectors, that registers can hold."""
    vectors = (size + LANES - 1) // LANES
    blocks = (vectors + BLOCK - 1) // BLOCK
    return (vectors + blocks - 1) // blocks * LANES


@kernel
def scatter(
    starts: IndexArray,
    along: IndexArray,
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

    ``starts``, ``along`` and ``sizes`` are events as `sort_by_place` leaves them, at x * channels + channel of their
    lines. ``rows`` [kernel height, H] is the output row that a tap
    row sends an input row to, or -1; ``ptr``, ``tap``, ``column``, ``length`` are `Runs`; ``weight`` is flat [kernel
    height, C, taps, outputs of a group]; ``shape`` is (groups, taps of a row, output width, outputs of a group);
    ``patch`` [outputs + `lanes.SLACK`] is scratch; ``current`` [rows, outputs] is overwritten. Tap rows come outermost:
    the weights of one stay in the L1 cache.
    """
    groups, taps, width, outputs = shape
    height, image = rows.shape
    columns = ptr.size - 1
    pixels = current.shape[1] // (groups * outputs)
    tap_row = weight.size // height
    apart = taps * outputs
    inputs = tap_row // (groups * apart)
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
                            base = ky * tap_row + (g - x) * inputs * apart + tap[q] * outputs
                            block = _block(size)
                            for k in range(0, size, block):
                                part = min(block, size - k)
                                add_rows(patch, first + k, part, weight, base + k, apart, along, sizes, begin, end)
        size = pixels * outputs
        for g in range(groups):
            transpose(patch, g * size, outputs, pixels, outputs, bias, g * outputs, current[r], g * size, pixels)


@kernel
def gather(
    starts: IndexArray,
    along: IndexArray,
    sizes: FloatArray,
    image: tuple[int, int, int],
    out: tuple[int, int],
    taps: tuple[int, int],
    before: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    weight: FloatArray,
    patch: FloatArray,
    bias: FloatArray,
    current: FloatArray,
) -> None:
    """Write the same as `scatter`, output by output: the sum of what its window's events send it.

    ``image`` is [channels of a group, H, W]; ``weight`` [groups, (ky, kx, channel), outputs in whole vectors]; a row of
    taps sees events that lie together. ``patch`` [groups * pixels * outputs in whole vectors + `lanes.SLACK`] is
    scratch. Outermost come as many rows of taps as have their weights in the L1 cache.
    """
    inputs, height, width = image
    groups, depth, columns = weight.shape
    table, ends = weight.reshape(-1), starts.reshape(-1)
    pixels = out[0] * out[1]
    tap_row = taps[1] * inputs
    run = taps[1] if dilation[1] == 1 else 1
    at_once = max(1, CACHED // (tap_row * columns))
    for r in range(starts.shape[0]):
        for k in range(groups * pixels * columns):
            patch[k] = NIL
        for g in range(groups):
            for ky in range(0, taps[0], at_once):
                for oy in range(out[0]):
                    top = oy * stride[0] - before[0]
                    first = max(ky, -(top // dilation[0]))
                    last = min(ky + at_once, taps[0], (height - 1 - top) // dilation[0] + 1)
                    line = r * starts.shape[1] + (g * height + top + first * dilation[0]) * width
                    for ox in range(out[1]):
                        to = ((g * out[0] + oy) * out[1] + ox) * columns
                        for kx in range(0, taps[1], run):
                            left = ox * stride[1] - before[1] + kx * dilation[1]
                            x = max(0, left)
                            span = min(left + run, width) - x
                            if span <= 0:
                                continue
                            rows = g * depth + first * tap_row + (kx - left) * inputs
                            for k in range(0, columns, GATHER_BLOCK * LANES):
                                gather_rows(
                                    patch,
                                    to + k,
                                    min(GATHER_BLOCK, (columns - k) // LANES),
                                    table,
                                    rows * columns + k,
                                    tap_row * columns,
                                    columns,
                                    along,
                                    sizes,
                                    ends,
                                    line + x,
                                    dilation[0] * width,
                                    span,
                                    last - first,
                                )
        for g in range(groups):
            outputs = bias.size // groups
            to = g * pixels * outputs
            transpose(patch, g * pixels * columns, columns, pixels, outputs, bias, g * outputs, current[r], to, pixels)


@kernel
def to_pixels(delta: FloatArray, nothing: FloatArray, result: FloatArray) -> None:
    """Write deltas [rows, channels * pixels] as [rows, groups, pixels, outputs]; ``nothing`` [pixels] is zero."""
    rows, groups, pixels, outputs = result.shape
    size = pixels * outputs
    source, target = delta.reshape(-1), result.reshape(-1)
    for k in range(rows * groups):
        transpose(source, k * size, pixels, outputs, pixels, nothing, 0, target, k * size, outputs)


@kernel
def sort_by_column(
    indptr: CountArray,
    indices: IndexArray,
    values: FloatArray,
    key_of: IndexArray,
    line_of: IndexArray,
    apart: int,
    starts: IndexArray,
    lines: IndexArray,
    sizes: FloatArray,
) -> None:
    """Sort the events of all buckets by group, column, channel and row, as the weights' gradient reads them, counting.

    ``key_of`` [C*H*W] is an input's place in that order, ``line_of`` the line of deltas that its row belongs to, in
    pixels; the deltas of a bucket lie ``apart`` pixels from those of the next. Written: ``starts`` [C*H*W + 1] into
    ``lines`` and ``sizes`` [events].
    """
    graded = values.size > 0
    for p in range(starts.size):
        starts[p] = 0
    for j in range(indptr[0], indptr[indptr.size - 1]):
        starts[np.uint32(key_of[np.uint32(indices[j])])] += np.int32(1)
    total = np.int32(0)
    for p in range(starts.size):
        count = starts[p]
        starts[p] = total
        total += count
    for r in range(indptr.size - 1):
        for j in range(indptr[r], indptr[r + 1]):
            i = np.uint32(indices[j])
            key = np.uint32(key_of[i])
            k = np.uint32(starts[key])
            lines[k] = r * apart + line_of[i]
            sizes[k] = values[j] if graded else ONE
            starts[key] = np.int32(k + 1)
    for p in range(starts.size - 1, 0, -1):
        starts[p] = starts[p - 1]
    starts[0] = 0


@kernel
def add_weight_gradient(
    starts: IndexArray,
    lines: IndexArray,
    sizes: FloatArray,
    reach: IndexArray,
    ptr: IndexArray,
    tap: IndexArray,
    column: IndexArray,
    length: IndexArray,
    shape: tuple[int, int, int, int],
    delta: FloatArray,
    gradient: FloatArray,
) -> None:
    """Add the weights' gradient: for each channel and tap row, the runs of deltas that a column's events meet there.

    Events as `sort_by_column` leaves them. ``reach`` [kernel height, 3]: which of a column's rows a tap row meets, from
    the first to below the last, and how many pixels before their line the deltas lie; ``ptr`` to ``length`` are `Runs`;
    ``shape`` is (groups, channels of a group, taps of a row, outputs of a group). ``delta`` [rows, groups, pixels,
    outputs] is flat; ``gradient`` lies as `scatter`'s weight, and has `lanes.SLACK` numbers behind its last.
    """
    groups, inputs, taps, outputs = shape
    width = ptr.size - 1
    height = (starts.size - 1) // (groups * inputs * width)
    for g in range(groups):
        for x in range(width):
            for ky in range(reach.shape[0]):
                first, last = reach[ky, 0], reach[ky, 1]
                for c in range(inputs):
                    place = ((g * width + x) * inputs + c) * height
                    begin, end = starts[place + first], starts[place + last]
                    if begin == end:
                        continue
                    row = ((ky * groups + g) * inputs + c) * taps
                    for q in range(ptr[x], ptr[x + 1]):
                        size = length[q] * outputs
                        base = (row + tap[q]) * outputs
                        source = (column[q] - reach[ky, 2]) * outputs
                        block = _block(size)
                        for k in range(0, size, block):
                            part = min(block, size - k)
                            add_rows(gradient, base + k, part, delta, source + k, outputs, lines, sizes, begin, end)


@dot_kernel
def needed_products(
    starts: IndexArray,
    along: IndexArray,
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

    ``starts`` and ``along`` list the inputs that are needed, as `sort_by_place` leaves them; ``delta`` and
    ``weight`` lie as in `add_weight_gradient`; ``out`` [rows, C*H*W] is overwritten, zero where nobody needs it. A
    product's bits do not depend on which others are needed.
    """
    groups, taps, width, outputs = shape
    height, image = rows.shape
    columns = ptr.size - 1
    pixels = delta.shape[1] // (groups * outputs)
    tap_row = weight.size // height
    apart = taps * outputs
    inputs = tap_row // (groups * apart)
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
                            channel = along[np.uintp(j)] + (g - x) * inputs
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
