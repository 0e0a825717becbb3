"""Figures for people: plain arrays in, a matplotlib `Figure` out; nothing is shown, and no global state is touched.

Time is in steps everywhere. `save` writes what the other functions draw.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import ArrayLike, NDArray

from snnsim import plot_style as style
from snnsim.files import write_bytes
from snnsim.plot_style import styled

Values = NDArray[np.float64]

MAX_TRACES = 8
MAX_FIELDS = 64
FIELD_COLUMNS = 8


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; equal figures give equal bytes.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    write_bytes(path, style.png(figure))


@styled
def learning_curves(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw accuracy, and beside it spikes and synaptic operations per sample, over the epochs.

    Parameters
    ----------
    rows
        The rows of ``metrics.csv``, values as numbers or text; a missing value leaves a gap. Where they have a
        ``valid_loss``, as those of a regression, the losses take the place of accuracy.
    """
    figure = style.figure_of(3.4)
    grid = figure.add_gridspec(2, 2, width_ratios=[1.25, 1])
    reached = figure.add_subplot(grid[:, 0])
    spikes = figure.add_subplot(grid[0, 1])
    synops = figure.add_subplot(grid[1, 1], sharex=spikes)
    epochs = column(rows, "epoch")
    what = "loss" if any("valid_loss" in row for row in rows) else "accuracy"
    _curve(reached, epochs, column(rows, f"train_{what}"), style.ORANGE, "training")
    _curve(reached, epochs, column(rows, f"valid_{what}"), style.BLUE, "validation")
    reached.set(title=what.capitalize(), xlabel="epoch")
    if what == "accuracy":
        reached.yaxis.set_major_formatter(style.PERCENT)
    reached.legend(loc="lower right" if what == "accuracy" else "upper right")
    _curve(spikes, epochs, column(rows, "spikes_per_sample"), style.GREEN)
    spikes.set_title("Spikes per sample")
    spikes.tick_params(labelbottom=False)
    _curve(synops, epochs, column(rows, "synops_per_sample"), style.PURPLE)
    synops.set(title="Synaptic operations per sample", xlabel="epoch")
    for axes, key in ((spikes, "spikes_per_sample"), (synops, "synops_per_sample")):
        axes.set_ylim(0, 1.15 * np.nanmax([0, *column(rows, key)]) or 1)
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.yaxis.set_major_locator(MaxNLocator(4))
    for axes in (reached, spikes, synops):
        axes.grid(axis="y")
        style.whole_numbers(axes, 8)
        if epochs.size:
            axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    return figure


@styled
def spike_raster(layers: Sequence[tuple[str, ArrayLike]], note: str = "") -> Figure:
    """Draw the spikes of one sample, a panel per layer, over shared time.

    Parameters
    ----------
    layers
        Name and array [T, N] of the input (named "input") and of every layer, from top to bottom. Values other
        than 0 and 1 become shades of grey; an analog input that is the same at every step may be [1, N].
    note
        What the sample is, for example its label and the network's answer.
    """
    arrays = [(name, as_matrix(values)) for name, values in layers]
    steps = max(len(values) for _, values in arrays)
    heights = [0.55 + 0.32 * math.log10(values.shape[1] + 1) for _, values in arrays]
    figure = style.figure_of(0.9 + sum(heights))
    panels = figure.subplots(len(arrays), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    colours = itertools.cycle((style.BLUE, style.VERMILLION, style.GREEN, style.PURPLE))
    for axes, (name, values) in zip(panels, arrays, strict=True):
        is_input = name == "input"
        _raster_panel(axes, name, values, steps, style.GREY if is_input else next(colours))
        _label_panel(axes, values, "input" if is_input else "neuron")
    panels[0].set_title("One sample through all layers")
    if note:
        panels[0].set_title(note, loc="right", fontweight="normal", fontsize=9, color=style.GREY)
    panels[-1].set_xlabel("time step")
    panels[-1].set_xlim(0.5, steps + 0.5)
    style.whole_numbers(panels[-1], 10)
    return figure


@styled
def membrane_traces(
    membrane: ArrayLike,
    spikes: ArrayLike,
    threshold: ArrayLike,
    neurons: ArrayLike | None = None,
    layer: str = "",
) -> Figure:
    """Draw the membrane of a few neurons (the first eight) with their threshold and spikes.

    Parameters
    ----------
    membrane, spikes
        [T, n], the membrane before the reset in units of the weights, and 1 where it fired.
    threshold
        One number, or one per neuron [n].
    neurons
        Their numbers in the layer [n]; 0, 1, 2 .. if not given.
    layer
        The layer's name, for the title.
    """
    traces, fired = as_matrix(membrane)[:, :MAX_TRACES], as_matrix(spikes)[:, :MAX_TRACES] > 0
    steps, count = traces.shape
    thresholds = np.broadcast_to(np.asarray(threshold, np.float64), np.shape(membrane)[1:])
    numbers = np.arange(count) if neurons is None else np.asarray(neurons)
    figure = style.figure_of(0.95 + 0.8 * count)
    panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    time = np.arange(1, steps + 1)
    for index, axes in enumerate(panels):
        trace, spike = traces[:, index], fired[:, index]
        axes.axhline(thresholds[index], color=style.GREY, linewidth=1, linestyle=(0, (4, 3)), label="threshold")
        marker = "." if steps <= 60 else ""
        axes.plot(time, trace, color=style.BLUE, linewidth=1.4, marker=marker, markersize=4, label="membrane")
        axes.plot(time[spike], trace[spike], "o", color=style.VERMILLION, markersize=5, label="spike")
        axes.set_ylabel(f"neuron {numbers[index]}", rotation=0, ha="right", va="center")
        axes.margins(y=0.15)
        axes.yaxis.set_major_locator(MaxNLocator(3))
    panels[0].set_title(f"Membrane before reset, {layer}" if layer else "Membrane before reset")
    panels[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0.2)
    panels[-1].set_xlabel("time step")
    panels[-1].set_xlim(0.5, steps + 0.5)
    style.whole_numbers(panels[-1], 10)
    return figure


@styled
def firing_rates(layers: Sequence[tuple[str, ArrayLike]]) -> Figure:
    """Draw how the neurons of each layer differ in their firing rate, and how many never fired.

    Parameters
    ----------
    layers
        Name and mean rate [N] of each firing layer, in spikes per neuron and step.
    """
    rates = [(name, np.asarray(values, np.float64).ravel()) for name, values in layers]
    columns = 2 if len(rates) == 4 else min(3, len(rates))
    rows = math.ceil(len(rates) / columns)
    figure = style.figure_of(0.5 + 2.3 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    highest = max((float(values.max(initial=0)) for _, values in rates), default=0)
    edges = np.linspace(0, highest or 1, 31)
    for axes, (name, values) in zip(panels, rates, strict=False):
        _rate_panel(axes, name, values, edges)
    for axes in panels[len(rates) :]:
        axes.set_visible(False)
    for axes in panels[max(0, len(rates) - columns) : len(rates)]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("spikes per step")
    for axes in panels[::columns]:
        axes.set_ylabel("share of neurons")
    return figure


@styled
def first_layer_weights(weights: ArrayLike, input_shape: Sequence[int]) -> Figure:
    """Draw what the neurons of the first layer look for.

    Parameters
    ----------
    weights
        [out, inputs], in units of the input.
    input_shape
        (C, H, W) or (H, W) for images: a field per neuron, the strongest 64 first, channels summed. Any other
        shape gives one map of all weights.
    """
    values = as_matrix(weights)
    height, width = (input_shape[-2], input_shape[-1]) if len(input_shape) in (2, 3) else (1, 1)
    if height == 1 or width == 1:
        return _weight_map(values)
    return _fields(values.reshape(len(values), -1, height, width))


def _fields(images: Values) -> Figure:
    """Draw the images [out, C, H, W] of the largest norm as one mosaic."""
    outputs, channels, height, width = images.shape
    strength = np.square(images).sum(axis=(1, 2, 3))
    chosen = np.argsort(-strength, kind="stable")[:MAX_FIELDS]
    columns, rows = FIELD_COLUMNS, math.ceil(len(chosen) / FIELD_COLUMNS)
    gap = max(1, round(0.08 * width))
    mosaic = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    figure = style.figure_of(0.6 + 0.86 * style.SQUARE * mosaic.shape[0] / mosaic.shape[1], style.SQUARE)
    axes = figure.add_subplot()
    for place, field in enumerate(images[chosen].sum(axis=1)):
        top, left = (place // columns) * (height + gap), (place % columns) * (width + gap)
        mosaic[top : top + height, left : left + width] = field
        corner = (left - 0.5, top - 0.5)
        axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=style.RULE, linewidth=0.6))
    limit = _limit(mosaic)
    image = axes.imshow(mosaic, cmap=style.SIGNED, vmin=-limit, vmax=limit, interpolation="nearest")
    axes.set_axis_off()
    which = f"the {len(chosen)} strongest of {outputs:,}" if outputs > len(chosen) else "strongest first"
    axes.set_title(f"First-layer weights, {which}" + (f", {channels} channels summed" if channels > 1 else ""))
    _colour_bar(figure, image, axes)
    return figure


def _weight_map(values: Values) -> Figure:
    figure = style.figure_of(3.6)
    axes = figure.add_subplot()
    limit = _limit(values)
    # Where there are more weights than pixels, they are averaged as weights, not as colours.
    blend = "antialiased" if len(values) > 400 or values.shape[1] > 800 else "nearest"
    image = axes.imshow(values, cmap=style.SIGNED, vmin=-limit, vmax=limit, aspect="auto", interpolation=blend)
    image.set_interpolation_stage("data")
    axes.set(title="First-layer weights", xlabel="input", ylabel="neuron")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    _colour_bar(figure, image, axes)
    return figure


def as_matrix(values: ArrayLike) -> Values:
    """Return values as [rows, columns], whatever dimensions follow the first."""
    array = np.asarray(values, np.float64)
    return array.reshape(len(array), -1)


def column(rows: Sequence[Mapping[str, Any]], key: str) -> Values:
    """Read one column of a table of numbers or their texts, ``metrics.csv``; what is missing becomes NaN."""
    cells = (row.get(key) for row in rows)
    return np.array([math.nan if cell in (None, "") else float(cell) for cell in cells], np.float64)


def _curve(axes: Axes, epochs: Values, values: Values, colour: str, label: str = "") -> None:
    marker = "o" if len(epochs) <= 20 else ""
    axes.plot(epochs, values, color=colour, marker=marker, markersize=4, label=label)


def _raster_panel(axes: Axes, name: str, values: Values, steps: int, colour: str) -> None:
    neurons = values.shape[1]
    if _is_analog(values):
        extent = (0.5, steps + 0.5, -0.5, neurons - 0.5)
        axes.imshow(values.T, cmap=style.GREYS, aspect="auto", origin="lower", extent=extent, interpolation="nearest")
    else:
        time, neuron = np.nonzero(values)
        axes.add_collection(_ticks(axes, time + 1, neuron, (steps, neurons), colour))
    axes.set_ylim(-0.5, neurons - 0.5)
    axes.set_yticks([0, neurons - 1] if neurons > 1 else [0])
    axes.set_ylabel(name, rotation=0, ha="right", va="center", fontweight="bold")


def _label_panel(axes: Axes, values: Values, noun: str) -> None:
    """Say beside a panel how many neurons and spikes there are; a silent layer stands out."""
    spikes = int(np.count_nonzero(values))
    summary = "analog" if _is_analog(values) else _counted(spikes, "spike") if spikes else "no spikes"
    colour = style.GREY if spikes else style.VERMILLION
    text = f"{_counted(values.shape[1], noun)}\n{summary}"
    axes.text(1.01, 0.5, text, transform=axes.transAxes, va="center", color=colour, fontsize=8.5)


def _is_analog(values: Values) -> bool:
    return bool(np.any((values != 0) & (values != 1)))


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _ticks(
    axes: Axes, time: NDArray[np.intp], neuron: NDArray[np.intp], shape: tuple[int, int], colour: str
) -> LineCollection:
    """Draw spikes as upright ticks, at least a pixel or two in size, fainter where they must overlap."""
    (steps, neurons), panel = shape, axes.get_window_extent()
    step_pixels, neuron_pixels = panel.width / steps, panel.height / neurons
    half = max(0.4, 1.4 / neuron_pixels)
    width = min(max(0.45 * step_pixels, 1.0), 7.0)
    covered = len(time) * width * 2 * half / (panel.width * neurons)
    segments = np.stack([np.stack([time, neuron - half], 1), np.stack([time, neuron + half], 1)], 1)
    return LineCollection(
        list(segments),
        colors=colour,
        linewidths=width * 72 / style.DPI,
        alpha=float(np.clip(0.6 / max(covered, 1e-9), 0.25, 0.95)),
        capstyle="butt",
    )


def _rate_panel(axes: Axes, name: str, values: Values, edges: Values) -> None:
    silent = values == 0
    weights = np.full(len(values), 1 / max(len(values), 1))
    shares, _, _ = axes.hist(
        values[~silent], list(edges), weights=weights[~silent], color=style.SKY, edgecolor="white", linewidth=0.5
    )
    quiet = float(silent.mean()) if len(values) else 0.0
    # Beside zero, not in a bin: neurons that never fired are another thing than neurons that seldom fire.
    axes.bar(-1.2 * edges[1], quiet, width=edges[1], color=style.VERMILLION)
    axes.set_title(name)
    highest = max(float(np.max(shares)), quiet) or 1.0
    axes.set_ylim(0, 1.3 * highest)
    axes.set_yticks([tick for tick in MaxNLocator(4).tick_values(0, highest) if tick <= 1.01 * highest])
    axes.yaxis.set_major_formatter(style.PERCENT)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.grid(axis="y")
    mean = f"mean {values.mean():.3g}" if len(values) else "no neurons"
    axes.text(0.98, 0.97, mean, transform=axes.transAxes, ha="right", va="top", fontsize=8.5)
    hushed = f"{100 * quiet:.3g}% silent" if quiet else "none silent"
    colour = style.VERMILLION if quiet else style.GREY
    axes.text(0.98, 0.87, hushed, transform=axes.transAxes, ha="right", va="top", color=colour, fontsize=8.5)


def _limit(values: Values) -> float:
    """Return the end of a scale around zero; one far-off weight should not pale all the others."""
    return float(np.nanquantile(np.abs(values), 0.998)) or 1.0


def _colour_bar(figure: Figure, image: AxesImage, axes: Axes) -> None:
    bar = figure.colorbar(image, ax=axes, fraction=0.025, pad=0.02, label="weight")
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(5)
    bar.update_ticks()
