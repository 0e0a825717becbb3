"""Vector loops of convolutions, written in the compiler's own language: sums that stay in registers.

What Numba makes of the same loops asks before each, a few hundred numbers long, whether its arrays overlap, and carries
every sum through memory. All arrays are flat; a vector has eight lanes. Vectors at the end of a row are loaded and
stored whole: an array that is written has `SLACK` numbers more than it needs, and what lies behind a row is written
back as it was. Products and sums are fused where the machine can. Numba's cache of a kernel that uses these does not
notice an edit here.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LANES = 8
SLACK = 16
# Vectors of a block of columns that one call of `add_rows` takes at most.
BLOCK = 8
# And of `gather_rows`, which keeps two sums.
GATHER_BLOCK = 4
# A tile of a product: rows and vectors of its result that stay in registers, twelve of sixteen.
TILE_ROWS, TILE_VECTORS = 6, 2

_code: Any = cgutils  # has no types
_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_INDEX = ir.IntType(64)
_MASK = ir.VectorType(_INDEX, LANES)


class _Writer:
    """Writes code over the arrays and numbers of one call, by their names."""

    def __init__(self, context: Any, builder: Any, kinds: Any, names: str, values: Any) -> None:
        self.builder = builder
        self.given: dict[str, Any] = {}
        for name, kind, value in zip(names.split(), kinds, values, strict=True):
            array = isinstance(kind, types.Array)
            self.given[name] = _code.create_struct_proxy(kind)(context, builder, value).data if array else value

    def at(self, array: str, *places: Any) -> Any:
        """Return a pointer into an array."""
        pointer = self.given[array]
        for place in places:
            pointer = self.builder.gep(pointer, [place])
        return pointer

    def load(self, pointer: Any, k: int = 0, mask: Any = None) -> Any:
        """Return the k-th vector behind a pointer; lanes outside the mask are zero."""
        pointer = self._vector(pointer, k)
        if mask is None:
            return self.builder.load(pointer, align=4)
        kind = ir.FunctionType(_VECTOR, [_VECTOR.as_pointer(), ir.IntType(32), mask.type, _VECTOR])
        load = _code.get_or_insert_function(self.builder.module, kind, f"llvm.masked.load.v{LANES}f32.p0")
        return self.builder.call(load, [pointer, ir.IntType(32)(4), mask, _VECTOR([0.0] * LANES)])

    def store(self, vector: Any, pointer: Any, k: int) -> None:
        """Write the k-th vector behind a pointer."""
        self.builder.store(vector, self._vector(pointer, k), align=4)

    def _vector(self, pointer: Any, k: int) -> Any:
        return self.builder.bitcast(self.builder.gep(pointer, [_INDEX(k * LANES)]), _VECTOR.as_pointer())

    def spread(self, value: Any, kind: Any = _VECTOR) -> Any:
        """Return a vector with one value in all lanes."""
        lowest = self.builder.insert_element(kind(ir.Undefined), value, ir.IntType(32)(0))
        order = ir.VectorType(ir.IntType(32), LANES)([0] * LANES)
        return self.builder.shuffle_vector(lowest, kind(ir.Undefined), order)

    def first(self, count: Any) -> Any:
        """Return a mask of the first lanes."""
        return self.builder.icmp_signed("<", _MASK(list(range(LANES))), self.spread(count, _MASK))

    def fused(self, a: Any, b: Any, c: Any) -> Any:
        """Return ``a * b + c``."""
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        return self.builder.call(
            _code.get_or_insert_function(self.builder.module, kind, f"llvm.fmuladd.v{LANES}f32"), [a, b, c]
        )

    def cases(self, value: Any, count: int, write: Callable[[int], None]) -> None:
        """Write code for each number from 1 to ``count``."""
        done = self.builder.append_basic_block("done")
        switch = self.builder.switch(value, done)
        for k in range(1, count + 1):
            block = self.builder.append_basic_block(f"case{k}")
            switch.add_case(_INDEX(k), block)
            self.builder.position_at_end(block)
            write(k)
            self.builder.branch(done)
        self.builder.position_at_end(done)

    def loop(self, begin: Any, end: Any) -> Any:
        """Return a loop from ``begin`` to below ``end``."""
        return _code.for_range_slice(self.builder, begin, end, _INDEX(1), _INDEX)

    def variables(self, values: list[Any]) -> list[Any]:
        """Return places for values that loops change; the compiler keeps them in registers."""
        places = [_code.alloca_once(self.builder, _VECTOR) for _ in values]
        for value, place in zip(values, places, strict=True):
            self.builder.store(value, place)
        return places


def _written(names: str, arrays: str, write: Callable[[_Writer], None]) -> Callable[..., Any]:
    """Return what Numba asks an intrinsic for, types and code; ``arrays`` are the flat float32 ones among the names."""
    kinds = dict.fromkeys(arrays.split(), types.float32) | {"indices": types.int32, "places": types.int32}

    def typed(given: Any) -> Any:
        for name, kind in zip(names.split(), given, strict=True):
            if name in kinds and (kind.dtype, kind.ndim, kind.layout) != (kinds[name], 1, "C"):
                return None  # Numba then refuses the call
        wanted = [kind if name in kinds else types.intp for name, kind in zip(names.split(), given, strict=True)]

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            write(_Writer(context, builder, signature.args, names, values))
            return context.get_dummy_value()

        return types.void(*wanted), generate

    return typed


def _event(writer: _Writer, j: Any) -> tuple[Any, Any]:
    """Return a pointer to an event's row of the table, and its size in all lanes."""
    builder, given = writer.builder, writer.given
    index = builder.zext(builder.load(writer.at("indices", j)), _INDEX)
    row = writer.at("table", given["table_at"], builder.mul(index, given["stride"]))
    return row, writer.spread(builder.load(writer.at("sizes", j)))


def _vectors(writer: _Writer) -> Any:
    return writer.builder.sdiv(writer.builder.add(writer.given["columns"], _INDEX(LANES - 1)), _INDEX(LANES))


def _masks(writer: _Writer, count: int) -> list[Any]:
    last = writer.builder.sub(writer.given["columns"], _INDEX((count - 1) * LANES))
    return [None] * (count - 1) + [writer.first(last)]


def _write_add_rows(writer: _Writer) -> None:
    def write(count: int) -> None:
        builder, given = writer.builder, writer.given
        out, masks = writer.at("row", given["row_at"]), _masks(writer, count)
        totals = writer.variables([writer.load(out, k) for k in range(count)])
        with writer.loop(given["begin"], given["end"]) as (j, _):
            row, size = _event(writer, j)
            for k, total in enumerate(totals):
                builder.store(writer.fused(size, writer.load(row, k, masks[k]), builder.load(total)), total)
        for k, total in enumerate(totals):
            writer.store(builder.load(total), out, k)

    writer.cases(_vectors(writer), BLOCK, write)


def _write_gather_rows(writer: _Writer) -> None:
    builder, given = writer.builder, writer.given

    def write(count: int) -> None:
        out = writer.at("row", given["row_at"])
        # Two sums, of every other event: one alone would wait for itself.
        pair = [writer.variables([writer.load(out, k) for k in range(count)])]
        pair.append(writer.variables([_VECTOR([0.0] * LANES)] * count))
        with writer.loop(_INDEX(0), given["count"]) as (p, _):
            place = writer.at("places", given["place_at"], builder.mul(p, given["place_step"]))
            begin = builder.zext(builder.load(place), _INDEX)
            end = builder.zext(builder.load(builder.gep(place, [given["span"]])), _INDEX)
            start = builder.mul(p, given["table_step"])
            odd = builder.and_(builder.sub(end, begin), _INDEX(1))
            with _code.for_range_slice(builder, begin, builder.sub(end, odd), _INDEX(2), _INDEX) as (j, _):
                for offset, totals in enumerate(pair):
                    add(builder.add(j, _INDEX(offset)), start, totals)
            with builder.if_then(builder.icmp_signed("!=", odd, _INDEX(0))):
                add(builder.sub(end, _INDEX(1)), start, pair[0])
        for k, (one, other) in enumerate(zip(*pair, strict=True)):
            writer.store(builder.fadd(builder.load(one), builder.load(other)), out, k)

    def add(j: Any, start: Any, totals: list[Any]) -> None:
        row, size = _event(writer, j)
        row = builder.gep(row, [start])
        for k, total in enumerate(totals):
            builder.store(writer.fused(size, writer.load(row, k), builder.load(total)), total)

    writer.cases(given["vectors"], GATHER_BLOCK, write)


def _write_add_tile(writer: _Writer) -> None:
    builder, given = writer.builder, writer.given

    def write(rows: int, vectors: int) -> None:
        outs = [writer.at("out", given["out_at"], builder.mul(_INDEX(i), given["out_row"])) for i in range(rows)]
        totals = [writer.variables([writer.load(out, k) for k in range(vectors)]) for out in outs]
        with writer.loop(_INDEX(0), given["outer"]) as (p, _):
            a = writer.at("a", given["a_at"], builder.mul(p, given["a_outer"]))
            b = writer.at("b", given["b_at"], builder.mul(p, given["b_outer"]))
            with writer.loop(_INDEX(0), given["inner"]) as (q, _):
                along = builder.gep(a, [builder.mul(q, given["a_inner"])])
                row = builder.gep(b, [builder.mul(q, given["b_inner"])])
                columns = [writer.load(row, k) for k in range(vectors)]
                for i, places in enumerate(totals):
                    value = builder.load(builder.gep(along, [builder.mul(_INDEX(i), given["a_row"])]))
                    factor = writer.spread(value)
                    for column, place in zip(columns, places, strict=True):
                        builder.store(writer.fused(factor, column, builder.load(place)), place)
        # Upwards: what a row's last vector puts behind its end, the next row overwrites.
        for out, places in zip(outs, totals, strict=True):
            for k, place in enumerate(places):
                writer.store(builder.load(place), out, k)

    writer.cases(
        given["vectors"],
        TILE_VECTORS,
        lambda vectors: writer.cases(given["rows"], TILE_ROWS, lambda rows: write(rows, vectors)),
    )


_EVENTS = "row row_at columns table table_at stride indices sizes begin end"
_GATHER = "row row_at vectors table table_at table_step stride indices sizes places place_at place_step span count"
_TILE = "out out_at out_row rows vectors a a_at a_row a_outer a_inner b b_at b_outer b_inner outer inner"


def _add_rows(
    _: Any, row: Any, row_at: Any, columns: Any, table: Any, table_at: Any, stride: Any, indices: Any, sizes: Any,
    begin: Any, end: Any,
) -> Any:  # fmt: skip
    """``row += sum over events j of sizes[j] * table[indices[j]]``, for ``columns`` numbers, up to `BLOCK` vectors.

    ``table``'s rows lie ``stride`` apart from ``table_at`` on; events are ``begin`` to ``end``.
    """
    given = (row, row_at, columns, table, table_at, stride, indices, sizes, begin, end)
    return _written(_EVENTS, "row table sizes", _write_add_rows)(given)


def _gather_rows(
    _: Any, row: Any, row_at: Any, vectors: Any, table: Any, table_at: Any, table_step: Any, stride: Any, indices: Any,
    sizes: Any, places: Any, place_at: Any, place_step: Any, span: Any, count: Any,
) -> Any:  # fmt: skip
    """`add_rows` over ``count`` ranges of events, for whole vectors, up to `GATHER_BLOCK`.

    Range p lies between ``places[at]`` and ``places[at + span]`` with ``at = place_at + p place_step``, and takes its
    rows from ``table_at + p table_step`` on.
    """
    given = (
        row, row_at, vectors, table, table_at, table_step, stride, indices, sizes, places, place_at, place_step, span,
        count,
    )  # fmt: skip
    return _written(_GATHER, "row table sizes", _write_gather_rows)(given)


def _add_tile(
    _: Any, out: Any, out_at: Any, out_row: Any, rows: Any, vectors: Any, a: Any, a_at: Any, a_row: Any, a_outer: Any,
    a_inner: Any, b: Any, b_at: Any, b_outer: Any, b_inner: Any, outer: Any, inner: Any,
) -> Any:  # fmt: skip
    """``out[i] += sum over p, q of a[i, p, q] * b[p, q]``, i up to `TILE_ROWS`, rows of up to `TILE_VECTORS` vectors.

    Element (i, p, q) of ``a`` lies at ``a_at + i a_row + p a_outer + q a_inner``, row (p, q) of ``b`` at ``b_at +
    p b_outer + q b_inner``, row i of ``out`` at ``out_at + i out_row``; p < ``outer``, q < ``inner``.
    """
    given = (
        out, out_at, out_row, rows, vectors, a, a_at, a_row, a_outer, a_inner, b, b_at, b_outer, b_inner, outer, inner
    )  # fmt: skip
    return _written(_TILE, "out a b", _write_add_tile)(given)


add_rows: Callable[..., None] = intrinsic(_add_rows)
gather_rows: Callable[..., None] = intrinsic(_gather_rows)
add_tile: Callable[..., None] = intrinsic(_add_tile)
