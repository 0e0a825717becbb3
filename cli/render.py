"""Results as text for people."""

from collections.abc import Mapping, Sequence
from typing import Any


def neurobench_rows(figures: Mapping[str, float]) -> list[tuple[str, str]]:
    """Write NeuroBench's figures under its names, with their units; operations are per sample."""
    units = {"Footprint": " bytes", "Effective_MACs": " a sample", "Effective_ACs": " a sample", "Dense": " a sample"}
    return [(name, f"{value:,.10g}{units.get(name, '')}") for name, value in figures.items()]


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
