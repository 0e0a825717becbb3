"""A convolution's products cut into tiles: its output, its input's gradient and its weights' gradient.

No matrix of columns is written out: a tile's factors are read where they lie, from images with their channels
innermost. See `snnsim.kernels.lanes.add_tile`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from snnsim.kernels.lanes import LANES, TILE_ROWS, TILE_VECTORS
from snnsim.layers.window import IndexArray, Window

PANEL = TILE_VECTORS * LANES


@dataclass(frozen=True, eq=False)
class Tiles:
    """How one image's product is cut.

    Attributes
    ----------
    tiles : int32 [n, 5]
        Where a tile begins in the result; its rows; where its factors begin in a and b; how often the outer sum goes.
    steps : seven int
        Distances: of rows in the result and in a; in a and in b of the outer and the inner sum's terms (a's two, then
        b's two); and how often the inner sum goes.
    """

    tiles: IndexArray
    steps: tuple[int, int, int, int, int, int, int]


def whole(count: int, size: int = LANES) -> int:
    """Return a number of columns rounded up to whole vectors, or panels."""
    return -(-count // size) * size


def _cut(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a range into as few parts as there can be, alike in size: (begin, size)."""
    parts = -(-(end - begin) // TILE_ROWS)
    bounds = [begin + (end - begin) * k // parts for k in range(parts + 1)]
    return ((a, b - a) for a, b in pairwise(bounds))


def _tiles(rows: list[tuple[int, int, int, int, int]]) -> IndexArray:
    return np.array(rows, np.int32).reshape(-1, 5)


def forward_tiles(window: Window, channels: int, outputs: int) -> Tiles:
    """Cut ``out [oy, ox, output] = sum image [y, x, c] * weight [ky, kx, c, output]``; channels of one group.

    The image is padded; weights lie in panels of columns.
    """
    (taps_y, taps_x), (_, wide), (high, width) = window.kernel, window.padded, window.out
    line, columns = wide * channels, whole(outputs)
    # Taps of a row that lie together are one sum.
    alone = 1 if window.dilation[1] == 1 else taps_x
    tiles = [
        (
            (oy * width + ox) * columns,
            size,
            oy * window.stride[0] * line + (ox * window.stride[1] + kx * window.dilation[1]) * channels,
            kx * channels * PANEL,
            taps_y,
        )
        for oy in range(high)
        for ox, size in _cut(0, width)
        for kx in range(alone)
    ]
    inner = taps_x // alone * channels
    outer = (window.dilation[0] * line, 1, taps_x * channels * PANEL, PANEL)
    return Tiles(_tiles(tiles), (columns, window.stride[1] * channels, *outer, inner))


def weight_tiles(window: Window, channels: int, outputs: int) -> Tiles:
    """Cut ``gradient [ky, kx, c, output] = sum image [y, x, c] * delta [oy, ox, output]``; channels of one group."""
    (taps_y, taps_x), (_, wide), (high, width) = window.kernel, window.padded, window.out
    line, columns = wide * channels, whole(outputs)
    run = taps_x if window.dilation[1] == 1 else 1
    tiles = [
        (
            ((ky * taps_x + kx) * channels + first) * columns,
            size,
            ky * window.dilation[0] * line + kx * window.dilation[1] * channels + first,
            0,
            high,
        )
        for ky in range(taps_y)
        for kx in range(0, taps_x, run)
        for first, size in _cut(0, run * channels)
    ]
    outer = (window.stride[0] * line, window.stride[1] * channels, width * outputs, outputs)
    return Tiles(_tiles(tiles), (columns, 1, *outer, width))


def input_tiles(window: Window, channels: int, outputs: int) -> Tiles:
    """Cut ``gradient [y, x, c] = sum delta [oy, ox, output] * weight [kx, ky, output, c]``; channels of one group.

    The image is without its padding; weights lie in panels of columns. Tap rows that reach a line lie evenly apart,
    and so do the lines of delta that they take.
    """
    (_, high, wide), (taps_y, taps_x), (_, width) = window.image, window.kernel, window.out
    columns = whole(channels)
    common = int(np.gcd(window.stride[0], window.dilation[0]))
    rows, across = window.hits(0), window.hits(1)
    tiles = []
    for y in range(high):
        reached = np.flatnonzero(rows[:, y] >= 0)
        if not reached.size:
            continue
        ky = int(reached[0])
        for kx in range(taps_x):
            (places,) = np.nonzero(across[kx] >= 0)
            if not places.size:
                continue
            x, ox = int(places[0]), int(across[kx, places[0]])
            for first, size in _cut(0, places.size):
                to = (y * wide + x + first * window.stride[1]) * columns
                at = (int(rows[ky, y]) * width + ox + first) * outputs
                tiles.append((to, size, at, (kx * taps_y + ky) * outputs * PANEL, reached.size))
    outer = (
        -(window.dilation[0] // common) * width * outputs,
        1,
        window.stride[0] // common * outputs * PANEL,
        PANEL,
    )
    return Tiles(_tiles(tiles), (window.stride[1] * columns, outputs, *outer, outputs))
