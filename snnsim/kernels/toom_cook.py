"""Convolutions by fewer products, after Toom (1963) and Cook (1966), as in Lavin and Gray (2016) for networks.

A line of pixels and a line of taps are polynomials, and what each pixel adds to the places that its taps reach is their
product. It is known from its values at as many points as it has coefficients, and each of these takes one product. Both
are cut into blocks, pixels into two and taps into three or two, again and again; the points are 0, 1, -1 and infinity,
so that nothing but sums lies before and behind the products, and rounding stays that of sums.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import kernel
from snnsim.kernels.lanes import LANES, TILE_ROWS, TILE_VECTORS, add_tile, transpose
from snnsim.kernels.writer import INDEX, Writer, written

FloatArray = NDArray[np.float32]

NIL = np.float32(0)
PANEL = TILE_VECTORS * LANES
# Numbers between what would otherwise lie in the same sets of a cache.
PAD = 16
# Into how many blocks a line of taps is cut, level by level.
BLOCKS: dict[int, tuple[int, ...]] = {3: (3,), 5: (3, 2)}


def edge(taps: int) -> int:
    """Return how many pixels a tile has in a line."""
    return 1 << len(BLOCKS[taps])


def points(taps: int) -> int:
    """Return at how many points polynomials are multiplied."""
    return math.prod(blocks + 1 for blocks in BLOCKS[taps])


def tap_values(taps: int) -> FloatArray:
    """Return the matrix that takes a line of taps to its values, halved at the points 1 and -1 where both are taken."""
    parts = [np.eye(math.prod(BLOCKS[taps]), taps, dtype=np.float32)]
    for blocks in BLOCKS[taps]:
        parts = [value for part in parts for value in _tap_values_of(np.split(part, blocks))]
    return np.concatenate(parts)


def _tap_values_of(blocks: list[FloatArray]) -> list[FloatArray]:
    if len(blocks) == 2:
        return [blocks[0], blocks[0] + blocks[1], blocks[1]]
    even, half = blocks[0] + blocks[2], np.float32(0.5)
    return [blocks[0], half * (even + blocks[1]), half * (even - blocks[1]), blocks[2]]


def _values(builder: Any, line: list[Any], levels: tuple[int, ...]) -> list[Any]:
    """Write the values of a line of pixels at all points."""
    if not levels:
        return line
    low, high = line[: len(line) // 2], line[len(line) // 2 :]
    at = [low, [builder.fadd(a, b) for a, b in zip(low, high, strict=True)]]
    if levels[0] == 3:
        at.append([builder.fsub(a, b) for a, b in zip(low, high, strict=True)])
    return [value for part in [*at, high] for value in _values(builder, part, levels[1:])]


def _coefficients(builder: Any, values: list[Any], levels: tuple[int, ...]) -> list[Any]:
    """Write the coefficients of a product from its values at all points."""
    if not levels:
        return values
    size = len(values) // (levels[0] + 1)
    at = [_coefficients(builder, values[k : k + size], levels[1:]) for k in range(0, len(values), size)]

    def sums(a: list[Any], b: list[Any]) -> list[Any]:
        return [builder.fadd(x, y) for x, y in zip(a, b, strict=True)]

    def differences(a: list[Any], b: list[Any]) -> list[Any]:
        return [builder.fsub(x, y) for x, y in zip(a, b, strict=True)]

    if levels[0] == 2:
        blocks = [at[0], differences(differences(at[1], at[0]), at[2]), at[2]]
    else:
        blocks = [at[0], differences(differences(at[1], at[2]), at[3]), differences(sums(at[1], at[2]), at[0]), at[3]]
    # Blocks are longer than they lie apart.
    apart = (len(blocks[0]) + 1) // 2
    result: list[Any] = [None] * (apart * (len(blocks) - 1) + len(blocks[0]))
    for k, block in enumerate(blocks):
        for place, coefficient in enumerate(block, k * apart):
            result[place] = coefficient if result[place] is None else builder.fadd(result[place], coefficient)
    return result


def _evaluate(writer: Writer) -> None:
    builder, given = writer.builder, writer.given

    def of(taps: int) -> None:
        with writer.loop(INDEX(0), given["depth"], LANES) as at:
            line = [_loaded(writer, "pixels", x, at) for x in range(edge(taps))]
            for k, value in enumerate(_values(builder, line, BLOCKS[taps])):
                writer.store(value, _place(writer, "values", k, at))

    _by_taps(writer, of)


def _interpolate(writer: Writer, *, add: bool) -> None:
    builder, given = writer.builder, writer.given

    def of(taps: int) -> None:
        with writer.loop(INDEX(0), given["depth"], LANES) as at:
            values = [_loaded(writer, "values", k, at) for k in range(points(taps))]
            for x, place in enumerate(_coefficients(builder, values, BLOCKS[taps])[: edge(taps) + taps - 1]):
                out = _place(writer, "out", x, at)
                writer.store(builder.fadd(writer.load(out), place) if add else place, out)

    _by_taps(writer, of)


def _place(writer: Writer, name: str, k: int, at: Any) -> Any:
    apart = writer.builder.mul(INDEX(k), writer.given[f"{name}_apart"])
    return writer.at(name, writer.given[f"{name}_at"], apart, at)


def _loaded(writer: Writer, name: str, k: int, at: Any) -> Any:
    return writer.load(_place(writer, name, k, at))


def _by_taps(writer: Writer, of: Callable[[int], None]) -> None:
    """Write what is done for each number of taps."""
    few, many = BLOCKS
    builder = writer.builder
    with builder.if_else(builder.icmp_signed("==", writer.given["taps"], INDEX(few))) as (small, large):
        with small:
            of(few)
        with large:
            of(many)


# Write the values of lines of ``pixels`` at all points, for ``depth`` lines side by side, in whole vectors. Pixels of a
# line, and values, lie ``.._apart``.
_evaluate_lines = written("pixels[f] pixels_at pixels_apart values[f] values_at values_apart depth taps", _evaluate)

# And back: write, or add, the `edge` + ``taps`` - 1 pixels of lines that have these ``values``.
_INTERPOLATED = "values[f] values_at values_apart out[f] out_at out_apart depth taps"
_interpolate_lines = written(_INTERPOLATED, partial(_interpolate, add=False))
_add_interpolated = written(_INTERPOLATED, partial(_interpolate, add=True))


@kernel
def _evaluate_tile(
    delta: FloatArray,
    size: tuple[int, int, int],
    taps: int,
    edge: int,
    corner: tuple[int, int],
    tile: FloatArray,
    lines: FloatArray,
    lines_at: int,
    lines_apart: tuple[int, int],
) -> None:
    """Write the lines of the tile that begins at ``corner`` at the points of x. See `input_gradient`."""
    high, wide, outputs = size
    top, left = corner
    deep = (outputs + LANES - 1) // LANES * LANES
    # It is read where it lies, or from a copy that is whole.
    source, begin, apart, below = delta, (top * wide + left) * outputs, outputs, wide * outputs
    if deep > outputs or top + edge > high or left + edge > wide:
        source, begin, apart, below = tile, 0, deep, edge * deep
        for p in range(edge * edge):
            y, x = top + p // edge, left + p % edge
            pixel = tile[p * deep : p * deep + outputs]
            if y < high and x < wide:
                pixel[:] = delta[(y * wide + x) * outputs : (y * wide + x + 1) * outputs]
            else:
                pixel[:] = NIL
    for y in range(edge):
        at = lines_at + y * lines_apart[0]
        _evaluate_lines(source, begin + y * below, apart, lines, at, lines_apart[1], deep, taps)


@kernel
def _multiply(
    values: FloatArray,
    outputs: int,
    weight: FloatArray,
    first: int,
    count: int,
    tiles: int,
    vectors: int,
    products: FloatArray,
) -> None:
    """Add to ``products`` [count, T, vectors] those of ``values`` [count, T, outputs] with the weights of their points.

    These lie at points ``first`` and on; T is `TILE_ROWS`, of which ``tiles`` are there.
    """
    deep, columns = (outputs + LANES - 1) // LANES * LANES, vectors * LANES
    panels = (vectors + TILE_VECTORS - 1) // TILE_VECTORS
    for p in range(count):
        for k in range(panels):
            add_tile(
                products,
                p * TILE_ROWS * columns + k * PANEL,
                columns,
                tiles,
                min(TILE_VECTORS, vectors - k * TILE_VECTORS),
                values,
                p * TILE_ROWS * deep,
                deep,
                0,
                1,
                weight,
                ((first + p) * panels + k) * outputs * PANEL,
                0,
                PANEL,
                1,
                outputs,
            )


@kernel
def input_gradient(
    delta: FloatArray,
    size: tuple[int, int, int],
    taps: int,
    cut: tuple[int, int],
    weight: FloatArray,
    before: tuple[int, int],
    image: tuple[int, int, int],
    scratch: tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray],
    none: FloatArray,
    result: FloatArray,
) -> None:
    """Write the input's gradient of a convolution with ``taps`` x ``taps`` kernels and stride 1: [rows, C*H*W].

    ``delta`` [rows, y*x*outputs], of which ``size`` is (y, x, outputs); it is cut into tiles of ``edge`` x ``edge``
    pixels, with ``side`` x ``side`` points: ``cut``. ``weight``, flat, holds the taps' values [points of x, points of
    y, panels of channels, outputs, PANEL]; ``before`` the padding, ``image`` the shape (C, H, W); ``none`` zeros, one a
    channel and up to whole vectors. A result's bits depend on its row alone.

    ``scratch``, flat, for `TILE_ROWS` tiles T with whole vectors of outputs O and channels C: a tile [edge, edge, O];
    its lines at the points of x [side, edge, T, O], each of the first `PAD` longer; one of these at the points of y
    [side, T, O]; products there [side, T, C]; these as pixels of y [edge + taps - 1, side, T, C], each of the first
    `PAD` longer; a row's gradient in whole tiles [y, x, C]. `lanes.SLACK` more of each.
    """
    high, wide, outputs = size
    edge, side = cut
    channels, height, width = image
    tile, lines, values, products, pixels, full = scratch
    down, across = (high + edge - 1) // edge, (wide + edge - 1) // edge
    deep, columns = (outputs + LANES - 1) // LANES * LANES, (channels + LANES - 1) // LANES * LANES
    of_pixel, of_gradient = TILE_ROWS * deep, TILE_ROWS * columns
    of_lines, of_pixels = edge * of_pixel + PAD, side * of_gradient + PAD
    line = (across * edge + taps - 1) * columns
    each, last = down * across, delta.shape[0] * down * across
    for first in range(0, last, TILE_ROWS):
        tiles = min(TILE_ROWS, last - first)
        for i in range(tiles):
            row, k = (first + i) // each, (first + i) % each
            corner = k // across * edge, k % across * edge
            _evaluate_tile(delta[row], size, taps, edge, corner, tile, lines, i * deep, (of_pixel, of_lines))
        for x in range(side):
            _evaluate_lines(lines, x * of_lines, of_pixel, values, 0, of_pixel, of_pixel, taps)
            products[:] = NIL
            _multiply(values, outputs, weight, x * side, side, tiles, columns // LANES, products)
            _interpolate_lines(products, 0, of_gradient, pixels, x * of_gradient, of_pixels, of_gradient, taps)
        for i in range(tiles):
            row, k = (first + i) // each, (first + i) % each
            if k == 0:
                full[:] = NIL
            to = k // across * edge * line + k % across * edge * columns
            for y in range(edge + taps - 1):
                at = y * of_pixels + i * columns
                _add_interpolated(pixels, at, of_gradient, full, to + y * line, columns, columns, taps)
            if k == each - 1:
                # Lines without padding are one.
                parts = 1 if line == width * columns else height
                for y in range(parts):
                    at = (y + before[0]) * line + before[1] * columns
                    count = height // parts * width
                    transpose(full, at, columns, count, channels, none, 0, result[row], y * width, height * width)
