"""Sums of rows: what events add to the currents of a dense layer, and what deltas add to its weights' gradient.

Both take rows of a table in any order, eight a pass, and are bound by the cache that the table comes from. They go by
blocks of `WIDTH` columns, of which a bucket's sums stay in registers. Where many events read a table it is packed
first: the columns of a block lie together, a small part of the whole table, and come from a nearer cache.

The passes are written in the compiler's own language. What Numba makes of a loop over columns asks before every pass
whether ten arrays overlap, and carries the sums through memory.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from snnsim.kernels._jit import kernel

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int32]
CountArray = NDArray[np.int64]

# Columns of a block. Measured on one core (Zen 3, AVX2) against 16, 64 and 128: four vectors of eight keep a pass's
# indices worth loading; 784 rows take 100 KB, which the L2 cache holds beside what else streams through it.
WIDTH = 32

_code: Any = cgutils  # has no types
_LANES = 8
_VECTOR = ir.VectorType(ir.FloatType(), _LANES)
_INDEX = ir.IntType(64)


def _row_adder(passes: Sequence[int]) -> Callable[..., None]:
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
                proxy = _code.create_struct_proxy(signature.args[array])(context, builder, arguments[array])
                return builder.gep(proxy.data, [at])

            first_at, out_at, table_at, stride, columns, begin, end = (arguments[k] for k in (1, 3, 5, 6, 7, 9, 10))
            rows = _Rows(builder, data(4, table_at), stride, data(8, _index(0)))
            ends = (data(0, first_at), data(2, out_at))
            with builder.if_else(builder.icmp_signed("==", columns, _index(WIDTH))) as (whole, part):
                with whole:
                    rows.sum(*ends, begin, end, WIDTH // _LANES, None, passes)
                with part:
                    done = builder.append_basic_block("done")
                    vectors = builder.sdiv(builder.add(columns, _index(_LANES - 1)), _index(_LANES))
                    cases = builder.switch(vectors, done)
                    for count in range(1, WIDTH // _LANES + 1):
                        case = builder.append_basic_block(f"vectors{count}")
                        cases.add_case(_index(count), case)
                        builder.position_at_end(case)
                        last = builder.sub(columns, _index((count - 1) * _LANES))
                        rows.sum(*ends, begin, end, count, _first(builder, last), passes)
                        builder.branch(done)
                    builder.position_at_end(done)
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
            builder.store(self._load(first, k, masks[k]), total)
        for size in passes:
            stop = builder.add(begin, builder.and_(builder.sub(end, begin), _index(-size)))
            with _code.for_range_slice(builder, begin, stop, _index(size), _INDEX) as (j, _):
                rows = [self._row(builder.add(j, _index(offset))) for offset in range(size)]
                for k, total in enumerate(totals):
                    parts = [self._load(row, k, masks[k]) for row in rows]
                    while len(parts) > 1:
                        parts = [builder.fadd(a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
                    builder.store(builder.fadd(builder.load(total), parts[0]), total)
            begin = stop
        for k, total in enumerate(totals):
            self._store(builder.load(total), out, k, masks[k])

    def _row(self, j: Any) -> Any:
        index = self._builder.zext(self._builder.load(self._builder.gep(self._indices, [j])), _INDEX)
        return self._builder.gep(self._table, [self._builder.mul(index, self._stride)])

    def _at(self, row: Any, k: int) -> Any:
        return self._builder.bitcast(self._builder.gep(row, [_index(k * _LANES)]), _VECTOR.as_pointer())

    def _load(self, row: Any, k: int, mask: Any) -> Any:
        if mask is None:
            return self._builder.load(self._at(row, k), align=4)
        kind = ir.FunctionType(_VECTOR, [_VECTOR.as_pointer(), ir.IntType(32), mask.type, _VECTOR])
        load = _code.get_or_insert_function(self._builder.module, kind, f"llvm.masked.load.v{_LANES}f32.p0")
        return self._builder.call(load, [self._at(row, k), ir.IntType(32)(4), mask, _VECTOR([0.0] * _LANES)])

    def _store(self, vector: Any, row: Any, k: int, mask: Any) -> None:
        if mask is None:
            self._builder.store(vector, self._at(row, k), align=4)
            return
        kind = ir.FunctionType(ir.VoidType(), [_VECTOR, _VECTOR.as_pointer(), ir.IntType(32), mask.type])
        store = _code.get_or_insert_function(self._builder.module, kind, f"llvm.masked.store.v{_LANES}f32.p0")
        self._builder.call(store, [vector, self._at(row, k), ir.IntType(32)(4), mask])


def _index(value: int) -> Any:
    return _INDEX(value)


def _first(builder: Any, count: Any) -> Any:
    """Return a mask of the first ``count`` lanes."""
    kind = ir.VectorType(_INDEX, _LANES)
    spread = kind(ir.Undefined)
    for lane in range(_LANES):
        spread = builder.insert_element(spread, count, ir.IntType(32)(lane))
    return builder.icmp_signed("<", kind(list(range(_LANES))), spread)


_add_weights = _row_adder((8, 2, 1))
_add_deltas = _row_adder((8, 1))


@kernel
def pack(table: FloatArray, packed: FloatArray) -> None:
    """Copy a table [rows, N] by blocks of columns, ``packed`` [ceil(N / WIDTH), rows, WIDTH]."""
    for b in range(packed.shape[0]):
        block = packed[b]
        columns = min(WIDTH, table.shape[1] - b * WIDTH)
        for r in range(table.shape[0]):
            for k in range(columns):
                block[r, k] = table[r, b * WIDTH + k]


@kernel
def gather(
    indptr: CountArray,
    indices: IndexArray,
    weight: FloatArray,
    packed: FloatArray,
    bias: FloatArray,
    current: FloatArray,
) -> None:
    """Add up the weight rows of every bucket's binary events: ``current[r] = bias + sum_i weight[i]``.

    ``weight`` [F, N], ``packed`` the same (see `pack`) or no blocks, ``bias`` [N], ``current`` [rows, N] (overwritten),
    ``indptr`` [rows + 1] into ``indices``. Eight rows a pass in a fixed tree of partial sums: a bucket's bits depend on
    its own events alone.
    """
    n = bias.size
    blocks = (n + WIDTH - 1) // WIDTH
    table, between, stride, together = weight.reshape(-1), WIDTH, n, blocks
    if packed.shape[0]:
        table, between, stride, together = packed.reshape(-1), packed.shape[1] * WIDTH, WIDTH, 1
    out = current.reshape(-1)
    for start in range(0, blocks, together):
        for r in range(indptr.size - 1):
            for b in range(start, start + together):
                at, columns = b * WIDTH, min(WIDTH, n - b * WIDTH)
                _add_weights(
                    bias, at, out, r * n + at, table, b * between, stride, columns, indices, indptr[r], indptr[r + 1]
                )


@kernel
def add_weight_gradient(
    starts: CountArray, rows: IndexArray, delta: FloatArray, packed: FloatArray, gradient: FloatArray
) -> None:
    """Add a chunk's weight gradient: ``gradient[i] += sum of delta[r]`` over the buckets r that input i is in.

    ``delta`` [rows, N], ``packed`` the same (see `pack`) or no blocks, ``gradient`` [F, N]; ``starts`` and ``rows`` as
    `propagate.sort_by_input` leaves them. Eight rows a pass in a fixed tree of partial sums.
    """
    n = gradient.shape[1]
    blocks = (n + WIDTH - 1) // WIDTH
    table, between, stride, together = delta.reshape(-1), WIDTH, n, blocks
    if packed.shape[0]:
        table, between, stride, together = packed.reshape(-1), packed.shape[1] * WIDTH, WIDTH, 1
    out = gradient.reshape(-1)
    for start in range(0, blocks, together):
        for i in range(starts.size - 1):
            if starts[i] == starts[i + 1]:
                continue
            for b in range(start, start + together):
                at, columns = i * n + b * WIDTH, min(WIDTH, n - b * WIDTH)
                _add_deltas(out, at, out, at, table, b * between, stride, columns, rows, starts[i], starts[i + 1])
