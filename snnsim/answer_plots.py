"""Figures of what a network answers: which classes it takes for which, and values beside those that are true."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from snnsim import plot_style as style
from snnsim.plot_style import styled
from snnsim.plots import Values, as_matrix

MAX_NUMBERED_CLASSES = 20
COLOURS = (style.BLUE, style.VERMILLION, style.GREEN, style.PURPLE)


@styled
def confusion_matrix(matrix: ArrayLike, class_names: Sequence[str] | None = None) -> Figure:
    """Draw which classes are taken for which: right answers in blue, mistakes in orange.

    Parameters
    ----------
    matrix
        Counts [K, K]: true class by row, answer by column. Up to 20 classes the numbers are written too.
    class_names
        [K]; 0, 1, 2 .. if not given.
    """
    counts = as_matrix(matrix)
    classes = len(counts)
    names = [str(name) for name in (range(classes) if class_names is None else class_names)]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right = np.eye(classes, dtype=bool)
    numbered = classes <= MAX_NUMBERED_CLASSES
    figure = style.figure_of(5.6, style.SQUARE)
    axes = figure.add_subplot()
    # Mistakes are rare: on the scale of the right answers none could be seen.
    worst = float(np.where(right, 0, share).max(initial=0)) or 1.0
    axes.imshow(np.where(right, np.nan, share), cmap=style.ORANGES, vmin=0, vmax=worst)
    axes.imshow(np.where(right, share, np.nan), cmap=style.BLUES, vmin=0, vmax=1)
    if numbered:
        _write_counts(axes, counts, np.where(right, share, share / worst * 0.9))
    places = np.arange(0, classes, math.ceil(classes / MAX_NUMBERED_CLASSES))
    axes.set_xticks(places, [names[place] for place in places])
    if max(map(len, names)) > 3:
        axes.tick_params(axis="x", rotation=40)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set_yticks(places, [names[place] for place in places])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    total = counts.sum()
    score = f"{counts.trace() / total:.1%} of {total:,.0f} right" if total else "no samples"
    axes.set(title=f"Confusion matrix: {score}", xlabel="answer", ylabel="true class")
    if numbered:
        axes.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=1.5)
        axes.set_axisbelow(False)
        axes.tick_params(which="minor", length=0)
    return figure


@styled
def outputs_against_targets(targets: ArrayLike, outputs: ArrayLike) -> Figure:
    """Draw what a regression gives over what is true: a point for each sample and output, right on the diagonal.

    Parameters
    ----------
    targets, outputs
        [N, K], N at least 1. Up to four outputs have a colour each.
    """
    true, found = as_matrix(targets), as_matrix(outputs)
    count = true.shape[1]
    figure = style.figure_of(5.6, style.SQUARE)
    axes = figure.add_subplot()
    ends = (min(true.min(), found.min()), max(true.max(), found.max()))
    axes.axline((ends[0], ends[0]), slope=1, color=style.GREY, linewidth=1, linestyle=(0, (4, 3)))
    size = float(np.clip(4000 / true.size, 2, 20))
    for k in range(count):
        colour = COLOURS[k] if count <= len(COLOURS) else style.BLUE
        axes.scatter(true[:, k], found[:, k], s=size, color=colour, alpha=0.6, linewidths=0, label=f"output {k}")
    margin = 0.04 * (ends[1] - ends[0]) or 1.0
    axes.set(xlim=(ends[0] - margin, ends[1] + margin), ylim=(ends[0] - margin, ends[1] + margin), aspect="equal")
    error = f"mean squared error {np.square(true - found).mean():.3g}"
    axes.set(title=f"Predicted against true: {error}", xlabel="true value", ylabel="predicted value")
    axes.grid()
    if 1 < count <= len(COLOURS):
        axes.legend(loc="upper left")
    return figure


def _write_counts(axes: Axes, counts: Values, shade: Values) -> None:
    size = 9 if len(counts) <= 12 else 7
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shade[row, column] > 0.6 else style.INK
            axes.text(column, row, f"{count:.0f}", ha="center", va="center", color=colour, fontsize=size)
