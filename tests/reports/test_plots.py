"""Figures of several runs: what is drawn, and that numbers stand beside their points."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from snnsim.plot_style import png
from snnsim.reports.plots import Point, learning_curves, look, number_of_steps, pareto_figure, shortened

EPOCHS = [
    {"epoch": "1", "valid_accuracy": "0.5", "spikes_per_sample": "10", "synops_per_sample": "1000"},
    {"epoch": "2", "valid_accuracy": "", "spikes_per_sample": "20", "synops_per_sample": "2000"},
]


def points(*results: tuple[float, float]) -> list[Point]:
    return [Point(number, f"run {number}", cost, score) for number, (cost, score) in enumerate(results, start=1)]


def values(data: Any) -> list[float]:
    return [float(value) for value in data]


def front_line(axes: Axes) -> list[tuple[float, float]]:
    (line,) = [line for line in axes.lines if line.get_label() == "Pareto front"]
    return list(zip(values(line.get_xdata()), values(line.get_ydata()), strict=True))


def numbers(axes: Axes) -> Iterator[Annotation]:
    return (text for text in axes.texts if isinstance(text, Annotation))


def test_the_front_is_drawn() -> None:
    """A line through the runs that no other beats, in percent, by rising cost."""
    figure = pareto_figure({"": points((100, 0.9), (50, 0.8), (120, 0.85))})
    assert front_line(figure.axes[0]) == [(50, 80.0), (100, 90.0)]
    assert figure.axes[0].get_xscale() == "linear"
    assert figure.axes[0].get_ylabel() == "test accuracy (%)"


def test_of_regressions_less_is_better() -> None:
    """The axis shows the loss itself."""
    figure = pareto_figure({"": points((100, -0.1), (50, -0.4), (120, -0.2))}, regression=True)
    assert front_line(figure.axes[0]) == [(50, 0.4), (100, 0.1)]


def test_costs_far_apart_have_a_logarithmic_axis() -> None:
    """But not where one is zero."""
    assert pareto_figure({"": points((10, 0.5), (1000, 0.9))}).axes[0].get_xscale() == "log"
    assert pareto_figure({"": points((0, 0.5), (1000, 0.9))}).axes[0].get_xscale() == "linear"


def test_data_sets_have_panels() -> None:
    """A panel and a front each, under its name."""
    figure = pareto_figure({"digits": points((1, 0.5)), "mnist": points((2, 0.9))})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["digits", "mnist"]
    assert [front_line(axes) for axes in figure.axes] == [[(1, 50.0)], [(2, 90.0)]]


def test_numbers_keep_clear_of_points_and_of_each_other() -> None:
    """Also where runs lie side by side."""
    figure = pareto_figure({"": points((100, 0.900), (100.5, 0.901), (140, 0.93), (60, 0.7))})
    (axes,) = figure.axes
    written = list(numbers(axes))
    assert [text.get_text() for text in written] == ["1", "2", "3", "4"]
    png(figure)
    boxes = [text.get_window_extent() for text in written]
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:k])
        for line in axes.lines[1:]:
            x, y = axes.transData.transform((values(line.get_xdata())[0], values(line.get_ydata())[0]))
            assert not box.contains(x, y)


def curves(figure: Figure) -> list[list[float]]:
    return [values(line.get_ydata()) for line in figure.axes[0].lines]


def test_a_curve_a_run() -> None:
    """With gaps where values are missing, each in a colour of its own, named below."""
    figure = learning_curves([("one", EPOCHS), ("two", EPOCHS[:1])])
    first, second = curves(figure)
    assert first[0] == 0.5
    assert math.isnan(first[1])
    assert second == [0.5]
    assert figure.axes[0].lines[0].get_color() != figure.axes[0].lines[1].get_color()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["1 one", "2 two"]


def test_a_single_run_needs_no_legend() -> None:
    """The figure of one run's steps, and of a run without any rows beside others."""
    rows = [{"steps": 1, "accuracy": 0.1}, {"steps": 2, "accuracy": 0.9}]
    figure = number_of_steps([("", rows)])
    assert figure.legends == []
    assert curves(figure) == [[0.1, 0.9]]
    assert png(number_of_steps([("a", rows), ("b", [])])).startswith(b"\x89PNG")


@pytest.mark.parametrize("regression", [False, True])
def test_which_measure_is_drawn(regression: bool) -> None:
    """Accuracy, or of regressions the loss."""
    rows = [{"steps": 1, "accuracy": 0.9, "loss": 0.3}]
    assert curves(number_of_steps([("", rows)], regression=regression)) == [[0.3 if regression else 0.9]]
    assert learning_curves([("", EPOCHS)], regression=regression).axes[0].get_title(loc="left") == (
        "Validation loss" if regression else "Validation accuracy"
    )


def test_looks_repeat_late() -> None:
    """Dozens of runs differ in colour or marker."""
    looks = {tuple(look(place).values()) for place in range(88)}
    assert len(looks) == 88


def test_long_labels_lose_their_middle() -> None:
    """Both ends tell runs apart."""
    assert shortened("short") == "short"
    cut = shortened("a-very-long-name-of-a-run-with-every-setting-in-it")
    assert len(cut) == 30
    assert cut.startswith("a-very-long-na")
    assert cut.endswith("setting-in-it")
