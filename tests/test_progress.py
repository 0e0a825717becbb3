"""What a training tells while it runs."""

import importlib
import io
from typing import Any

import pytest

from snnsim.progress import Lines, Progress, Silent, count, duration, epoch_line

ROW = {
    "epoch": 2,
    "train_loss": 0.12345,
    "train_accuracy": 0.9,
    "valid_accuracy": 0.95,
    "spikes_per_sample": 342.4,
    "synops_per_sample": 12345.6,
    "seconds": 1.5,
}
LINE = "epoch  2/10: loss 0.1235, accuracy 90.00% train 95.00% valid, 342 spikes and 12.3k synops a sample"


def train(progress: Progress) -> None:
    """Report as a training of two epochs of ten does."""
    progress.start(10, 3)
    progress.step(1, 1, 0.5, 0.9, 10.0, 20.0)
    progress.note("a note")
    progress.warn("a silent layer")
    progress.epoch(ROW)
    progress.close()


def test_lines_are_one_an_epoch_with_the_time_left() -> None:
    """Steps say nothing: a log is no place for them."""
    stream = io.StringIO()
    train(Lines(stream))

    assert stream.getvalue() == f"a note\nwarning: a silent layer\n{LINE}, 0 s left\n"


def test_silence_keeps_warnings() -> None:
    """They tell that a result may not be what it seems."""
    stream = io.StringIO()
    train(Silent(stream))

    assert stream.getvalue() == "warning: a silent layer\n"


def test_the_bar_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines stand above the bar, on stderr."""
    bar: Any = importlib.import_module("snnsim.cli.bar")
    train(bar.Bar())
    out, err = capsys.readouterr()

    assert out == ""
    assert [line.rstrip() for line in err.splitlines() if line.strip()][:3] == [
        "a note",
        "warning: a silent layer",
        LINE,
    ]


def test_an_epoch_is_one_line() -> None:
    """With the figures that metrics.csv has."""
    assert epoch_line(ROW, 10) == LINE


def test_an_epoch_without_accuracies() -> None:
    """A regression has losses on training and validation data."""
    row = {key: value for key, value in ROW.items() if "accuracy" not in key} | {"valid_loss": 0.25}
    assert epoch_line(row, 10) == ("epoch  2/10: loss 0.1235 train 0.25 valid, 342 spikes and 12.3k synops a sample")


def test_the_bar_of_a_regression_shows_its_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the accuracy is unknown."""
    module: Any = importlib.import_module("snnsim.cli.bar")
    bar = module.Bar()
    shown: list[str] = []
    bar.start(10, 3)
    monkeypatch.setattr(bar._bar, "update", lambda task, **fields: shown.append(fields["figures"]))
    bar.step(1, 1, 0.5, float("nan"), 10.0, float("nan"))
    bar.step(1, 2, 0.5, 0.9, 10.0, float("nan"))
    bar.close()
    assert [text.split(",")[0] for text in shown] == ["loss 0.5", "accuracy 90.0%"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.5, "0.5"),
        (3.14159, "3.14"),
        (342.4, "342"),
        (999.4, "999"),
        (1234, "1.23k"),
        (123456, "123k"),
        (999999, "1000k"),
        (2.5e6, "2.5M"),
        (7e9, "7G"),
    ],
)
def test_counts_are_short(value: float, text: str) -> None:
    """Three digits tell enough."""
    assert count(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(7.6, "8 s"), (59.7, "1 min 00 s"), (125, "2 min 05 s"), (4200, "1 h 10 min")]
)
def test_durations_have_the_two_units_that_matter(seconds: float, text: str) -> None:
    """Nobody needs the seconds of an hour."""
    assert duration(seconds) == text
