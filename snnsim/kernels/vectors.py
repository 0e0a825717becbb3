"""Passes over arrays written in the compiler's own language, vector by vector.

What Numba makes of a loop asks before every pass whether up to ten arrays overlap, and carries sums through memory.
Numba's cache does not notice an edit here: it has to be emptied.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

# Columns of a block of `row_adder`. Measured on one core (Zen 3, AVX2) against 16, 64 and 128: four vectors of eight
# keep a pass's indices worth loading; 784 rows take 100 KB, which the L2 cache holds beside what else streams through.
WIDTH = 32

# Samples that `product_adder` takes together, and vectors of columns: twelve sums and three vectors of weights fill the
# sixteen registers of AVX2, and are enough to keep both of its multipliers busy.
TOGETHER = 4
_VECTORS = 3

_code: Any = cgutils  # has no types
_LANES = 8
_VECTOR = ir.VectorType(ir.FloatType(), _LANES)
_INDEX = ir.IntType(64)


def row_adder(passes: Sequence[int]) -> Callable[..., None]:
    """Return ``add(first, first_at, out, out_at, table, table_at, stride, columns, indices, begin, end)``.

    ``out = first + sum of rows indices[begin:end]``, for ``columns`` (1 to `WIDTH`) numbers of flat arrays from the
    given places on. ``passes``: how many rows are taken at a time, as long as there are so many; 1 is the last.
    """

    @intrinsic
    def add(
        _: Any,
        first: Any,
        first_at: Any,
        out: Any,
        out_at: Any,
        table: Any,
        table_at: Any,
        stride: Any,
        columns: Any,
        indices: Any,
        begin: Any,
        end: Any,
    ) -> Any:
        arrays = [(array.dtype, array.layout) for array in (first, out, table, indices)]
        if arrays != [(types.float32, "C")] * 3 + [(types.int32, "C")]:
            return None  # Numba then refuses the call
        count = types.intp
        signature = types.void(first, count, out, count, table, count, count, count, indices, count, count)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            def data(array: int, at: Any) -> Any:
                return _data(context, builder, signature, arguments, array, at)

            first_at, out_at, table_at, stride, columns, begin, end = (arguments[k] for k in (1, 3, 5, 6, 7, 9, 10))
            rows = _Rows(builder, data(4, table_at), stride, data(8, _index(0)))
            ends = (data(0, first_at), data(2, out_at))
            with builder.if_else(builder.icmp_signed("==", columns, _index(WIDTH))) as (whole, part):
                with whole:
                    rows.sum(*ends, begin, end, WIDTH // _LANES, None, passes)
                with part:
                    vectors = builder.sdiv(builder.add(columns, _index(_LANES - 1)), _index(_LANES))
                    for count in _cases(builder, vectors, WIDTH // _LANES):
                        last = builder.sub(columns, _index((count - 1) * _LANES))
                        rows.sum(*ends, begin, end, count, _first(builder, last), passes)
            return context.get_dummy_value()

        return signature, generate

    return add


class _Rows:
    """Writes the code that adds up rows of a table; ``mask`` says which lanes of a row's last vector are there."""

    def __init__(self, builder: Any, table: Any, stride: Any, indices: Any) -> None:
        self._builder, self._table, self._stride, self._indices = builder, table, stride, indices

    def sum(self, first: Any, out: Any, begin: Any, end: Any, vectors: int, mask: Any, passes: Sequence[int]) -> None:
        builder = self._builder
        masks = [None] * (vectors - 1) + [mask]
        totals = [_code.alloca_once(builder, _VECTOR) for _ in masks]
        for k, total in enumerate(totals):
            builder.store(_load(builder, first, k, masks[k]), total)
        for size in passes:
            stop = builder.add(begin, builder.and_(builder.sub(end, begin), _index(-size)))
            with _code.for_range_slice(builder, begin, stop, _index(size), _INDEX) as (j, _):
                rows = [self._row(builder.add(j, _index(offset))) for offset in range(size)]
                for k, total in enumerate(totals):
                    parts = [_load(builder, row, k, masks[k]) for row in rows]
                    while len(parts) > 1:
                        parts = [builder.fadd(a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
                    builder.store(builder.fadd(builder.load(total), parts[0]), total)
            begin = stop
        for k, total in enumerate(totals):
            _store(builder, builder.load(total), out, k, masks[k])

    def _row(self, j: Any) -> Any:
        index = self._builder.zext(self._builder.load(self._builder.gep(self._indices, [j])), _INDEX)
        return self._builder.gep(self._table, [self._builder.mul(index, self._stride)])


def _data(context: Any, builder: Any, signature: Any, arguments: Any, array: int, at: Any) -> Any:
    """Return where place ``at`` of a flat array lies, given as argument number ``array``."""
    proxy = _code.create_struct_proxy(signature.args[array])(context, builder, arguments[array])
    return builder.gep(proxy.data, [at])


def _at(builder: Any, row: Any, k: int) -> Any:
    return builder.bitcast(builder.gep(row, [_index(k * _LANES)]), _VECTOR.as_pointer())


def _load(builder: Any, row: Any, k: int, mask: Any) -> Any:
    """Load a row's k-th vector; ``mask`` says which lanes are there, None: all."""
    if mask is None:
        return builder.load(_at(builder, row, k), align=4)
    kind = ir.FunctionType(_VECTOR, [_VECTOR.as_pointer(), ir.IntType(32), mask.type, _VECTOR])
    load = _code.get_or_insert_function(builder.module, kind, f"llvm.masked.load.v{_LANES}f32.p0")
    return builder.call(load, [_at(builder, row, k), ir.IntType(32)(4), mask, _VECTOR([0.0] * _LANES)])


def _store(builder: Any, vector: Any, row: Any, k: int, mask: Any) -> None:
    if mask is None:
        builder.store(vector, _at(builder, row, k), align=4)
        return
    kind = ir.FunctionType(ir.VoidType(), [_VECTOR, _VECTOR.as_pointer(), ir.IntType(32), mask.type])
    store = _code.get_or_insert_function(builder.module, kind, f"llvm.masked.store.v{_LANES}f32.p0")
    builder.call(store, [vector, _at(builder, row, k), ir.IntType(32)(4), mask])


def _index(value: int) -> Any:
    return _INDEX(value)


def _first(builder: Any, count: Any) -> Any:
    """Return a mask of the first ``count`` lanes."""
    kind = ir.VectorType(_INDEX, _LANES)
    return builder.icmp_signed("<", kind(list(range(_LANES))), _spread(builder, count))


def _cases(builder: Any, value: Any, most: int) -> Iterator[int]:
    """Yield 1 to ``most``, each with the builder where that is the value."""
    done = builder.append_basic_block("done")
    cases = builder.switch(value, done)
    for count in range(1, most + 1):
        case = builder.append_basic_block(f"case{count}")
        cases.add_case(_index(count), case)
        builder.position_at_end(case)
        yield count
        builder.branch(done)
    builder.position_at_end(done)


def _add_products(
    _: Any, factors: Any, factors_stride: Any, weight: Any, out: Any, out_stride: Any, n: Any, samples: Any
) -> Any:
    """``add_products(factors, factors_stride, weight, out, out_stride, n, samples)``: vectors times a matrix.

    ``out[s] += sum_k factors[s, k] * weight[k]`` for 1 to `TOGETHER` samples; all arrays flat, ``weight`` [n, n], a
    sample's n numbers the strides apart. A sample's bits do not depend on the others: k goes up, one column a lane.
    """
    arrays = [(array.dtype, array.layout) for array in (factors, weight, out)]
    if arrays != [(types.float32, "C")] * 3:
        return None  # Numba then refuses the call
    count = types.intp
    signature = types.void(factors, count, weight, out, count, count, count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        factors, weight, out = (_data(context, builder, signature, arguments, array, _index(0)) for array in (0, 2, 3))
        factors_stride, out_stride, n, samples = (arguments[k] for k in (1, 4, 5, 6))
        block = _VECTORS * _LANES
        whole = builder.mul(builder.sdiv(n, _index(block)), _index(block))
        rest = builder.sub(n, whole)
        vectors = builder.sdiv(builder.add(rest, _index(_LANES - 1)), _index(_LANES))
        for present in _cases(builder, samples, TOGETHER):
            rows = [builder.gep(factors, [builder.mul(factors_stride, _index(s))]) for s in range(present)]
            sums = [builder.gep(out, [builder.mul(out_stride, _index(s))]) for s in range(present)]
            with _code.for_range_slice(builder, _index(0), whole, _index(block), _INDEX) as (at, _):
                _multiply(builder, rows, weight, sums, at, n, [None] * _VECTORS)
            for count in _cases(builder, vectors, _VECTORS):
                mask = _first(builder, builder.sub(rest, _index((count - 1) * _LANES)))
                _multiply(builder, rows, weight, sums, whole, n, [None] * (count - 1) + [mask])
        return context.get_dummy_value()

    return signature, generate


add_products: Callable[..., None] = intrinsic(_add_products)


def _multiply(
    builder: Any, rows: Sequence[Any], weight: Any, sums: Sequence[Any], at: Any, n: Any, masks: Sequence[Any]
) -> None:
    """Add the products of some rows with a matrix [n, n] in some vectors of columns from ``at`` on."""
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    fused = _code.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{_LANES}f32")
    sums = [builder.gep(row, [at]) for row in sums]
    totals = [[_code.alloca_once(builder, _VECTOR) for _ in masks] for _ in sums]
    for row, of_row in zip(sums, totals, strict=True):
        for k, total in enumerate(of_row):
            builder.store(_load(builder, row, k, masks[k]), total)
    with _code.for_range_slice(builder, _index(0), n, _index(1), _INDEX) as (j, _):
        line = builder.gep(weight, [builder.add(builder.mul(j, n), at)])
        weights = [_load(builder, line, k, mask) for k, mask in enumerate(masks)]
        for row, of_row in zip(rows, totals, strict=True):
            factor = _spread(builder, builder.load(builder.gep(row, [j])))
            for total, vector in zip(of_row, weights, strict=True):
                builder.store(builder.call(fused, [factor, vector, builder.load(total)]), total)
    for row, of_row in zip(sums, totals, strict=True):
        for k, total in enumerate(of_row):
            _store(builder, builder.load(total), row, k, masks[k])


def _carry_back(
    _: Any, h: Any, above: Any, weight: Any, more: Any, kept: Any, du: Any, total: Any, out: Any, n: Any
) -> Any:
    """``carry_back(h, above, weight, more, kept, du, total, out, n)``: one step back in time of n neurons.

    ``du = h * (above * weight + more) + kept * du``, with the number ``weight``; ``total`` is added to, ``out`` is
    written and may be ``above``.
    """
    rows = (h, above, more, kept, du, total, out)
    if [(array.dtype, array.layout) for array in rows] != [(types.float32, "C")] * len(rows):
        return None  # Numba then refuses the call
    signature = types.void(h, above, types.float32, more, kept, du, total, out, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        places = (0, 1, 3, 4, 5, 6, 7)
        rows = [_data(context, builder, signature, arguments, array, _index(0)) for array in places]
        weight, n = _spread(builder, arguments[2]), arguments[8]
        whole = builder.and_(n, _index(-_LANES))
        with _code.for_range_slice(builder, _index(0), whole, _index(_LANES), _INDEX) as (at, _):
            _carry(builder, [builder.gep(row, [at]) for row in rows], weight, None)
        with builder.if_then(builder.icmp_signed("<", whole, n)):
            mask = _first(builder, builder.sub(n, whole))
            _carry(builder, [builder.gep(row, [whole]) for row in rows], weight, mask)
        return context.get_dummy_value()

    return signature, generate


carry_back: Callable[..., None] = intrinsic(_carry_back)


def _carry(builder: Any, rows: Sequence[Any], weight: Any, mask: Any) -> None:
    h, above, more, kept, du, total = (_load(builder, row, 0, mask) for row in rows[:6])
    g = builder.fadd(builder.fmul(above, weight), more)
    du = builder.fadd(builder.fmul(h, g), builder.fmul(kept, du))
    for vector, row in zip((du, builder.fadd(total, du), du), rows[4:], strict=True):
        _store(builder, vector, row, 0, mask)


def _spread(builder: Any, value: Any) -> Any:
    """Return a number in every lane."""
    kind = ir.VectorType(value.type, _LANES)
    one = builder.insert_element(kind(ir.Undefined), value, ir.IntType(32)(0))
    return builder.shuffle_vector(one, kind(ir.Undefined), ir.VectorType(ir.IntType(32), _LANES)([0] * _LANES))
