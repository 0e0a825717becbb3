"""Vector loops of products and of convolutions: sums that stay in registers. See `snnsim.kernels.writer`.

All arrays are flat. Vectors at the end of a row are loaded and stored whole: an array that is written has `SLACK`
numbers more than it needs, and what lies behind a row is written back as it was. Products and sums are fused where the
machine can.
"""

from typing import Any

from snnsim.kernels.writer import DOUBLE_VECTOR, INDEX, VECTOR, WIDE, Writer, written
from snnsim.kernels.writer import LANES as LANES

SLACK = 16
# Vectors of a block of columns that one call of `add_rows` takes at most: twelve of sixteen registers.
BLOCK = 12
# And of `gather_rows`, which keeps two sums.
GATHER_BLOCK = 4
# A tile of a product: rows and vectors of its result that stay in registers. Two vectors of a row are one of double
# width: one register where there are such, which eight rows keep busy (Zen 4: 57 G multiply-adds/s, six rows of two
# vectors 51), else two, and six rows then take twelve of sixteen.
TILE_ROWS, TILE_VECTORS = 8 if WIDE else 6, 2


def _event(writer: Writer, j: Any) -> tuple[Any, Any]:
    """Return a pointer to an event's row of the table, and its size in all lanes."""
    builder, given = writer.builder, writer.given
    index = builder.zext(builder.load(writer.at("indices", j)), INDEX)
    row = writer.at("table", given["table_at"], builder.mul(index, given["stride"]))
    return row, writer.spread(builder.load(writer.at("sizes", j)))


def _add_rows(writer: Writer) -> None:
    builder, given = writer.builder, writer.given
    for count in writer.cases(writer.vectors(given["columns"]), BLOCK):
        out, masks = writer.at("row", given["row_at"]), writer.masks(given["columns"], count)
        totals = writer.variables([writer.load(out, k) for k in range(count)])
        with writer.loop(given["begin"], given["end"]) as j:
            row, size = _event(writer, j)
            for k, total in enumerate(totals):
                builder.store(writer.fused(size, writer.load(row, k, masks[k]), builder.load(total)), total)
        for k, total in enumerate(totals):
            writer.store(builder.load(total), out, k)


def _gather_rows(writer: Writer) -> None:
    builder, given = writer.builder, writer.given

    def add(j: Any, start: Any, totals: list[Any]) -> None:
        index = builder.zext(builder.load(writer.at("indices", j)), INDEX)
        row = writer.at("table", given["table_at"], builder.mul(index, given["stride"]), start)
        size = builder.load(writer.at("sizes", j))
        for total, (at, kind) in zip(totals, parts, strict=True):
            vector = writer.load(writer.behind(row, INDEX(at)), kind=kind)
            builder.store(writer.fused(writer.spread(size, kind.count), vector, builder.load(total)), total)

    for count in writer.cases(given["vectors"], GATHER_BLOCK):
        # Where the vectors of a row begin, in pairs.
        parts = [(k * LANES, DOUBLE_VECTOR if k + 1 < count else VECTOR) for k in range(0, count, 2)]
        outs = [writer.at("row", given["row_at"], INDEX(at)) for at, _ in parts]
        # Two sums, of every other event: one alone would wait for itself.
        first = writer.variables([writer.load(out, kind=kind) for out, (_, kind) in zip(outs, parts, strict=True)])
        pair = [first, writer.variables([kind([0.0] * kind.count) for _, kind in parts])]
        with writer.loop(INDEX(0), given["count"]) as p:
            place = writer.at("places", given["place_at"], builder.mul(p, given["place_step"]))
            begin = builder.zext(builder.load(place), INDEX)
            end = builder.zext(builder.load(builder.gep(place, [given["span"]])), INDEX)
            start = builder.mul(p, given["table_step"])
            odd = builder.and_(builder.sub(end, begin), INDEX(1))
            with writer.loop(begin, builder.sub(end, odd), 2) as j:
                for offset, totals in enumerate(pair):
                    add(builder.add(j, INDEX(offset)), start, totals)
            with builder.if_then(builder.icmp_signed("!=", odd, INDEX(0))):
                add(builder.sub(end, INDEX(1)), start, first)
        for out, one, other in zip(outs, *pair, strict=True):
            writer.store(builder.fadd(builder.load(one), builder.load(other)), out)


def _add_tile(writer: Writer) -> None:
    for vectors in writer.cases(writer.given["vectors"], TILE_VECTORS):
        for rows in writer.cases(writer.given["rows"], TILE_ROWS):
            _add_tile_of(writer, rows, VECTOR if vectors == 1 else DOUBLE_VECTOR)


def _add_tile_of(writer: Writer, rows: int, kind: Any) -> None:
    builder, given = writer.builder, writer.given
    outs = [writer.at("out", given["out_at"], builder.mul(INDEX(i), given["out_row"])) for i in range(rows)]
    totals = writer.variables([writer.load(out, kind=kind) for out in outs])
    with writer.loop(INDEX(0), given["outer"]) as p:
        a = writer.at("a", given["a_at"], builder.mul(p, given["a_outer"]))
        b = writer.at("b", given["b_at"], builder.mul(p, given["b_outer"]))
        with writer.loop(INDEX(0), given["inner"]) as q:
            along = builder.gep(a, [builder.mul(q, given["a_inner"])])
            columns = writer.load(builder.gep(b, [builder.mul(q, given["b_inner"])]), kind=kind)
            for i, total in enumerate(totals):
                factor = builder.load(builder.gep(along, [builder.mul(INDEX(i), given["a_row"])]))
                factors = writer.spread(factor, kind.count)
                builder.store(writer.fused(factors, columns, builder.load(total)), total)
    # Upwards: what a row's vector puts behind its end, the next row overwrites.
    for out, total in zip(outs, totals, strict=True):
        writer.store(builder.load(total), out)


def _transpose(writer: Writer) -> None:
    builder, given = writer.builder, writer.given
    rows, columns = given["rows"], given["columns"]

    def out(row: Any, column: Any) -> Any:
        return writer.at("out", given["out_at"], builder.mul(column, given["out_apart"]), row)

    def source(row: Any, column: Any) -> Any:
        return writer.at("source", given["source_at"], builder.mul(row, given["apart"]), column)

    def up_to(count: Any, at: Any) -> Any:
        last = builder.sub(count, INDEX(LANES))
        return builder.select(builder.icmp_signed("<", at, last), at, last)

    def fit(count: Any) -> Any:
        return builder.icmp_signed(">=", count, INDEX(LANES))

    with builder.if_else(builder.and_(fit(rows), fit(columns))) as (large, small):
        with large, writer.loop(INDEX(0), columns, LANES) as k:
            # The last block of either way takes again what the one before has taken.
            k = up_to(columns, k)
            bias = writer.load(writer.at("bias", given["bias_at"], k))
            with writer.loop(INDEX(0), rows, LANES) as p:
                p = up_to(rows, p)
                block = [writer.load(source(builder.add(p, INDEX(i)), k)) for i in range(LANES)]
                block = writer.transposed([builder.fadd(vector, bias) for vector in block])
                for i, vector in enumerate(block):
                    writer.store(vector, out(p, builder.add(k, INDEX(i))))
        with small, writer.loop(INDEX(0), columns) as k:
            bias = builder.load(writer.at("bias", given["bias_at"], k))
            with writer.loop(INDEX(0), rows) as p:
                builder.store(builder.fadd(builder.load(source(p, k)), bias), out(p, k))


def _copy_panel(writer: Writer) -> None:
    builder, given = writer.builder, writer.given

    def copy(masks: list[Any]) -> None:
        with writer.loop(INDEX(0), given["rows"]) as r:
            row = writer.at("table", given["table_at"], builder.mul(r, given["stride"]))
            to = writer.at("panel", builder.mul(r, INDEX(TILE_VECTORS * LANES)))
            for k, mask in enumerate(masks):
                writer.store(writer.load(row, k, mask), to, k)

    with builder.if_else(builder.icmp_signed("<", given["columns"], INDEX(TILE_VECTORS * LANES))) as (part, whole):
        with part:
            copy(writer.first_of(given["columns"], TILE_VECTORS))
        with whole:
            copy([None] * TILE_VECTORS)


# ``row += sum over events j of sizes[j] * table[indices[j]]``, for ``columns`` numbers, up to `BLOCK` vectors.
# ``table``'s rows lie ``stride`` apart from ``table_at`` on; events are ``begin`` to ``end``.
add_rows = written(
    "row[f] row_at columns table[f] table_at stride indices[i] sizes[f] begin end",
    _add_rows,
)

# `add_rows` over ``count`` ranges of events, for whole vectors, up to `GATHER_BLOCK`. Range p lies between
# ``places[at]`` and ``places[at + span]`` with ``at = place_at + p place_step``, and takes its rows from ``table_at + p
# table_step`` on.
gather_rows = written(
    "row[f] row_at vectors table[f] table_at table_step stride indices[i] sizes[f] places[i] place_at place_step "
    "span count",
    _gather_rows,
)

# ``out[i] += sum over p, q of a[i, p, q] * b[p, q]``, i up to `TILE_ROWS`, rows of up to `TILE_VECTORS` vectors.
# Element (i, p, q) of ``a`` lies at ``a_at + i a_row + p a_outer + q a_inner``, row (p, q) of ``b`` at ``b_at +
# p b_outer + q b_inner``, row i of ``out`` at ``out_at + i out_row``; p < ``outer``, q < ``inner``.
add_tile = written(
    "out[f] out_at out_row rows vectors a[f] a_at a_row a_outer a_inner b[f] b_at b_outer b_inner outer inner",
    _add_tile,
)

# ``out[k, p] = source[p, k] + bias[k]``, for p < ``rows`` and k < ``columns``; rows of ``source`` lie ``apart``, those
# of ``out`` ``out_apart``.
transpose = written("source[f] source_at apart rows columns bias[f] bias_at out[f] out_at out_apart", _transpose)

# Copy some columns of a table, its rows ``stride`` apart from ``table_at`` on, into a panel: rows of `TILE_VECTORS`
# vectors, zero where there is no column.
copy_panel = written("panel[f] table[f] table_at stride rows columns", _copy_panel)
