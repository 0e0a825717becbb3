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
from numba.core import cgutils, types
from numba.extending import intrinsic

LANES = 8
VECTOR = ir.VectorType(ir.FloatType(), LANES)
NOTHING = VECTOR([0.0] * LANES)
INDEX = ir.IntType(64)
NUMBER = ir.IntType(32)

_code: Any = cgutils  # has no types
_MASK = ir.VectorType(INDEX, LANES)
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

    def load(self, pointer: Any, k: int = 0, mask: Any = None) -> Any:
        """Return the k-th vector behind a pointer; lanes outside the mask are zero, and not touched."""
        pointer = self._vector(pointer, k)
        if mask is None:
            return self.builder.load(pointer, align=4)
        masked = self._called("load", VECTOR, [VECTOR.as_pointer(), NUMBER, mask.type, VECTOR])
        return self.builder.call(masked, [pointer, NUMBER(4), mask, NOTHING])

    def store(self, vector: Any, pointer: Any, k: int = 0, mask: Any = None) -> None:
        """Write the k-th vector behind a pointer; lanes outside the mask are not touched."""
        pointer = self._vector(pointer, k)
        if mask is None:
            self.builder.store(vector, pointer, align=4)
        else:
            masked = self._called("store", ir.VoidType(), [VECTOR, VECTOR.as_pointer(), NUMBER, mask.type])
            self.builder.call(masked, [vector, pointer, NUMBER(4), mask])

    def _called(self, what: str, result: Any, arguments: list[Any]) -> Any:
        kind = ir.FunctionType(result, arguments)
        return _code.get_or_insert_function(self.builder.module, kind, f"llvm.masked.{what}.v{LANES}f32.p0")

    def _vector(self, pointer: Any, k: int) -> Any:
        return self.builder.bitcast(self.builder.gep(pointer, [INDEX(k * LANES)]), VECTOR.as_pointer())

    def spread(self, value: Any) -> Any:
        """Return a vector with one value in all lanes."""
        kind = ir.VectorType(value.type, LANES)
        lowest = self.builder.insert_element(kind(ir.Undefined), value, NUMBER(0))
        return self.builder.shuffle_vector(lowest, kind(ir.Undefined), ir.VectorType(NUMBER, LANES)([0] * LANES))

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
        kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
        function = _code.get_or_insert_function(self.builder.module, kind, f"llvm.fmuladd.v{LANES}f32")
        return self.builder.call(function, [a, b, c])

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

    def append(self, bits: Any, at: Any) -> None:
        """Append the numbers of the lanes whose bits are set in a byte; the first lane is number ``at``."""
        builder = self._writer.builder
        numbers = ir.VectorType(NUMBER, LANES)
        row = builder.gep(self._lanes, [INDEX(0), builder.zext(bits, INDEX)])
        lanes = builder.load(builder.bitcast(row, ir.VectorType(ir.IntType(8), LANES).as_pointer()), align=1)
        found = builder.add(builder.zext(lanes, numbers), self._writer.spread(builder.trunc(at, NUMBER)))
        total = self.end
        builder.store(found, builder.bitcast(self._writer.at("indices", total), numbers.as_pointer()), align=4)
        builder.store(builder.add(total, builder.zext(builder.ctpop(bits), INDEX)), self._total)
