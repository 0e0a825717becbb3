"""Vector loops over neurons and steps: see `snnsim.kernels.writer`. All arrays are flat.

A block of neurons goes through all steps, its states in registers, before the next block does.
"""

from collections.abc import Callable, Sequence
from typing import Any

from snnsim.kernels.codes import (
    ATAN,
    BOXCAR,
    FAST_SIGMOID,
    SIGMOID,
    STRAIGHT_THROUGH,
    SUBTRACT,
    SUBTRACT_DELAYED,
    TRIANGLE,
    ZERO,
)
from snnsim.kernels.writer import INDEX, LANES, NOTHING, VECTOR, Writer, written

# Vectors of a block: a neuron's step waits for its last one, so that others are to be under way meanwhile.
_FORWARD, _BACK = 8, 4

# Numbers of a line of the cache.
_LINE = 16

# Neurons of a forward block: what fired of them is one word of eight bytes, a bit each.
FIRED_BLOCK = _FORWARD * LANES


def _by_blocks(writer: Writer, vectors: int, write: Callable[[Any, Sequence[Any]], None]) -> None:
    """Write a loop over n neurons by blocks of vectors: ``write(place, masks)``; the last may have less."""
    builder, n, size = writer.builder, writer.given["n"], vectors * LANES
    whole = builder.mul(builder.sdiv(n, INDEX(size)), INDEX(size))
    with writer.loop(INDEX(0), whole, size) as at:
        write(at, [None] * vectors)
    with builder.if_then(builder.icmp_signed("<", whole, n)):
        write(whole, writer.first_of(builder.sub(n, whole), vectors))


def _ask_for_next(writer: Writer, pointer: Any, vectors: int) -> None:
    """Ask for what the next block needs at this step: steps of wide layers lie too far apart to be foreseen."""
    for k in range(vectors, 2 * vectors, _LINE // LANES):
        writer.prefetch(writer.behind(pointer, INDEX(k * LANES)))


def _loads(writer: Writer, name: str, at: Any, masks: Sequence[Any]) -> list[Any]:
    row = writer.at(name, at)
    return [writer.load(row, k, mask) for k, mask in enumerate(masks)]


def _stores(writer: Writer, places: Sequence[Any], name: str, at: Any, masks: Sequence[Any]) -> None:
    row = writer.at(name, at)
    for k, (place, mask) in enumerate(zip(places, masks, strict=True)):
        writer.store(writer.builder.load(place), row, k, mask)


def _fire(writer: Writer) -> None:
    builder, given = writer.builder, writer.given
    subtracts, zeroes, late = (
        builder.icmp_signed("==", given["reset"], INDEX(reset)) for reset in (SUBTRACT, ZERO, SUBTRACT_DELAYED)
    )

    def block(at: Any, masks: Sequence[Any]) -> None:
        beta, limit, threshold = (_loads(writer, name, at, masks) for name in ("beta", "limit", "threshold"))
        rest, pending = (writer.variables(_loads(writer, name, at, masks)) for name in ("rest", "pending"))
        # One code for all resets: what is subtracted at once or a step later is zero where the reset is another.
        taken = [builder.select(subtracts, level, NOTHING) for level in threshold]
        taken_later = [builder.select(late, level, NOTHING) for level in threshold]
        first_byte = builder.sdiv(at, INDEX(LANES))
        with writer.loop(INDEX(0), given["steps"]) as t:
            drive = writer.at("drive", builder.mul(t, given["drive_step"]), at)
            to = writer.at("u", builder.mul(t, given["u_step"]), at)
            bits = writer.at("fired", builder.mul(t, given["fired_step"]), first_byte)
            _ask_for_next(writer, to, len(masks))
            for k, mask in enumerate(masks):
                u = builder.fadd(builder.fmul(beta[k], builder.load(rest[k])), writer.load(drive, k, mask))
                u = builder.fsub(u, builder.load(pending[k]))
                fired = builder.fcmp_ordered(">", u, limit[k])
                after = builder.select(zeroes, NOTHING, builder.fsub(u, taken[k]))
                writer.store(u, to, k, mask)
                builder.store(builder.select(fired, after, u), rest[k])
                builder.store(builder.select(fired, taken_later[k], NOTHING), pending[k])
                marked = fired if mask is None else builder.and_(fired, mask)
                builder.store(writer.bits(marked), builder.gep(bits, [INDEX(k)]))
        _stores(writer, rest, "rest", at, masks)
        _stores(writer, pending, "pending", at, masks)

    _by_blocks(writer, _FORWARD, block)


# Steps of n neurons: the membrane ``u = beta * rest + drive - pending`` (``drive`` may be ``u``); ``rest`` after the
# ``reset`` of those above ``limit``, whose bits are set in ``fired``, in whole blocks of `FIRED_BLOCK`; ``pending`` is
# what a delayed reset takes from the next step. Rows of a step lie the step sizes apart, 0 where all steps share one.
fire = written(
    "drive[f] drive_step u[f] u_step beta[f] limit[f] threshold[f] rest[f] pending[f] fired[b] fired_step n steps "
    "reset",
    _fire,
)


def _emit(writer: Writer) -> Any:
    builder, events = writer.builder, writer.events()
    with writer.loop(INDEX(0), writer.given["blocks"]) as block:
        row = writer.at("fired", builder.mul(block, INDEX(_FORWARD)))
        with builder.if_then(writer.any_bit(row, _FORWARD)):
            for k in range(_FORWARD):
                first = builder.add(builder.mul(block, INDEX(FIRED_BLOCK)), INDEX(k * LANES))
                events.append(builder.load(builder.gep(row, [INDEX(k)])), first)
    return events.end


# Write the numbers of the bits that are set in so many blocks of ``fired`` from ``indices[total]`` on; return the end.
# Up to `writer.SLACK` places behind it are overwritten.
emit = written("fired[b] blocks indices[i] total", _emit, returns=True)


_SURROGATES = (FAST_SIGMOID, ATAN, SIGMOID, TRIANGLE, BOXCAR, STRAIGHT_THROUGH)


def _derivatives(writer: Writer, u: Sequence[Any], threshold: Sequence[Any]) -> list[Any]:
    """Write the surrogate's derivative of some vectors of membranes; ``sharpness`` is its slope, alpha or width."""
    builder = writer.builder
    one = VECTOR([1.0] * LANES)
    sharpness = writer.spread(writer.given["sharpness"])
    found = writer.variables([NOTHING] * len(u))
    number = builder.add(writer.given["code"], INDEX(1))
    for case, code in zip(writer.cases(number, len(_SURROGATES)), _SURROGATES, strict=True):
        assert code == case - 1
        for k, (membrane, level) in enumerate(zip(u, threshold, strict=True)):
            x = builder.fsub(membrane, level)
            if code == FAST_SIGMOID:
                y = builder.fadd(builder.fmul(sharpness, writer.applied("fabs", x)), one)
                h = builder.fdiv(one, builder.fmul(y, y))
            elif code == ATAN:
                y = builder.fmul(builder.fmul(sharpness, VECTOR([1.5707963705062866] * LANES)), x)  # pi / 2
                h = builder.fdiv(builder.fmul(sharpness, VECTOR([0.5] * LANES)), builder.fadd(one, builder.fmul(y, y)))
            elif code == SIGMOID:
                # y (1 - y) written so that no digits cancel where y is near 1.
                e = writer.applied("exp", builder.fmul(builder.fneg(sharpness), writer.applied("fabs", x)))
                y = builder.fadd(one, e)
                h = builder.fdiv(builder.fmul(sharpness, e), builder.fmul(y, y))
            elif code == TRIANGLE:
                y = builder.fsub(one, builder.fdiv(writer.applied("fabs", x), sharpness))
                h = builder.fdiv(builder.select(builder.fcmp_ordered(">", y, NOTHING), y, NOTHING), sharpness)
            elif code == BOXCAR:
                inside = builder.fcmp_ordered("<", writer.applied("fabs", x), sharpness)
                h = builder.select(inside, builder.fdiv(VECTOR([0.5] * LANES), sharpness), NOTHING)
            else:
                h = one
            builder.store(h, found[k])
    return [builder.load(place) for place in found]


def _surrogate(writer: Writer) -> None:
    def some(at: Any, masks: Sequence[Any]) -> None:
        u, threshold = (_loads(writer, name, at, masks) for name in ("u", "threshold"))
        row = writer.at("h", at)
        for k, (h, mask) in enumerate(zip(_derivatives(writer, u, threshold), masks, strict=True)):
            writer.store(h, row, k, mask)

    _by_blocks(writer, 1, some)


# The surrogate's derivative ``h(u - threshold)`` of n neurons.
surrogate = written("u[f] threshold[f] h[f] n code sharpness:f", _surrogate)


def _carry_back(writer: Writer) -> None:
    builder, given = writer.builder, writer.given

    def block(at: Any, masks: Sequence[Any]) -> None:
        names = ("more", "beta", "cleared_above", "threshold")
        more, beta, cleared_above, threshold = (_loads(writer, name, at, masks) for name in names)
        du, total = (writer.variables(_loads(writer, name, at, masks)) for name in ("du", "total"))
        last = builder.sub(given["steps"], INDEX(1))
        with writer.loop(INDEX(0), given["steps"]) as back:
            t = builder.sub(last, back)
            weight = writer.spread(builder.load(writer.at("weights", t)))
            above = writer.at("above", builder.mul(t, given["above_step"]), at)
            out = writer.at("out", builder.mul(t, given["out_step"]), at)
            row = writer.at("u", builder.mul(t, given["n"]), at)
            for pointer in (row, above, out):
                _ask_for_next(writer, pointer, len(masks))
            u = [writer.load(row, k, mask) for k, mask in enumerate(masks)]
            for k, (h, mask) in enumerate(zip(_derivatives(writer, u, threshold), masks, strict=True)):
                g = builder.fadd(builder.fmul(writer.load(above, k, mask), weight), more[k])
                kept = builder.select(builder.fcmp_ordered(">", u[k], cleared_above[k]), NOTHING, beta[k])
                delta = builder.fadd(builder.fmul(h, g), builder.fmul(kept, builder.load(du[k])))
                builder.store(delta, du[k])
                builder.store(builder.fadd(builder.load(total[k]), delta), total[k])
                writer.store(delta, out, k, mask)
        _stores(writer, du, "du", at, masks)
        _stores(writer, total, "total", at, masks)

    _by_blocks(writer, _BACK, block)


# All steps of n neurons back in time: ``du = h * (above * weights[t] + more) + kept * du``, with ``kept`` = beta, but 0
# where the membrane is above ``cleared_above``; ``total`` is added to, ``out`` is written and may be ``above``. Rows of
# ``u`` lie n apart, those of ``above`` and ``out`` the step sizes, 0 where all steps share one.
carry_back = written(
    "u[f] above[f] above_step weights[f] more[f] beta[f] cleared_above[f] threshold[f] du[f] total[f] out[f] out_step "
    "n steps code sharpness:f",
    _carry_back,
)
