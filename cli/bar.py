"""Progress as a bar on a terminal."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from snnsim.progress import count, epoch_line


class Bar:
    """A bar over all steps of a training, with its figures and the time left; a line for each epoch done."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
        )
        self._task: Any = None
        self._total_epochs = 0
        self._steps_per_epoch = 0

    def start(self, total_epochs: int, steps_per_epoch: int, first_epoch: int = 1) -> None:
        """Show the bar."""
        self._total_epochs, self._steps_per_epoch = total_epochs, steps_per_epoch
        self._task = self._bar.add_task(
            f"epoch {first_epoch}/{total_epochs}",
            total=total_epochs * steps_per_epoch,
            completed=(first_epoch - 1) * steps_per_epoch,
            figures="",
        )
        self._bar.start()

    def step(
        self,
        epoch: int,
        step: int,
        loss: float,
        accuracy: float,
        spikes_per_sample: float,
        synops_per_sample: float,
    ) -> None:
        """Move the bar on."""
        # Short enough for 80 columns; the epoch's line has the rest.
        synops = "" if math.isnan(synops_per_sample) else f" {count(synops_per_sample)} synops"
        reached = f"loss {loss:.3g}" if math.isnan(accuracy) else f"accuracy {accuracy:.1%}"
        figures = f"{reached}, {count(spikes_per_sample)} spikes{synops} a sample, left"
        self._bar.update(
            self._task,
            completed=(epoch - 1) * self._steps_per_epoch + step,
            description=f"epoch {epoch}/{self._total_epochs}",
            figures=figures,
        )

    def epoch(self, row: Mapping[str, float]) -> None:
        """Write the epoch's line above the bar."""
        self.note(epoch_line(row, self._total_epochs))

    def note(self, text: str) -> None:
        """Write a line above the bar."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Write a warning above the bar."""
        self._console.print(f"warning: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


@contextmanager
def download_bar() -> Iterator[Callable[[str, int, int | None], None]]:
    """Show a bar for each file that arrives; gives the function to call with file, bytes so far, bytes in all."""
    tasks: dict[str, Any] = {}
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:

        def show(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = bar.add_task(file, total=total)
            bar.update(tasks[file], completed=done, total=total)

        yield show
