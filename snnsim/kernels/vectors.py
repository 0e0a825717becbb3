"""Passes over arrays written in the compiler's own language, vector by vector.

What Numba makes of a loop asks before every pass whether up to ten arrays overlap, and carries sums through memory.
Numba's cache does not notice an edit here: it has to be emptied.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from snnsim.kernels.codes import NONE, SUBTRACT, SUBTRACT_DELAYED, ZERO

# Columns of a block of `row_adder`. Measured on one core (Zen 3, AVX2) against 16, 64 and 128: four vectors of eight
# keep a pass's indices worth loading; 784 rows take 100 KB, which the L2 cache holds beside what else streams through.
WIDTH = 32

# Samples that `product_adder` takes together, and vectors of columns: twelve sums and three vectors of weights fill the
# sixteen registers of AVX2, and are enough to keep both of its multipliers busy.
TOGETHER = 4
_VECTORS = 3

# Places behind the last event that a vector of them may overwrite.
SLACK = 7

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
        _by_vectors(
            builder, n, lambda at, mask: _carry(builder, [builder.gep(row, [at]) for row in rows], weight, mask)
        )
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


def _firing(reset: int) -> Callable[..., None]:
    """Return ``fire(drive, u, beta, limit, threshold, rest, pending, n, indices, total)``: one step of n neurons.

    The membrane ``u = beta * rest + drive`` (``drive`` may be ``u``), less what is ``pending`` where that is the reset;
    ``rest`` after the reset, if any, of those above ``limit``, whose numbers are written from ``indices[total]`` on.
    Returns the end; up to 7 places behind it are overwritten.
    """

    def fire(
        _: Any,
        drive: Any,
        u: Any,
        beta: Any,
        limit: Any,
        threshold: Any,
        rest: Any,
        pending: Any,
        n: Any,
        indices: Any,
        total: Any,
    ) -> Any:
        rows = (drive, u, beta, limit, threshold, rest, pending)
        arrays = [(array.dtype, array.layout) for array in (*rows, indices)]
        if arrays != [(types.float32, "C")] * len(rows) + [(types.int32, "C")]:
            return None  # Numba then refuses the call
        signature = types.intp(*rows, types.intp, indices, types.intp)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            rows = [_data(context, builder, signature, arguments, array, _index(0)) for array in range(7)]
            emitter = _Emitter(builder, _data(context, builder, signature, arguments, 8, _index(0)), arguments[9])

            def some(at: Any, mask: Any) -> None:
                fired = _fire(builder, reset, [builder.gep(row, [at]) for row in rows], mask)
                emitter.write(fired, at)

            _by_vectors(builder, arguments[7], some)
            return emitter.end

        return signature, generate

    return cast("Callable[..., None]", intrinsic(fire))


def _fire(builder: Any, reset: int, rows: Sequence[Any], mask: Any) -> Any:
    """Write one step of a vector of neurons; return which of them fired."""
    drive, beta, limit, threshold, rest = (_load(builder, rows[k], 0, mask) for k in (0, 2, 3, 4, 5))
    u = builder.fadd(builder.fmul(beta, rest), drive)
    if reset == SUBTRACT_DELAYED:
        u = builder.fsub(u, _load(builder, rows[6], 0, mask))
    fired = builder.fcmp_ordered(">", u, limit)
    nothing = _VECTOR([0.0] * _LANES)
    after = u
    if reset == SUBTRACT:
        after = builder.select(fired, builder.fsub(u, threshold), u)
    elif reset == ZERO:
        after = builder.select(fired, nothing, u)
    _store(builder, u, rows[1], 0, mask)
    _store(builder, after, rows[5], 0, mask)
    if reset == SUBTRACT_DELAYED:
        _store(builder, builder.select(fired, threshold, nothing), rows[6], 0, mask)
    return fired if mask is None else builder.and_(fired, mask)


fire_subtracting: Callable[..., None] = _firing(SUBTRACT)
fire_zeroing: Callable[..., None] = _firing(ZERO)
fire_without_reset: Callable[..., None] = _firing(NONE)
fire_subtracting_late: Callable[..., None] = _firing(SUBTRACT_DELAYED)


def _emit_nonzero(_: Any, row: Any, n: Any, indices: Any, total: Any) -> Any:
    """``emit_nonzero(row, n, indices, total)``: write which of a row's numbers are not zero, as `fire` does."""
    if [(array.dtype, array.layout) for array in (row, indices)] != [(types.float32, "C"), (types.int32, "C")]:
        return None  # Numba then refuses the call
    signature = types.intp(row, types.intp, indices, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row = _data(context, builder, signature, arguments, 0, _index(0))
        emitter = _Emitter(builder, _data(context, builder, signature, arguments, 2, _index(0)), arguments[3])

        def some(at: Any, mask: Any) -> None:
            values = _load(builder, builder.gep(row, [at]), 0, mask)
            emitter.write(builder.fcmp_unordered("!=", values, _VECTOR([0.0] * _LANES)), at)

        _by_vectors(builder, arguments[1], some)
        return emitter.end

    return signature, generate


emit_nonzero: Callable[..., int] = intrinsic(_emit_nonzero)


class _Emitter:
    """Writes the code that appends the numbers of marked lanes to a list, without a branch on the marks.

    A branch for each neuron, or for eight, would be mispredicted too often.
    """

    def __init__(self, builder: Any, indices: Any, begin: Any) -> None:
        self._builder, self._indices = builder, indices
        self._total = _code.alloca_once_value(builder, begin)
        # Row m: the lanes that are set in m, the lowest first.
        lanes = [[lane for lane in range(_LANES) if m >> lane & 1] for m in range(1 << _LANES)]
        row = ir.ArrayType(ir.IntType(8), _LANES)
        table = ir.ArrayType(row, len(lanes))([row([*ones, *[0] * (_LANES - len(ones))]) for ones in lanes])
        self._lanes = _code.global_constant(builder, "lanes_of_mask", table)

    @property
    def end(self) -> Any:
        """One past the last place written."""
        return self._builder.load(self._total)

    def write(self, marked: Any, at: Any) -> None:
        """Append the numbers of the marked lanes, of which the first is number ``at``."""
        builder = self._builder
        bits = builder.bitcast(marked, ir.IntType(_LANES))
        bytes_ = ir.VectorType(ir.IntType(8), _LANES)
        numbers = ir.VectorType(ir.IntType(32), _LANES)
        row = builder.gep(self._lanes, [_index(0), builder.zext(bits, _INDEX)])
        lanes = builder.zext(builder.load(builder.bitcast(row, bytes_.as_pointer()), align=1), numbers)
        found = builder.add(lanes, _spread(builder, builder.trunc(at, ir.IntType(32))))
        total = builder.load(self._total)
        place = builder.bitcast(builder.gep(self._indices, [total]), numbers.as_pointer())
        builder.store(found, place, align=4)
        builder.store(builder.add(total, builder.zext(builder.ctpop(bits), _INDEX)), self._total)


def _by_vectors(builder: Any, n: Any, write: Callable[[Any, Any], None]) -> None:
    """Write code for n numbers, a vector at a time: ``write(place, mask)``, the last with the lanes that are there."""
    whole = builder.and_(n, _index(-_LANES))
    with _code.for_range_slice(builder, _index(0), whole, _index(_LANES), _INDEX) as (at, _):
        write(at, None)
    with builder.if_then(builder.icmp_signed("<", whole, n)):
        write(whole, _first(builder, builder.sub(n, whole)))
