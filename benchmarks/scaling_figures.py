"""The figures of `scaling.py`: milliseconds a sample, with the dense limit drawn."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from snnsim.plot_style import BLUE, DPI, ORANGE, PERCENT, figure_of, styled

KINDS = {"training": (BLUE, "o"), "inference": (ORANGE, "s")}
LABELS = {
    "density": "inputs active at a step",
    "steps": "time steps",
    "width": "neurons in each hidden layer",
    "batch": "samples in a batch",
    "threads": "threads",
}
PLAIN = FuncFormatter(lambda value, _: f"{value / 1000:.4g}k" if value >= 1000 else f"{value:.4g}")


def draw_density(results: dict[str, Any], path: Path) -> None:
    """Draw time against input density."""
    _density(results).savefig(path, dpi=DPI)


def draw_axes(results: dict[str, Any], path: Path) -> None:
    """Draw time against all else that was measured."""
    _others(results).savefig(path, dpi=DPI)


@styled
def _density(results: dict[str, Any]) -> Figure:
    figure = figure_of(4.2)
    axes = figure.add_subplot()
    points = results["axes"]["density"]
    _lines(axes, "density", points)
    axes.set_ylabel("milliseconds a sample")
    axes.set_title(f"784-256-256-10, {points[0]['setting']['steps']} steps")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


@styled
def _others(results: dict[str, Any]) -> Figure:
    shown = [axis for axis in results["axes"] if axis != "density"]
    rows = -(-len(shown) // 2)
    figure = figure_of(0.5 + 2.7 * max(1, rows))
    panels = figure.subplots(max(1, rows), 2, squeeze=False).ravel()
    for axes, axis in zip(panels, shown, strict=False):
        _lines(axes, axis, results["axes"][axis])
        axes.set_title(axis.capitalize())
    for axes in panels[::2]:
        axes.set_ylabel("milliseconds a sample")
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    if shown:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figure


def _lines(axes: Axes, axis: str, points: list[dict[str, Any]]) -> None:
    values = [point["value"] for point in points]
    for kind, (colour, marker) in KINDS.items():
        times = [point["milliseconds"][kind] for point in points]
        limits = [point["dense_limit"][kind] for point in points]
        axes.plot(values, times, color=colour, marker=marker, markersize=5, label=f"snnsim, {kind}")
        axes.plot(values, limits, color=colour, linestyle="--", linewidth=1.2, label=f"dense limit, {kind}")
    axes.set_xscale("log", base=2 if axis in ("width", "batch", "threads") else 10)
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    for scale in (axes.xaxis, axes.yaxis):
        scale.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(PERCENT if axis == "density" else PLAIN)
    axes.yaxis.set_major_formatter(PLAIN)
    axes.set_xlabel(LABELS[axis])
    axes.grid(visible=True)
