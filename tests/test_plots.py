"""Figures: every kind, also at its extremes, comes out as a picture without a warning."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from snnsim import answer_plots, plots
from snnsim.errors import InputError

RNG = np.random.default_rng(0)


def epochs(count: int) -> list[dict[str, Any]]:
    """Rows of metrics.csv, as text where a CSV reader gives text."""
    return [
        {
            "epoch": str(epoch),
            "train_accuracy": 1 - 0.5 / epoch,
            "valid_accuracy": "",
            "spikes_per_sample": "300.5",
            "synops_per_sample": 1e6,
        }
        for epoch in range(1, count + 1)
    ]


def losses(count: int) -> list[dict[str, Any]]:
    """Rows of a regression: no accuracies."""
    return [row | {"train_accuracy": "", "train_loss": 0.5, "valid_loss": "0.25"} for row in epochs(count)]


def spikes(steps: int, neurons: int, rate: float = 0.1) -> np.ndarray:
    return (RNG.random((steps, neurons)) < rate).astype(np.uint8)


def membranes(steps: int, neurons: int) -> Figure:
    return plots.membrane_traces(RNG.normal(size=(steps, neurons)), spikes(steps, neurons), 1.0, layer="1 (lif)")


FIGURES: dict[str, Callable[[], Figure]] = {
    "curves of no epoch": lambda: plots.learning_curves([]),
    "curves of one epoch": lambda: plots.learning_curves(epochs(1)),
    "curves of a hundred epochs": lambda: plots.learning_curves(epochs(100)),
    "raster": lambda: plots.spike_raster([("input", RNG.random((1, 64))), ("1 (lif)", spikes(20, 128))], "class 3"),
    "raster of a wide layer": lambda: plots.spike_raster([("input", spikes(300, 3000)), ("1 (lif)", spikes(300, 10))]),
    "raster without spikes": lambda: plots.spike_raster([("input", np.zeros((5, 4))), ("1 (lif)", np.zeros((5, 1)))]),
    "raster of one neuron": lambda: plots.spike_raster([("input", np.ones((1, 1)))]),
    "raster of images": lambda: plots.spike_raster([("input", np.ones((4, 2, 3, 3)))]),
    "membranes": lambda: membranes(20, 5),
    "membranes over many steps": lambda: membranes(300, 12),
    "membrane at one step": lambda: membranes(1, 1),
    "rates": lambda: plots.firing_rates([("1 (lif)", RNG.random(100) * (RNG.random(100) < 0.8))] * 4),
    "rates of silence": lambda: plots.firing_rates([("1 (lif)", np.zeros(1))]),
    "confusion of two": lambda: answer_plots.confusion_matrix([[5, 1], [0, 4]], ["cat", "a long name"]),
    "confusion of many": lambda: answer_plots.confusion_matrix(np.eye(100, dtype=int)),
    "confusion of nothing": lambda: answer_plots.confusion_matrix(np.zeros((1, 1))),
    "outputs": lambda: answer_plots.outputs_against_targets(RNG.normal(size=(50, 3)), RNG.normal(size=(50, 3))),
    "outputs of many": lambda: answer_plots.outputs_against_targets(RNG.normal(size=(900, 9)), np.zeros((900, 9))),
    "output of one": lambda: answer_plots.outputs_against_targets([[0.5]], [[0.5]]),
    "curves of a regression": lambda: plots.learning_curves(losses(5)),
    "weights of images": lambda: plots.first_layer_weights(RNG.normal(size=(100, 64)), (1, 8, 8)),
    "weights of channels": lambda: plots.first_layer_weights(RNG.normal(size=(3, 18)), (2, 3, 3)),
    "weights of vectors": lambda: plots.first_layer_weights(RNG.normal(size=(500, 4)), (4,)),
    "weights of zero": lambda: plots.first_layer_weights(np.zeros((1, 1)), (1,)),
}


@pytest.mark.parametrize("kind", FIGURES)
def test_every_figure_is_a_readable_picture(kind: str, tmp_path: Path) -> None:
    """It is a PNG about as wide as a page, and not blank."""
    path = tmp_path / "figure.png"

    plots.save(FIGURES[kind](), path)

    image = mpl.image.imread(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert 700 <= image.shape[1] <= 920
    assert image.std() > 0


def test_a_curve_keeps_its_values() -> None:
    """What is drawn is what the rows say, and a missing value is a gap."""
    figure = plots.learning_curves(epochs(3))

    training, validation = figure.axes[0].get_lines()
    assert np.array_equal(np.asarray(training.get_ydata()), [0.5, 0.75, 1 - 0.5 / 3])
    assert np.isnan(np.asarray(validation.get_ydata(), float)).all()
    assert np.array_equal(np.asarray(figure.axes[1].get_lines()[0].get_ydata()), [300.5] * 3)


def test_a_regression_has_curves_of_its_losses() -> None:
    """They take the place of accuracies."""
    reached = plots.learning_curves(losses(3)).axes[0]
    assert reached.get_title(loc="left") == "Loss"
    assert [list(map(float, np.asarray(line.get_ydata()))) for line in reached.lines] == [[0.5] * 3, [0.25] * 3]


def test_a_point_for_each_sample_and_output() -> None:
    """True values stand to the right, predicted ones up, and the error in the title."""
    axes = answer_plots.outputs_against_targets([[0, 1], [2, 3]], [[0, 1], [2, 4]]).axes[0]
    points: list[Any] = [np.asarray(collection.get_offsets()).tolist() for collection in axes.collections]
    assert points == [[[0, 0], [2, 2]], [[1, 1], [3, 4]]]
    assert axes.get_title(loc="left") == "Predicted against true: mean squared error 0.25"


def test_a_raster_draws_every_spike_once() -> None:
    """A panel holds as many marks as there are spikes, at their step (from 1) and neuron."""
    train = np.zeros((10, 7))
    train[2, 5] = train[9, 0] = 1

    figure = plots.spike_raster([("input", train), ("1 (lif)", np.zeros((10, 3)))], "class 1")

    marks = figure.axes[0].collections[0].get_segments()  # type: ignore[attr-defined]
    assert [tuple(mark.mean(axis=0)) for mark in marks] == [(3, 5), (10, 0)]
    assert figure.axes[1].collections[0].get_segments() == []  # type: ignore[attr-defined]
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts == ["7 inputs\n2 spikes", "3 neurons\nno spikes"]


def test_membranes_show_their_own_threshold() -> None:
    """Each neuron has its own line, number and spikes."""
    spiking = np.array([[0, 0], [1, 0], [0, 1]])

    figure = plots.membrane_traces(np.ones((3, 2)), spiking, np.array([0.5, 0.8]), np.array([4, 9]), "1 (lif)")

    thresholds = [axes.get_lines()[0].get_ydata()[0] for axes in figure.axes]  # type: ignore[index]
    assert thresholds == [0.5, 0.8]
    assert [axes.get_ylabel() for axes in figure.axes] == ["neuron 4", "neuron 9"]
    assert [np.asarray(axes.get_lines()[2].get_xdata()).tolist() for axes in figure.axes] == [[2], [3]]


def test_silent_neurons_are_noted() -> None:
    """The share of neurons that never fired stands in the panel."""
    figure = plots.firing_rates([("1 (lif)", np.array([0, 0, 0.1, 0.3]))])

    assert [text.get_text() for text in figure.axes[0].texts] == ["mean 0.1", "50% silent"]


def test_a_confusion_matrix_writes_counts_up_to_twenty_classes() -> None:
    """Numbers stand in the cells of small matrices only, and none for zero."""
    small, large = answer_plots.confusion_matrix([[5, 1], [0, 4]]), answer_plots.confusion_matrix(np.eye(21))

    assert [text.get_text() for text in small.axes[0].texts] == ["5", "1", "4"]
    assert small.axes[0].get_title(loc="left") == "Confusion matrix: 90.0% of 10 right"
    assert len(large.axes[0].texts) == 0


def test_the_strongest_fields_come_first() -> None:
    """Of many neurons the 64 of the largest norm are drawn, in that order."""
    weights = np.zeros((65, 4))
    weights[:, 0] = np.arange(65)

    figure = plots.first_layer_weights(weights, (1, 2, 2))

    mosaic = figure.axes[0].images[0].get_array()
    assert mosaic is not None
    assert list(mosaic[0, :6:3]) == [64, 63]
    assert "64 strongest of 65" in figure.axes[0].get_title(loc="left")


def test_drawing_leaves_the_users_settings_alone() -> None:
    """A style of the caller's own neither changes a figure nor is changed by it."""
    with mpl.rc_context({"font.size": 33, "axes.facecolor": "red"}):
        figure = plots.learning_curves(epochs(2))

        assert mpl.rcParams["font.size"] == 33
        assert figure.axes[0].get_facecolor() == (1, 1, 1, 1)


def test_equal_figures_are_equal_files(tmp_path: Path) -> None:
    """The same rows give the same bytes."""
    for name in ("a.png", "b.png"):
        plots.save(plots.learning_curves(epochs(5)), tmp_path / name)

    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_figure_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    """The message names the file."""
    with pytest.raises(InputError, match="cannot be written"):
        plots.save(plots.learning_curves(epochs(1)), tmp_path / "nowhere" / "a.png")
