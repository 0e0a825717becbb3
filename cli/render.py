"""Results as text for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from snnsim.progress import count


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Set rows in columns under a head; numbers to the right, all else to the left."""
    lines = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    numeric = [all(isinstance(row[column], (int, float)) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )


def test_figures(test: Mapping[str, Any]) -> str:
    """Put the figures of a test into one line."""
    if test["accuracy"] is None:
        reached = f"test loss (mean squared error) {test['loss']:.4g} on {test['samples']} samples"
    else:
        reached = f"test accuracy {test['accuracy']:.2%} on {test['samples']} samples, loss {test['loss']:.4f}"
    return (
        f"{reached}, {count(test['spikes_per_sample'])} spikes and {count(test['synops_per_sample'])} synops a sample"
    )


def joules(value: float) -> str:
    """Write an energy with the prefix that suits it: ``1.24 µJ``."""
    for size, unit in ((1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"), (1e-9, "nJ")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-12:.3g} pJ"


def memory(size: int) -> str:
    """Write a number of bytes: ``4.0 KiB``."""
    value = float(size)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def shape(axes: Sequence[int]) -> str:
    """Write a shape: ``1x28x28``."""
    return "x".join(map(str, axes))


def fan_out(mean: float, largest: int) -> str:
    """Write how many synapses an event reaches: ``256``, or ``293.88 (at most 400)`` where inputs differ."""
    return f"{largest:,}" if mean == largest else f"{mean:,.2f} (at most {largest:,})"


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def origin_lines(origin: Mapping[str, Any]) -> list[str]:
    """Say what a network was read from, then what was assumed, one thing a line; nothing of one of our own."""
    if not origin:
        return []
    form = " ".join(str(origin.get(key, "")) for key in ("format", "version")).strip()
    assumed = origin.get("assumed")
    return [
        f"read from {form}, steps of {origin.get('dt')} s by {origin.get('discretization')}",
        *map(str, assumed if isinstance(assumed, list) else []),
    ]
