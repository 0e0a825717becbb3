"""Pools: events of one window and step merge into one; and what their gradients reach.

``ptr`` and ``windows`` say which outputs' windows an input lies in: ``windows[ptr[i]:ptr[i + 1]]``.
"""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import kernel
from snnsim.kernels.vectors import emit_counts, emit_nonzero, emit_sums, spread_pairs

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int32]
CountArray = NDArray[np.int64]

NIL = np.float32(0)
ONE = np.float32(1)

# Parts of a window that are told apart.
PARTS = np.uint32(4)


@kernel
def pool_events(
    indptr: CountArray,
    indices: IndexArray,
    values: FloatArray,
    part_of: IndexArray,
    ptr: IndexArray,
    windows: IndexArray,
    scale: np.float32,
    sums: FloatArray,
    marks: IndexArray,
    pooled_ptr: CountArray,
    pooled: IndexArray,
    sizes: FloatArray,
) -> None:
    """Add up each window's events; a sum that is not zero is one graded event, of that size times ``scale``.

    ``values`` is empty for binary events; ``part_of`` as `Window.part_of`. ``sums`` [outputs + 1] is scratch, and so is
    ``marks`` [outputs + 1 + `vectors.SLACK`], empty where windows have more than `PARTS` inputs. Written:
    ``pooled_ptr`` [rows + 1], ``pooled`` and ``sizes`` [rows * outputs + `vectors.SLACK`], of which ``pooled_ptr[-1]``
    count.
    """
    graded = values.size > 0
    bytes_of = marks.view(np.uint8)
    outputs = sums.size - 1
    total = 0
    pooled_ptr[0] = 0
    for k in range(sums.size):
        sums[k] = NIL
    for k in range(marks.size):
        marks[k] = 0
    for r in range(indptr.size - 1):
        # Unsigned indices: the compiler then leaves out the wrap-around of negative ones.
        fired = indices[indptr[r] : indptr[r + 1]]
        if not graded and part_of.size > 0 and marks.size > 0:
            # A byte for each input of a window: marks are only written, sums would wait for each other.
            for j in range(fired.size):
                bytes_of[np.uint32(part_of[np.uint32(fired[j])])] = 1
            pooled_ptr[r + 1] = total = emit_counts(marks, scale, outputs, pooled, sizes, total)
            continue
        for j in range(fired.size):
            i = np.uint32(fired[j])
            size = values[indptr[r] + j] if graded else ONE
            if part_of.size > 0:
                sums[np.uint32(part_of[i]) // PARTS] += size
            else:
                for q in range(ptr[i], ptr[i + np.uint32(1)]):
                    sums[np.uint32(windows[np.uint32(q)])] += size
        pooled_ptr[r + 1] = total = emit_sums(sums, scale, outputs, pooled, sizes, total)


@kernel
def merge_events(
    indptr: CountArray,
    indices: IndexArray,
    part_of: IndexArray,
    ptr: IndexArray,
    windows: IndexArray,
    fired: FloatArray,
    pooled_ptr: CountArray,
    pooled: IndexArray,
) -> None:
    """Write a binary event where any event lies in the window: the largest of binary values.

    ``part_of`` as `Window.part_of`; ``fired`` [outputs + 1] is scratch; written: ``pooled_ptr`` [rows + 1],
    ``pooled`` [rows * outputs + `vectors.SLACK`].
    """
    total = 0
    pooled_ptr[0] = 0
    for r in range(indptr.size - 1):
        for k in range(fired.size):
            fired[k] = NIL
        there = indices[indptr[r] : indptr[r + 1]]
        if part_of.size == 0:
            for j in range(there.size):
                i = np.uint32(there[j])
                for q in range(ptr[i], ptr[i + np.uint32(1)]):
                    fired[np.uint32(windows[np.uint32(q)])] = ONE
        else:
            for j in range(there.size):
                fired[np.uint32(part_of[np.uint32(there[j])]) // PARTS] = ONE
        pooled_ptr[r + 1] = total = emit_nonzero(fired, fired.size - 1, pooled, total)


@kernel
def merge_backward(
    indptr: CountArray,
    indices: IndexArray,
    ptr: IndexArray,
    windows: IndexArray,
    first: IndexArray,
    chosen: IndexArray,
    gradient: FloatArray,
    step_weights: FloatArray,
    result: FloatArray,
) -> None:
    """Give each window's gradient to its first event, or to its first element where there is none.

    ``first`` [outputs]; ``chosen`` [outputs] is scratch; ``gradient`` [M, S, outputs] with S = T, or 1 and then
    multiplied by ``step_weights`` [T]; ``result`` [M, T, inputs] is overwritten.
    """
    samples, steps, _ = result.shape
    same = gradient.shape[1] == 1
    for b in range(samples):
        for t in range(steps):
            r = b * steps + t
            for k in range(chosen.size):
                chosen[k] = first[k]
            # Backwards, so that the first event of a window comes last.
            for j in range(indptr[r + 1] - 1, indptr[r] - 1, -1):
                i = indices[j]
                for q in range(ptr[i], ptr[i + 1]):
                    chosen[windows[q]] = i
            target = result[b, t]
            source = gradient[b, 0 if same else t]
            for i in range(target.size):
                target[i] = NIL
            for k in range(chosen.size):
                target[chosen[k]] += source[k] * step_weights[t]


@kernel
def pool_rows(
    x: FloatArray,
    image: tuple[int, int, int],
    kernel_: tuple[int, int],
    stride: tuple[int, int],
    out: tuple[int, int],
    scale: np.float32,
    result: FloatArray,
) -> None:
    """Add up windows of dense rows [rows, C*H*W], times ``scale``."""
    channels, height, width = image
    for r in range(x.shape[0]):
        for c in range(channels):
            for oy in range(out[0]):
                for ox in range(out[1]):
                    total = NIL
                    for ky in range(kernel_[0]):
                        start = (c * height + oy * stride[0] + ky) * width + ox * stride[1]
                        for kx in range(kernel_[1]):
                            total += x[r, start + kx]
                    result[r, (c * out[0] + oy) * out[1] + ox] = total * scale


@kernel
def pool_rows_backward(
    gradient: FloatArray,
    image: tuple[int, int, int],
    kernel_: tuple[int, int],
    stride: tuple[int, int],
    out: tuple[int, int],
    scale: np.float32,
    result: FloatArray,
) -> None:
    """Spread gradients [rows, outputs] over their windows, times ``scale``.

    ``result`` is flat, [rows, C*H*W] and `vectors.SLACK` numbers behind them; all of it is overwritten.
    """
    channels, height, width = image
    apart = kernel_[0] <= stride[0] and kernel_[1] <= stride[1]
    whole = kernel_ == stride and out[0] * stride[0] == height and out[1] * stride[1] == width
    of_channel = out[0] * out[1]
    flat = gradient.reshape(-1)
    for k in range(gradient.shape[0] * channels):
        to = k * height * width
        target = result[to : to + height * width]
        if kernel_ == stride and kernel_[1] == 2:
            # The usual pool. What lies in no window comes after, since vectors are written whole.
            spread_pairs(flat, k * of_channel, out[1], out[0], scale, result, to, width, kernel_[0])
            lines = out[0] * stride[0]
            for y in range(lines):
                for i in range(y * width + 2 * out[1], (y + 1) * width):
                    target[i] = NIL
            for i in range(lines * width, target.size):
                target[i] = NIL
            continue
        if not whole:
            for i in range(target.size):
                target[i] = NIL
        for oy in range(out[0]):
            start = k * of_channel + oy * out[1]
            source = flat[start : start + out[1]]
            for ky in range(kernel_[0]):
                start = (oy * stride[0] + ky) * width
                line = target[start : start + width]
                if not apart:
                    for kx in range(kernel_[1]):
                        for ox in range(out[1]):
                            line[np.uint32(ox * stride[1] + kx)] += source[ox] * scale
                elif ky == 0:
                    for kx in range(kernel_[1]):
                        for ox in range(out[1]):
                            line[np.uint32(ox * stride[1] + kx)] = source[ox] * scale
                else:
                    above = target[start - width : start]
                    for x in range(width):
                        line[x] = above[x]


@kernel
def _largest_of_four(above: FloatArray, below: FloatArray, first: int, largest: FloatArray, chosen: IndexArray) -> None:
    """Write the largest of each 2 x 2 window of two lines, and where it is, counted from ``first``.

    A constant stride and no branch: the compiler vectorises it.
    """
    width = np.int32(above.size)
    for ox in range(largest.size):
        left, right = np.uintp(2 * ox), np.uintp(2 * ox + 1)
        best, place = above[left], np.int32(0)
        place = np.int32(1) if above[right] > best else place
        best = above[right] if above[right] > best else best
        place = width if below[left] > best else place
        best = below[left] if below[left] > best else best
        place = width + np.int32(1) if below[right] > best else place
        best = below[right] if below[right] > best else best
        largest[ox] = best
        chosen[ox] = np.int32(first + 2 * ox) + place


@kernel
def max_rows(
    x: FloatArray,
    image: tuple[int, int, int],
    kernel_: tuple[int, int],
    stride: tuple[int, int],
    out: tuple[int, int],
    result: FloatArray,
    chosen: IndexArray,
) -> None:
    """Write the largest value of each window of dense rows [rows, C*H*W], and which it is: of equals the first.

    ``result`` and ``chosen`` [rows, outputs].
    """
    channels, height, width = image
    usual = kernel_ == (2, 2) and stride == (2, 2)
    for r in range(x.shape[0]):
        for c in range(channels):
            for oy in range(out[0]):
                if usual:
                    first = (c * height + 2 * oy) * width
                    above, below = x[r, first : first + width], x[r, first + width : first + 2 * width]
                    k = (c * out[0] + oy) * out[1]
                    _largest_of_four(above, below, first, result[r, k : k + out[1]], chosen[r, k : k + out[1]])
                    continue
                for ox in range(out[1]):
                    best = (c * height + oy * stride[0]) * width + ox * stride[1]
                    for ky in range(kernel_[0]):
                        start = (c * height + oy * stride[0] + ky) * width + ox * stride[1]
                        for i in range(start, start + kernel_[1]):
                            if x[r, i] > x[r, best]:
                                best = i
                    k = (c * out[0] + oy) * out[1] + ox
                    result[r, k] = x[r, best]
                    chosen[r, k] = best


@kernel
def max_rows_backward(chosen: IndexArray, gradient: FloatArray, result: FloatArray) -> None:
    """Give each window's gradient [rows, outputs] to the chosen element; ``result`` [rows, inputs] is overwritten."""
    for r in range(result.shape[0]):
        target = result[r]
        for i in range(target.size):
            target[i] = NIL
        for k in range(chosen.shape[1]):
            target[chosen[r, k]] += gradient[r, k]


@kernel
def collect(x: FloatArray, indptr: CountArray, indices: IndexArray, values: FloatArray) -> None:
    """Write dense rows [rows, N] as graded events: their values that are not zero.

    ``indices`` [at least rows * N + `vectors.SLACK`], ``values`` [at least rows * N].
    """
    total = 0
    indptr[0] = 0
    for r in range(x.shape[0]):
        row = x[r]
        end = emit_nonzero(row, row.size, indices, total)
        for j in range(total, end):
            values[j] = row[indices[j]]
        indptr[r + 1] = total = end
