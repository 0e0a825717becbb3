"""Vector loops over rows of a table and of a matrix: see `snnsim.kernels.writer`. All arrays are flat."""

from collections.abc import Callable, Sequence
from typing import Any

from snnsim.kernels.writer import INDEX, LANES, NOTHING, Writer, written
from snnsim.kernels.writer import SLACK as SLACK

# Columns of a block of `row_adder`. Measured on one core (Zen 3, AVX2) against 16, 64 and 128: four vectors of eight
# keep a pass's indices worth loading; 784 rows take 100 KB, which the L2 cache holds beside what else streams through.
WIDTH = 32

# Samples that `add_products` takes together, and vectors of columns: twelve sums and three vectors of weights fill the
# sixteen registers of AVX2, and are enough to keep both of its multipliers busy.
TOGETHER = 4
_VECTORS = 3


def row_adder(passes: Sequence[int]) -> Callable[..., None]:
    """Return ``add(first, first_at, out, out_at, table, table_at, stride, columns, indices, begin, end)``.

    ``out = first + sum of rows indices[begin:end]``, for ``columns`` (1 to `WIDTH`) numbers of flat arrays from the
    given places on. ``passes``: how many rows are taken at a time, as long as there are so many; 1 is the last.
    """

    def write(writer: Writer) -> None:
        builder, columns = writer.builder, writer.given["columns"]
        with builder.if_else(builder.icmp_signed("==", columns, INDEX(WIDTH))) as (whole, part):
            with whole:
                _add_rows(writer, [None] * (WIDTH // LANES), passes)
            with part:
                half = WIDTH // LANES // 2
                with builder.if_else(builder.icmp_signed("<=", columns, INDEX(half * LANES))) as (narrow, wide):
                    with narrow:
                        _add_rows(writer, writer.first_of(columns, half), passes)
                    with wide:
                        _add_rows(writer, writer.first_of(columns, 2 * half), passes)

    return written(
        "first[f] first_at out[f] out_at table[f] table_at stride columns indices[i] begin end",
        write,
    )


def _add_rows(writer: Writer, masks: Sequence[Any], passes: Sequence[int]) -> None:
    builder, given = writer.builder, writer.given

    def row(j: Any) -> Any:
        index = builder.zext(builder.load(writer.at("indices", j)), INDEX)
        return writer.at("table", given["table_at"], builder.mul(index, given["stride"]))

    first, out = writer.at("first", given["first_at"]), writer.at("out", given["out_at"])
    totals = writer.variables([writer.load(first, k, mask) for k, mask in enumerate(masks)])
    begin, end = given["begin"], given["end"]
    for size in passes:
        stop = builder.add(begin, builder.and_(builder.sub(end, begin), INDEX(-size)))
        with writer.loop(begin, stop, size) as j:
            rows = [row(builder.add(j, INDEX(offset))) for offset in range(size)]
            for k, total in enumerate(totals):
                parts = [writer.load(one, k, masks[k]) for one in rows]
                while len(parts) > 1:
                    parts = [builder.fadd(a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
                builder.store(builder.fadd(builder.load(total), parts[0]), total)
        begin = stop
    for k, (total, mask) in enumerate(zip(totals, masks, strict=True)):
        writer.store(builder.load(total), out, k, mask)


def _add_products(writer: Writer) -> None:
    builder, given = writer.builder, writer.given
    block = _VECTORS * LANES
    whole = builder.mul(builder.sdiv(given["n"], INDEX(block)), INDEX(block))
    rest = builder.sub(given["n"], whole)
    for present in writer.cases(given["samples"], TOGETHER):
        rows = [writer.at("factors", builder.mul(given["factors_stride"], INDEX(s))) for s in range(present)]
        sums = [writer.at("out", builder.mul(given["out_stride"], INDEX(s))) for s in range(present)]
        with writer.loop(INDEX(0), whole, block) as at:
            _multiply(writer, rows, sums, at, [None] * _VECTORS)
        with builder.if_then(builder.icmp_signed("<", INDEX(0), rest)):
            _multiply(writer, rows, sums, whole, writer.first_of(rest, _VECTORS))


def _multiply(writer: Writer, rows: Sequence[Any], sums: Sequence[Any], at: Any, masks: Sequence[Any]) -> None:
    """Add the products of some rows with a matrix [n, n] in some vectors of columns from ``at`` on."""
    builder, n = writer.builder, writer.given["n"]
    sums = [builder.gep(row, [at]) for row in sums]
    totals = [writer.variables([writer.load(row, k, mask) for k, mask in enumerate(masks)]) for row in sums]
    with writer.loop(INDEX(0), n) as j:
        line = writer.at("weight", builder.add(builder.mul(j, n), at))
        weights = [writer.load(line, k, mask) for k, mask in enumerate(masks)]
        for row, of_row in zip(rows, totals, strict=True):
            factor = writer.spread(builder.load(builder.gep(row, [j])))
            for total, vector in zip(of_row, weights, strict=True):
                builder.store(writer.fused(factor, vector, builder.load(total)), total)
    for row, of_row in zip(sums, totals, strict=True):
        for k, total in enumerate(of_row):
            writer.store(builder.load(total), row, k, masks[k])


# Vectors times a matrix: ``out[s] += sum_k factors[s, k] * weight[k]`` for 1 to `TOGETHER` samples; ``weight`` [n, n],
# a sample's n numbers the strides apart. A sample's bits do not depend on the others: k goes up, one column a lane.
add_products = written("factors[f] factors_stride weight[f] out[f] out_stride n samples", _add_products)


def _emit_nonzero(writer: Writer) -> Any:
    builder, events = writer.builder, writer.events()

    def some(at: Any, mask: Any) -> None:
        there = builder.fcmp_unordered("!=", writer.load(writer.at("row", at), 0, mask), NOTHING)
        events.append(writer.bits(there), at)

    writer.by_vectors(writer.given["n"], some)
    return events.end


# Write which of a row's n numbers are not zero from ``indices[total]`` on, in order; return the end. Up to
# `SLACK` places behind it are overwritten.
emit_nonzero = written("row[f] n indices[i] total", _emit_nonzero, returns=True)
