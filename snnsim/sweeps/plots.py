"""The figures of a comparison, each method with a colour and a marker of its own, and that of a search."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from snnsim import plot_style as style
from snnsim.sweeps.found import COST, WORTH, Found
from snnsim.sweeps.results import Comparison, SettingResult

# Of so many methods no palette tells all apart: the marker does, whatever the colour.
COLOURS = (style.GREY, style.BLUE, style.VERMILLION, style.GREEN, style.ORANGE, style.PURPLE, style.SKY, style.INK)
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "p", "h")

# A result that is further from the best than this share of the spread of the better half would hide the rest.
TAIL = 3.0

# Points below the top: a Pareto set may end in trials that do next to nothing, at next to no cost.
DEPTH = 20


@style.styled
def pareto_front(comparison: Comparison) -> Figure:
    """Draw mean test accuracy against spikes and against SynOps, with standard deviations, and both fronts."""
    figure = style.figure_of(5.6)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, measure, title in ((left, "spikes", "spikes"), (right, "synops", "SynOps")):
        for method, results in by_method(comparison.results).items():
            across = [result.mean(measure) for result in results]
            up = [result.mean("accuracy") for result in results]
            axes.errorbar(
                [mean.mean for mean in across],
                [100 * mean.mean for mean in up],
                xerr=[mean.deviation for mean in across],
                yerr=[100 * mean.deviation for mean in up],
                linestyle="",
                elinewidth=0.5,
                ecolor=style.RULE,
                label=method,
                **_look(comparison, method),
            )
        _front(axes, comparison.front(measure), measure, "accuracy")
        axes.set_title(f"Pareto front: accuracy against {title}")
        axes.set_xlabel(f"{title} per test sample, mean over seeds")
        _counts(axes)
    left.set_ylabel("test accuracy (%)")
    left.set_ylim(*_accuracy_limits(comparison.results, "accuracy"))
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


@style.styled
def search_front(found: Found) -> Figure:
    """Draw accuracy against SynOps: in validation with its front, which chooses, and in the test, which does not."""
    figure = style.figure_of(4.8)
    left, right = figure.subplots(1, 2)
    best = found.best
    others = [result for result in found.results if result not in best]
    chosen = "Pareto set" if len(found.loaded.search.objectives) > 1 else "best trial"
    kinds = [(chosen, best, _mark(style.BLUE, "D"))]
    if others:
        kinds.insert(0, ("other trials", others, _mark(style.GREY, "o")))
    for axes, cost, worth, sample in ((left, COST, WORTH, "validation"), (right, "synops", "accuracy", "test")):
        for name, results, look in kinds:
            across = [result.mean(cost).mean for result in results]
            axes.plot(across, [100 * result.mean(worth).mean for result in results], linestyle="", label=name, **look)
        low, high = _search_limits(found, worth)
        axes.set_ylim(low, high)
        below = sum(100 * result.mean(worth).mean < low for result in found.results)
        axes.set_xlabel(
            f"SynOps per {sample} sample" + (f"\n({below} of {len(found.results)} lie below)" if below else "")
        )
        axes.set_ylabel(f"{sample} accuracy (%)")
        _counts(axes)
    _front(left, found.front(COST, WORTH), COST, WORTH)
    left.set_title("Validation: what was searched for")
    right.set_title("Test: the same trials")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


@style.styled
def logit_ranges(comparison: Comparison) -> Figure:
    """Draw spikes against the logits' range: what asks for smaller logits, asks for fewer spikes."""
    figure = style.figure_of(4.8)
    axes = figure.add_subplot()
    for method, results in by_method(comparison.results).items():
        ranges = [result.mean("logit_range").mean for result in results]
        spikes = [result.mean("spikes").mean for result in results]
        axes.plot(ranges, spikes, linestyle="", label=method, **_look(comparison, method))
    axes.set_title("Spikes against the range of the logits")
    axes.set_xlabel("largest minus smallest logit of a test sample, mean")
    axes.set_ylabel("spikes per test sample")
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


@style.styled
def layer_spikes(chosen: Mapping[str, SettingResult]) -> Figure:
    """Draw each layer's mean spikes per test sample, a bar a method, for its chosen setting."""
    names = list(dict.fromkeys(name for result in chosen.values() for name in result.layer_means()))
    figure = style.figure_of(1.5 + 0.34 * len(chosen))
    axes = figure.add_subplot()
    methods = list(chosen)[::-1]
    before = [0.0] * len(methods)
    shades = (style.BLUE, style.SKY, style.ORANGE, style.GREEN, style.PURPLE, style.VERMILLION)
    for place, name in enumerate(names):
        counts = [chosen[method].layer_means().get(name, 0.0) for method in methods]
        axes.barh(methods, counts, left=before, color=shades[place % len(shades)], label=f"layer {name}", height=0.7)
        before = [sofar + count for sofar, count in zip(before, counts, strict=True)]
    axes.set_title("Spikes per layer, best setting in validation")
    axes.set_xlabel("spikes per test sample")
    axes.grid(axis="x")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def by_method(results: Sequence[SettingResult]) -> dict[str, list[SettingResult]]:
    """Group settings by method, in their order."""
    grouped: dict[str, list[SettingResult]] = {}
    for result in results:
        grouped.setdefault(result.setting.method, []).append(result)
    return grouped


def _look(comparison: Comparison, method: str) -> dict[str, Any]:
    place = list(comparison.sweep.methods).index(method)
    return _mark(COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)])


def _mark(colour: str, marker: str) -> dict[str, Any]:
    return {"color": colour, "marker": marker, "markersize": 5.5, "markeredgecolor": "white", "markeredgewidth": 0.5}


def _front(axes: Axes, front: Sequence[SettingResult], cost: str, worth: str) -> None:
    axes.plot(
        [result.mean(cost).mean for result in front],
        [100 * result.mean(worth).mean for result in front],
        color=style.INK,
        linewidth=0.9,
        drawstyle="steps-post",
        zorder=1,
        label="Pareto front",
    )


def _counts(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _accuracy_limits(results: Sequence[SettingResult], worth: str) -> tuple[float, float]:
    """Return limits in percent that leave out far-off settings, which would press all others together."""
    means = sorted(100 * result.mean(worth).mean for result in results)
    top, middle = means[-1], means[len(means) // 2]
    spread = max(top - middle, 0.05)
    return max(means[0] - 0.2 * spread, top - 2 * TAIL * spread), top + spread


def _search_limits(found: Found, worth: str) -> tuple[float, float]:
    """Return limits in percent that show the best trials too, as far as `DEPTH` below the top."""
    low, high = _accuracy_limits(found.results, worth)
    top = max(100 * result.mean(worth).mean for result in found.results)
    lowest = min(100 * result.mean(worth).mean for result in found.best)
    return min(low, max(lowest, top - DEPTH) - 0.05 * DEPTH), high
