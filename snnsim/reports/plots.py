"""Figures of several runs on the same axes, each run with a colour and a marker of its own."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from snnsim import plot_style as style
from snnsim.pareto import pareto_front
from snnsim.plots import Values, column

Rows = Sequence[Mapping[str, Any]]

# The measures of cost that stand beside every curve, with their titles.
COSTS = (("spikes_per_sample", "Spikes per sample"), ("synops_per_sample", "Synaptic operations per sample"))

# Their numbers have no common factor: 88 runs look different.
COLOURS = (style.BLUE, style.VERMILLION, style.GREEN, style.PURPLE, style.ORANGE, style.INK, style.SKY, style.GREY)
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "p", "h")

LONGEST_LABEL = 30
MOST_MARKED = 20  # longer curves go without markers
WIDE = 20.0  # costs that differ by more than this factor are drawn on a logarithmic axis
NEAR = 16.0  # pixels: what is nearer to a point than this would be under its number


@dataclass(frozen=True)
class Point:
    """A run in a Pareto figure: its number in the page, label, cost, and score, of which more is better."""

    number: int
    label: str
    cost: float
    score: float


def look(place: int) -> dict[str, Any]:
    """Return the colour and marker of the run at a place, from 0."""
    return {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)]}


@style.styled
def learning_curves(runs: Sequence[tuple[str, Rows]], *, regression: bool = False) -> Figure:
    """Draw validation accuracy (of regressions the loss), spikes and SynOps over the epochs, a curve a run.

    Parameters
    ----------
    runs
        Label and rows of ``metrics.csv``; a missing value leaves a gap.
    """
    reached = ("valid_loss", "Validation loss") if regression else ("valid_accuracy", "Validation accuracy")
    return _curves(runs, "epoch", "epoch", reached)


@style.styled
def number_of_steps(runs: Sequence[tuple[str, Rows]], *, regression: bool = False) -> Figure:
    """Draw test accuracy (of regressions the loss), spikes and SynOps against the number of steps, a curve a run.

    Parameters
    ----------
    runs
        Label and rows of ``steps.csv``; a single run needs no legend.
    """
    reached = ("loss", "Test loss") if regression else ("accuracy", "Test accuracy")
    return _curves(runs, "steps", "time steps", reached)


@style.styled
def pareto_figure(groups: Mapping[str, Sequence[Point]], *, regression: bool = False) -> Figure:
    """Draw scores against costs with the front of the runs that no other beats in both, a panel a group.

    Parameters
    ----------
    groups
        Title (empty for one group) to the runs that can be compared; scores are accuracies, or losses below zero.
    """
    figure = style.figure_of(0.4 + 3.9 * len(groups))
    panels = figure.subplots(len(groups), 1, squeeze=False)[:, 0]
    for axes, (title, points) in zip(panels, groups.items(), strict=True):
        _pareto_panel(axes, points, regression=regression)
        if title:
            axes.set_title(title)
    for axes in panels:
        axes.set_xlabel("synaptic operations per test sample")
    figure.draw_without_rendering()  # the numbers' places are in pixels
    for axes, points in zip(panels, groups.values(), strict=True):
        _number(axes, points, regression=regression)
    return figure


def _pareto_panel(axes: Axes, points: Sequence[Point], *, regression: bool) -> None:
    costs, heights = [point.cost for point in points], [_height(point, regression) for point in points]
    front = pareto_front(costs, [point.score for point in points])
    axes.plot(
        [costs[k] for k in front],
        [heights[k] for k in front],
        color=style.INK,
        linewidth=1.2,
        drawstyle="steps-post",
        zorder=1,
        label="Pareto front",
    )
    for point, cost, height in zip(points, costs, heights, strict=True):
        edged = look(point.number - 1) | {"markeredgecolor": "white", "markeredgewidth": 0.8}
        axes.plot(cost, height, linestyle="", markersize=8, zorder=2, **edged)
    if min(costs) > 0 and max(costs) > WIDE * min(costs):
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.margins(0.12, 0.16)
    axes.set_ylabel("mean squared error" if regression else "test accuracy (%)")
    axes.grid()
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2)  # above: below it points may lie


def _height(point: Point, regression: bool) -> float:
    return -point.score if regression else 100 * point.score


def _number(axes: Axes, points: Sequence[Point], *, regression: bool) -> None:
    """Write the runs' numbers beside their points, where no other point or number is."""
    places = np.array([axes.transData.transform((point.cost, _height(point, regression))) for point in points])
    taken = [*places]
    for point, place in zip(points, places, strict=True):
        around = [np.array(offset) for offset in itertools.product((0, 16, -16), (16, -16, 0)) if any(offset)]
        free = min(around, key=lambda offset: sum(_distance(place + offset, other) < NEAR for other in taken))
        taken.append(place + free)
        axes.annotate(
            str(point.number),
            (point.cost, _height(point, regression)),
            xytext=tuple(free * 72 / style.DPI),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8.5,
        )


def _distance(one: Values, other: Values) -> float:
    return math.dist(one, other)


def _curves(runs: Sequence[tuple[str, Rows]], key: str, noun: str, reached: tuple[str, str]) -> Figure:
    """Draw what is reached at the left, spikes above SynOps at the right, all over the same column."""
    lines = math.ceil(len(runs) / 2) if len(runs) > 1 else 0
    figure = style.figure_of(3.4 + 0.2 * lines)
    grid = figure.add_gridspec(2, 2, width_ratios=[1.25, 1])
    left = figure.add_subplot(grid[:, 0])
    panels = [left, *(figure.add_subplot(grid[row, 1]) for row in range(2))]
    for axes, (measure, title) in zip(panels, (reached, *COSTS), strict=True):
        for place, (label, rows) in enumerate(runs):
            across, up = column(rows, key), column(rows, measure)
            marks = look(place) if across.size <= MOST_MARKED else {"color": look(place)["color"]}
            axes.plot(across, up, markersize=4, label=shortened(f"{place + 1} {label}"), **marks)
        axes.set_title(title)
        axes.grid(axis="y")
        style.whole_numbers(axes, 8)
    if "accuracy" in reached[0]:
        left.yaxis.set_major_formatter(style.PERCENT)
    left.set_xlabel(noun)
    panels[1].tick_params(labelbottom=False)
    panels[2].set_xlabel(noun)
    for axes in panels[1:]:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    if lines:
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=2)
    return figure


def shortened(label: str) -> str:
    """Cut a label that would not fit, in its middle."""
    half = LONGEST_LABEL // 2
    return label if len(label) <= LONGEST_LABEL else f"{label[: half - 1]}…{label[-half:]}"
