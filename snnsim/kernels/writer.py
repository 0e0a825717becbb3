"""Functions for kernels that are written in the compiler's own language, vector by vector.

What Numba makes of a loop over rows asks before each, a few hundred numbers long, whether its arrays overlap, and
carries every sum through memory. Numba's cache of a kernel does not notice an edit of what it calls here: it has to be
emptied.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import Parameter, Signature
from typing import Any

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba.core import cgutils, config, types
from numba.extending import intrinsic

LANES = 8
VECTOR = ir.VectorType(ir.FloatType(), LANES)
NOTHING = VECTOR([0.0] * LANES)
DOUBLE_VECTOR = ir.VectorType(ir.FloatType(), 2 * LANES)
INDEX = ir.IntType(64)
NUMBER = ir.IntType(32)
NUMBERS = ir.VectorType(NUMBER, LANES)

_code: Any = cgutils  # has no types
_MASK = ir.VectorType(INDEX, LANES)
_options: Any = config  # has no types
_features = get_host_cpu_features().flatten() if _options.CPU_FEATURES is None else _options.CPU_FEATURES
# Whether the code is for a machine with 32 registers of 16 lanes.
WIDE = "+avx512f" in _features
_FLAT = {"[f]": types.float32, "[i]": types.int32, "[b]": types.uint8}

# Places behind the last event that a vector of them may overwrite.
SLACK = LANES


def written(arguments: str, write: Callable[["Writer"], Any], *, returns: bool = False) -> Callable[..., Any]:
    """Return a function for kernels, of which ``write`` writes the code.

    ``arguments`` are its names: ``rows[f]``, ``rows[i]`` and ``rows[b]`` are flat arrays of float32, int32 and bytes,
    ``weight:f`` is a float32, all others are integers. It returns an integer if ``returns``, which ``write`` returns,
    or nothing.
    """
    described = arguments.split()
    names = [name.partition("[")[0].partition(":")[0] for name in described]

    def typed(_: Any, *given: Any) -> Any:
        wanted: list[Any] = []
        for name, kind in zip(described, given, strict=True):
            if name[-3:] in _FLAT:
                if (kind.dtype, kind.ndim, kind.layout) != (_FLAT[name[-3:]], 1, "C"):
                    return None  # Numba then refuses the call
                wanted.append(kind)
            else:
                wanted.append(types.float32 if name.endswith(":f") else types.intp)

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            arguments = zip(signature.args, values, strict=True)
            result = write(Writer(context, builder, dict(zip(names, arguments, strict=True))))
            return result if returns else context.get_dummy_value()

        return (types.intp if returns else types.void)(*wanted), generate

    # Numba asks for the names of what a call gives.
    by_name: Any = typed
    by_name.__signature__ = Signature([Parameter(k, Parameter.POSITIONAL_OR_KEYWORD) for k in ("_", *names)])
    function: Callable[..., Any] = intrinsic(by_name)
    return function


class Writer:
    """Writes code over the arrays and numbers of one call, by their names.

    Attributes
    ----------
    builder
        Of the code so far.
    given
        Numbers, and pointers to the first element of arrays.
    """

    def __init__(self, context: Any, builder: Any, arguments: dict[str, tuple[Any, Any]]) -> None:
        self.builder = builder
        self.given: dict[str, Any] = {}
        for name, (kind, value) in arguments.items():
            array = isinstance(kind, types.Array)
            self.given[name] = _code.create_struct_proxy(kind)(context, builder, value).data if array else value

    def at(self, array: str, *places: Any) -> Any:
        """Return a pointer into an array."""
        return self.behind(self.given[array], *places)

    def behind(self, pointer: Any, *places: Any) -> Any:
        """Return a pointer so many elements behind another."""
        for place in places:
            pointer = self.builder.gep(pointer, [place])
        return pointer

    def load(self, pointer: Any, k: int = 0, mask: Any = None, kind: Any = VECTOR) -> Any:
        """Return the k-th vector behind a pointer; lanes outside the mask are zero, and not touched."""
        pointer = self._vector(pointer, k, kind)
        if mask is None:
            return self.builder.load(pointer, align=4)
        masked = self._called("load", VECTOR, [VECTOR.as_pointer(), NUMBER, mask.type, VECTOR])
        return self.builder.call(masked, [pointer, NUMBER(4), mask, NOTHING])

    def store(self, vector: Any, pointer: Any, k: int = 0, mask: Any = None) -> None:
        """Write the k-th vector behind a pointer; lanes outside the mask are not touched."""
        pointer = self._vector(pointer, k, vector.type)
        if mask is None:
            self.builder.store(vector, pointer, align=4)
        else:
            masked = self._called("store", ir.VoidType(), [VECTOR, VECTOR.as_pointer(), NUMBER, mask.type])
            self.builder.call(masked, [vector, pointer, NUMBER(4), mask])

    def prefetch(self, pointer: Any) -> None:
        """Ask for a line to be brought into the L2 cache, for reading."""
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, NUMBER, NUMBER, NUMBER])
        function = _code.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        self.builder.call(function, [pointer, NUMBER(0), NUMBER(2), NUMBER(1)])

    def _called(self, what: str, result: Any, arguments: list[Any]) -> Any:
        kind = ir.FunctionType(result, arguments)
        return _code.get_or_insert_function(self.builder.module, kind, f"llvm.masked.{what}.v{LANES}f32.p0")

    def _vector(self, pointer: Any, k: int, kind: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(pointer, [INDEX(k * kind.count)]), kind.as_pointer())

    def spread(self, value: Any, lanes: int = LANES) -> Any:
        """Return a vector with one value in all lanes."""
        kind = ir.VectorType(value.type, lanes)
        lowest = self.builder.insert_element(kind(ir.Undefined), value, NUMBER(0))
        return self.builder.shuffle_vector(lowest, kind(ir.Undefined), ir.VectorType(NUMBER, lanes)([0] * lanes))

    def permuted(self, vector: Any, lanes: Any) -> Any:
        """Return a vector of some lanes of another. In this form the compiler finds the machine's own permutation."""
        result = VECTOR(ir.Undefined)
        for k in range(LANES):
            lane = self.builder.extract_element(lanes, NUMBER(k))
            result = self.builder.insert_element(result, self.builder.extract_element(vector, lane), NUMBER(k))
        return result

    def doubled(self, vector: Any, half: int) -> Any:
        """Return a vector of one half of another, every lane twice."""
        kind = ir.VectorType(NUMBER, LANES)
        lanes = [(half * LANES + k) // 2 for k in range(LANES)]
        return self.builder.shuffle_vector(vector, vector.type(ir.Undefined), kind(lanes))

    def transposed(self, vectors: list[Any]) -> list[Any]:
        """Return the columns of as many vectors as they have lanes."""
        numbers = ir.VectorType(NUMBER, LANES)
        # The machine interleaves within halves of a vector: by one lane, by two, and then the halves.
        for apart, kept in (
            (1, [0, 8, 1, 9, 4, 12, 5, 13]),
            (2, [0, 1, 8, 9, 4, 5, 12, 13]),
            (4, [0, 1, 2, 3, 8, 9, 10, 11]),
        ):
            others = [lane + (2 if apart < 4 else 4) for lane in kept]
            result = list(vectors)
            for k in range(LANES):
                if not k & apart:
                    pair = vectors[k], vectors[k + apart]
                    result[k] = self.builder.shuffle_vector(*pair, numbers(kept))
                    result[k + apart] = self.builder.shuffle_vector(*pair, numbers(others))
            vectors = result
        return [vectors[k] for k in (0, 2, 1, 3, 4, 6, 5, 7)]

    def first(self, count: Any) -> Any:
        """Return a mask of the first lanes."""
        return self.builder.icmp_signed("<", _MASK(list(range(LANES))), self.spread(count))

    def first_of(self, count: Any, vectors: int) -> list[Any]:
        """Return the masks of so many vectors of which the first ``count`` numbers are there."""
        return [self.first(self.builder.sub(count, INDEX(k * LANES))) for k in range(vectors)]

    def bits(self, mask: Any) -> Any:
        """Return a mask as a byte, the first lane its lowest bit."""
        return self.builder.bitcast(mask, ir.IntType(LANES))

    def any_bit(self, pointer: Any, count: int) -> Any:
        """Say whether any bit of so many bytes is set."""
        word = ir.IntType(count * LANES)
        bits = self.builder.load(self.builder.bitcast(pointer, word.as_pointer()), align=1)
        return self.builder.icmp_unsigned("!=", bits, word(0))

    def vectors(self, count: Any) -> Any:
        """Return how many vectors hold so many numbers."""
        return self.builder.sdiv(self.builder.add(count, INDEX(LANES - 1)), INDEX(LANES))

    def masks(self, count: Any, vectors: int) -> list[Any]:
        """Return the masks of so many vectors, of which the last ends with number ``count``; None: all lanes."""
        return [None] * (vectors - 1) + [self.first(self.builder.sub(count, INDEX((vectors - 1) * LANES)))]

    def applied(self, function: str, vector: Any) -> Any:
        """Return a function of each lane, by the compiler's name: ``fabs``, ``exp``."""
        kind = ir.FunctionType(VECTOR, [VECTOR])
        return self.builder.call(
            _code.get_or_insert_function(self.builder.module, kind, f"llvm.{function}.v{LANES}f32"), [vector]
        )

    def fused(self, a: Any, b: Any, c: Any) -> Any:
        """Return ``a * b + c``, rounded once where the machine can."""
        kind = ir.FunctionType(a.type, [a.type] * 3)
        function = _code.get_or_insert_function(self.builder.module, kind, f"llvm.fmuladd.v{a.type.count}f32")
        return self.builder.call(function, [a, b, c])

    def bit_counts(self, vector: Any) -> Any:
        """Return how many bits are set in each lane of a vector of integers."""
        kind = ir.FunctionType(vector.type, [vector.type])
        name = f"llvm.ctpop.v{vector.type.count}i{vector.type.element.width}"
        return self.builder.call(_code.get_or_insert_function(self.builder.module, kind, name), [vector])

    def cases(self, value: Any, most: int) -> Iterator[int]:
        """Yield 1 to ``most``; what is written meanwhile runs where that is the value."""
        done = self.builder.append_basic_block("done")
        switch = self.builder.switch(value, done)
        for k in range(1, most + 1):
            block = self.builder.append_basic_block(f"case{k}")
            switch.add_case(INDEX(k), block)
            self.builder.position_at_end(block)
            yield k
            self.builder.branch(done)
        self.builder.position_at_end(done)

    @contextmanager
    def loop(self, begin: Any, end: Any, step: int = 1) -> Iterator[Any]:
        """Write a loop from ``begin`` to below ``end``; gives its number."""
        with _code.for_range_slice(self.builder, begin, end, INDEX(step), INDEX) as (number, _):
            yield number

    def by_vectors(self, count: Any, write: Callable[[Any, Any], None]) -> None:
        """Write a loop over ``count`` numbers by vectors: ``write(place, mask)``, with a mask for the last."""
        whole = self.builder.and_(count, INDEX(-LANES))
        with self.loop(INDEX(0), whole, LANES) as at:
            write(at, None)
        with self.builder.if_then(self.builder.icmp_signed("<", whole, count)):
            write(whole, self.first(self.builder.sub(count, whole)))

    def variables(self, values: list[Any]) -> list[Any]:
        """Return places for values that loops change; the compiler keeps them in registers."""
        places = [_code.alloca_once(self.builder, value.type) for value in values]
        for value, place in zip(values, places, strict=True):
            self.builder.store(value, place)
        return places

    def events(self) -> "EventList":
        """Return what appends events to ``indices``, from ``total`` on."""
        return EventList(self)

    def table(self, name: str, rows: list[list[int]]) -> Any:
        """Return a pointer to the first of some rows of bytes that are part of the code."""
        row = ir.ArrayType(ir.IntType(8), len(rows[0]))
        array = ir.ArrayType(row, len(rows))([row(numbers) for numbers in rows])
        return _code.global_constant(self.builder, name, array)


class EventList:
    """Writes code that appends the numbers of marked lanes to ``indices``, from ``total`` on, without a branch on them.

    A branch for each neuron, or for eight, would be mispredicted too often.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        (self._total,) = writer.variables([writer.given["total"]])
        # Row m: the lanes that are set in m, the lowest first.
        lanes = [[lane for lane in range(LANES) if m >> lane & 1] for m in range(1 << LANES)]
        self._lanes = writer.table("lanes_of_mask", [[*ones, *[0] * (LANES - len(ones))] for ones in lanes])

    @property
    def end(self) -> Any:
        """One past the last place written."""
        return self._writer.builder.load(self._total)

    def append(self, bits: Any, at: Any, values: Any = None) -> None:
        """Append the numbers of the lanes whose bits are set in a byte, the first lane number ``at``.

        Their ``values`` go to ``sizes``.
        """
        builder, writer = self._writer.builder, self._writer
        row = builder.gep(self._lanes, [INDEX(0), builder.zext(bits, INDEX)])
        lanes = builder.load(builder.bitcast(row, ir.VectorType(ir.IntType(8), LANES).as_pointer()), align=1)
        lanes = builder.zext(lanes, NUMBERS)
        found = builder.add(lanes, writer.spread(builder.trunc(at, NUMBER)))
        total = self.end
        builder.store(found, builder.bitcast(writer.at("indices", total), NUMBERS.as_pointer()), align=4)
        if values is not None:
            writer.store(writer.permuted(values, lanes), writer.at("sizes", total))
        builder.store(builder.add(total, builder.zext(builder.ctpop(bits), INDEX)), self._total)
