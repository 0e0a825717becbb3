"""How a training tells what it is doing: the protocol it calls, plain lines, and silence.

A bar for terminals lives with the command line; a notebook can bring its own class with the same methods.
"""

import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol, TextIO


class Progress(Protocol):
    """What a training reports to, in order: start, (step..., epoch)..., close; note and warn at any time."""

    def start(self, total_epochs: int, steps_per_epoch: int, first_epoch: int = 1) -> None:
        """Training begins (or goes on, from an epoch after the first)."""

    def step(
        self,
        epoch: int,
        step: int,
        loss: float,
        accuracy: float,
        spikes_per_sample: float,
        synops_per_sample: float,
    ) -> None:
        """Report one batch done; counts start at 1, figures are means over the epoch so far, NaN where unknown."""

    def epoch(self, row: Mapping[str, float]) -> None:
        """Report one epoch done; ``row`` is its line of metrics.csv, without accuracies where there are no classes."""

    def note(self, text: str) -> None:
        """Tell something the user may want to know."""

    def warn(self, text: str) -> None:
        """Tell something the user should know; shown even where all else is silent."""

    def close(self) -> None:
        """Nothing more will come; called once, also after an error."""


class Silent:
    """Says nothing but warnings.

    Parameters
    ----------
    stream
        Where warnings go; standard error unless told otherwise.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream if stream is not None else sys.stderr

    def start(self, total_epochs: int, steps_per_epoch: int, first_epoch: int = 1) -> None:
        """Say nothing."""

    def step(
        self,
        epoch: int,
        step: int,
        loss: float,
        accuracy: float,
        spikes_per_sample: float,
        synops_per_sample: float,
    ) -> None:
        """Say nothing."""

    def epoch(self, row: Mapping[str, float]) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Write the warning."""
        self._write(f"warning: {text}")

    def close(self) -> None:
        """Say nothing."""

    def _write(self, text: str) -> None:
        # A run goes on where nobody reads its progress any more (`... | head`).
        with suppress(BrokenPipeError):
            print(text, file=self.stream, flush=True)


class Lines(Silent):
    """Writes one plain line an epoch, and notes; for logs and pipes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._total = 0
        self._first = 1
        self._began = 0.0

    def start(self, total_epochs: int, steps_per_epoch: int, first_epoch: int = 1) -> None:
        """Note how many epochs there will be."""
        self._total, self._first, self._began = total_epochs, first_epoch, time.monotonic()

    def epoch(self, row: Mapping[str, float]) -> None:
        """Write the epoch's figures and the time left."""
        self._write(f"{epoch_line(row, self._total)}, {self._left(int(row['epoch']))}")

    def note(self, text: str) -> None:
        """Write the text."""
        self._write(text)

    def _left(self, epoch: int) -> str:
        done = max(1, epoch - self._first + 1)
        return f"{duration((time.monotonic() - self._began) / done * (self._total - epoch))} left"


def epoch_line(row: Mapping[str, float], total_epochs: int) -> str:
    """Put the figures of an epoch, a line of metrics.csv, into one line of text."""
    width = len(str(total_epochs))
    if "valid_accuracy" in row:
        reached = (
            f"loss {row['train_loss']:.4f}, "
            f"accuracy {row['train_accuracy']:.2%} train {row['valid_accuracy']:.2%} valid"
        )
    else:
        reached = f"loss {row['train_loss']:.4g} train {row['valid_loss']:.4g} valid"
    return (
        f"epoch {int(row['epoch']):{width}}/{total_epochs}: {reached}, "
        f"{count(row['spikes_per_sample'])} spikes and {count(row['synops_per_sample'])} synops a sample"
    )


def count(value: float) -> str:
    """Write a count in few characters: ``342``, ``12.3k``, ``4.56M``."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}" if abs(value) < 999.5 * size else f"{value / size:.0f}{unit}"
    return f"{value:.0f}" if abs(value) >= 100 or value == 0 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Write a time in the two units that matter: ``8 s``, ``2 min 05 s``, ``1 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
