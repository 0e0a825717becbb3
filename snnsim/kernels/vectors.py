"""Vector loops over neurons and over rows of a table: see `snnsim.kernels.writer`. All arrays are flat."""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from snnsim.kernels.codes import NONE, SUBTRACT, SUBTRACT_DELAYED, ZERO
from snnsim.kernels.writer import INDEX, LANES, NOTHING, NUMBER, VECTOR, Writer, written

# Columns of a block of `row_adder`. Measured on one core (Zen 3, AVX2) against 16, 64 and 128: four vectors of eight
# keep a pass's indices worth loading; 784 rows take 100 KB, which the L2 cache holds beside what else streams through.
WIDTH = 32

# Samples that `add_products` takes together, and vectors of columns: twelve sums and three vectors of weights fill the
# sixteen registers of AVX2, and are enough to keep both of its multipliers busy.
TOGETHER = 4
_VECTORS = 3

# Places behind the last event that a vector of them may overwrite.
SLACK = LANES - 1


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
                for count in writer.cases(writer.vectors(columns), WIDTH // LANES):
                    _add_rows(writer, writer.masks(columns, count), passes)

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
        for count in writer.cases(writer.vectors(rest), _VECTORS):
            _multiply(writer, rows, sums, whole, writer.masks(rest, count))


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


def _carry_back(writer: Writer) -> None:
    builder, given = writer.builder, writer.given
    weight = writer.spread(given["weight"])

    def some(at: Any, mask: Any) -> None:
        rows = {name: writer.at(name, at) for name in ("h", "above", "more", "kept", "du", "total", "out")}
        h, above, more, kept, du, total = (writer.load(row, 0, mask) for row in list(rows.values())[:6])
        g = builder.fadd(builder.fmul(above, weight), more)
        du = builder.fadd(builder.fmul(h, g), builder.fmul(kept, du))
        writer.store(du, rows["du"], 0, mask)
        writer.store(builder.fadd(total, du), rows["total"], 0, mask)
        writer.store(du, rows["out"], 0, mask)

    writer.by_vectors(given["n"], some)


# One step back in time of n neurons: ``du = h * (above * weight + more) + kept * du``; ``total`` is added to, ``out``
# is written and may be ``above``.
carry_back = written("h[f] above[f] weight:f more[f] kept[f] du[f] total[f] out[f] n", _carry_back)


def _fire(reset: int) -> Callable[..., int]:
    """Return ``fire(drive, u, beta, limit, threshold, rest, pending, n, indices, total)``: one step of n neurons.

    The membrane ``u = beta * rest + drive`` (``drive`` may be ``u``), less what is ``pending`` where that is the reset;
    ``rest`` after the reset, if any, of those above ``limit``, whose numbers are written from ``indices[total]`` on.
    Returns the end; up to `SLACK` places behind it are overwritten.
    """

    def write(writer: Writer) -> Any:
        builder, events = writer.builder, _Events(writer)

        def some(at: Any, mask: Any) -> None:
            names = ("drive", "beta", "limit", "threshold", "rest")
            drive, beta, limit, threshold, rest = (writer.load(writer.at(name, at), 0, mask) for name in names)
            pending = writer.at("pending", at)
            u = builder.fadd(builder.fmul(beta, rest), drive)
            if reset == SUBTRACT_DELAYED:
                u = builder.fsub(u, writer.load(pending, 0, mask))
            fired = builder.fcmp_ordered(">", u, limit)
            after = u
            if reset == SUBTRACT:
                after = builder.select(fired, builder.fsub(u, threshold), u)
            elif reset == ZERO:
                after = builder.select(fired, NOTHING, u)
            writer.store(u, writer.at("u", at), 0, mask)
            writer.store(after, writer.at("rest", at), 0, mask)
            if reset == SUBTRACT_DELAYED:
                writer.store(builder.select(fired, threshold, NOTHING), pending, 0, mask)
            events.append(fired if mask is None else builder.and_(fired, mask), at)

        writer.by_vectors(writer.given["n"], some)
        return events.end

    return written(
        "drive[f] u[f] beta[f] limit[f] threshold[f] rest[f] pending[f] n indices[i] total", write, returns=True
    )


fire_subtracting = _fire(SUBTRACT)
fire_zeroing = _fire(ZERO)
fire_without_reset = _fire(NONE)
fire_subtracting_late = _fire(SUBTRACT_DELAYED)


def _emit_nonzero(writer: Writer) -> Any:
    events = _Events(writer)

    def some(at: Any, mask: Any) -> None:
        values = writer.load(writer.at("row", at), 0, mask)
        events.append(writer.builder.fcmp_unordered("!=", values, NOTHING), at)

    writer.by_vectors(writer.given["n"], some)
    return events.end


# Write which of a row's n numbers are not zero from ``indices[total]`` on, as `fire` does; return the end.
emit_nonzero = written("row[f] n indices[i] total", _emit_nonzero, returns=True)


def _emit_sums(writer: Writer) -> Any:
    builder, events, scale = writer.builder, _Events(writer), writer.spread(writer.given["scale"])

    def some(at: Any, mask: Any) -> None:
        row = writer.at("row", at)
        values = writer.load(row, 0, mask)
        writer.store(NOTHING, row, 0, mask)
        marked = builder.fcmp_unordered("!=", values, NOTHING)
        events.append(marked, at, builder.fmul(values, scale))

    writer.by_vectors(writer.given["n"], some)
    return events.end


# The same, and their sizes times ``scale`` beside, in ``sizes``; leaves the row zero.
emit_sums = written("row[f] scale:f n indices[i] sizes[f] total", _emit_sums, returns=True)


def _emit_line(writer: Writer) -> Any:
    builder, events, given = writer.builder, _Events(writer), writer.given
    numbers = ir.VectorType(NUMBER, LANES)
    lower = numbers([(1 << lane) - 1 for lane in range(LANES)])

    def some(at: Any, mask: Any) -> None:
        row = writer.at("row", given["row_at"], at)
        values = writer.load(row, 0, mask)
        writer.store(NOTHING, row, 0, mask)
        marked = builder.fcmp_unordered("!=", values, NOTHING)
        bits = builder.zext(builder.bitcast(marked, ir.IntType(LANES)), NUMBER)
        below = writer.bits(builder.and_(writer.spread(bits), lower))
        before = builder.add(below, writer.spread(builder.trunc(events.end, NUMBER)))
        builder.store(before, builder.bitcast(writer.at("before", at), numbers.as_pointer()), align=4)
        events.append(marked, at, values)

    writer.by_vectors(given["n"], some)
    return events.end


# The same of n numbers from ``row_at`` on, counted from there, and where in ``indices`` each would come: ``before`` has
# `SLACK` more than n.
emit_line = written("row[f] row_at n indices[i] sizes[f] before[i] total", _emit_line, returns=True)


def _emit_counts(writer: Writer) -> Any:
    builder, events, scale = writer.builder, _Events(writer), writer.spread(writer.given["scale"])
    numbers = ir.VectorType(NUMBER, LANES)
    nothing = numbers([0] * LANES)

    def some(at: Any, mask: Any) -> None:
        place = builder.bitcast(writer.at("marks", at), numbers.as_pointer())
        marks = builder.load(place, align=4)
        if mask is not None:
            marks = builder.select(mask, marks, nothing)
        builder.store(nothing, place, align=4)
        sizes = builder.fmul(builder.uitofp(writer.bits(marks), VECTOR), scale)
        events.append(builder.icmp_signed("!=", marks, nothing), at, sizes)

    writer.by_vectors(writer.given["n"], some)
    return events.end


# `emit_sums` of rows of marks, a bit each: a number's size is how many it has. ``marks`` has `SLACK` more than n.
emit_counts = written("marks[i] scale:f n indices[i] sizes[f] total", _emit_counts, returns=True)


def _spread_pairs(writer: Writer) -> None:
    builder, given = writer.builder, writer.given
    scale, count = writer.spread(given["scale"]), given["count"]
    whole = builder.and_(count, INDEX(-LANES))
    rest = builder.sub(count, whole)

    def some(row: Any, line: Any, at: Any, mask: Any, vectors: int) -> None:
        values = builder.fmul(writer.load(writer.behind(row, at), 0, mask), scale)
        for half in range(vectors):
            writer.store(writer.doubled(values, half), writer.behind(line, at, at), half)

    # Line after line: what one's last vector puts behind its end, the next overwrites.
    with writer.loop(INDEX(0), builder.mul(given["rows"], given["lines"])) as y:
        row = writer.at("source", given["source_at"], builder.mul(builder.udiv(y, given["lines"]), count))
        line = writer.at("out", given["out_at"], builder.mul(y, given["width"]))
        with writer.loop(INDEX(0), whole, LANES) as at:
            some(row, line, at, None, 2)
        for vectors in writer.cases(writer.vectors(builder.mul(rest, INDEX(2))), 2):
            some(row, line, whole, writer.first(rest), vectors)


# Write rows of ``count`` numbers times ``scale``, each number twice and each row ``lines`` times, to lines ``width``
# apart. A line's last vector is stored whole: up to `SLACK` numbers behind it are overwritten.
spread_pairs = written("source[f] source_at count rows scale:f out[f] out_at width lines", _spread_pairs)


class _Events:
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

    def append(self, marked: Any, at: Any, values: Any = None) -> None:
        """Append the numbers of the marked lanes, of which the first is number ``at``; their values to ``sizes``."""
        builder = self._writer.builder
        bits = builder.bitcast(marked, ir.IntType(LANES))
        numbers = ir.VectorType(NUMBER, LANES)
        row = builder.gep(self._lanes, [INDEX(0), builder.zext(bits, INDEX)])
        lanes = builder.load(builder.bitcast(row, ir.VectorType(ir.IntType(8), LANES).as_pointer()), align=1)
        lanes = builder.zext(lanes, numbers)
        found = builder.add(lanes, self._writer.spread(builder.trunc(at, NUMBER)))
        total = self.end
        builder.store(found, builder.bitcast(self._writer.at("indices", total), numbers.as_pointer()), align=4)
        if values is not None:
            self._writer.store(self._writer.permuted(values, lanes), self._writer.at("sizes", total))
        builder.store(builder.add(total, builder.zext(builder.ctpop(bits), INDEX)), self._total)
