"""Convolution as a matrix product: padded images, products tile by tile, and what each tap sees.

Inside, images lie with their channels innermost, split into groups: ``[group, y, x, channel]``; outside, rows are
row-major [C, H, W].
"""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import kernel
from snnsim.kernels.lanes import LANES, SLACK, TILE_VECTORS, add_tile, transpose

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int32]
CountArray = NDArray[np.int64]

NIL = np.float32(0)
ONE = np.float32(1)


@kernel
def add_products(
    indptr: CountArray,
    indices: IndexArray,
    values: FloatArray,
    x: FloatArray,
    padded_of: IndexArray,
    image: FloatArray,
    groups: int,
    tiles: IndexArray,
    steps: tuple[int, int, int, int, int, int, int],
    vectors: int,
    b: FloatArray,
    b_apart: tuple[int, int, int],
    out: FloatArray,
    bias: FloatArray,
    current: FloatArray,
) -> None:
    """Add products tile by tile: to ``out``, for every group of a row's image, those with ``b``.

    The rows are those of ``x`` [rows, N], or buckets of events where that is empty. Each is written as a padded image,
    into ``image``, of which ``padded_of`` [N] are the places; where that is empty, x is images already. ``tiles`` [n,
    5] and ``steps`` as `snnsim.layers.tiles.Tiles` has them; ``vectors`` are in a row of the result. ``b_apart`` says
    how far apart b's rows, groups and blocks of columns lie; 0 where all rows share one. ``b`` and ``out`` are flat,
    with `lanes.SLACK` numbers behind their last. ``out`` is one row's, and goes with ``bias`` to ``current`` [rows,
    channels * pixels]; where that is empty, it is the sum over all rows.
    """
    out_row, a_row, a_outer, a_inner, b_outer, b_inner, inner = steps
    graded, events, padded = values.size > 0, x.size == 0, padded_of.size > 0
    a = image if padded else x.reshape(-1)
    rows, size = (indptr.size - 1 if events else x.shape[0]), (image.size if padded else x.shape[1]) // groups
    out_size = (out.size - SLACK) // groups
    outputs = bias.size // groups
    apart = vectors * LANES
    pixels = out_size // apart
    for r in range(rows):
        from_row = 0
        if not padded:
            from_row = r * x.shape[1]
        else:
            for k in range(image.size):
                image[k] = NIL
            if events:
                for j in range(indptr[r], indptr[r + 1]):
                    image[np.uint32(padded_of[np.uint32(indices[j])])] = values[j] if graded else ONE
            else:
                for i in range(padded_of.size):
                    image[np.uint32(padded_of[i])] = x[r, i]
        if current.size > 0:
            for k in range(out.size):
                out[k] = NIL
        for g in range(groups):
            from_a = from_row + g * size
            for k in range(0, vectors, TILE_VECTORS):
                from_b = r * b_apart[0] + g * b_apart[1] + (k // TILE_VECTORS) * b_apart[2]
                to = g * out_size + k * LANES
                part = min(TILE_VECTORS, vectors - k)
                for n in range(tiles.shape[0]):
                    add_tile(
                        out,
                        to + tiles[n, 0],
                        out_row,
                        tiles[n, 1],
                        part,
                        a,
                        from_a + tiles[n, 2],
                        a_row,
                        a_outer,
                        a_inner,
                        b,
                        from_b + tiles[n, 3],
                        b_outer,
                        b_inner,
                        tiles[n, 4],
                        inner,
                    )
            if current.size > 0:
                to = g * pixels * outputs
                transpose(out, g * out_size, apart, pixels, outputs, bias, g * outputs, current[r], to, pixels)


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

    For images of few channels: what is contiguous are rows of pixels.
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
