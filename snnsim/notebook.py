"""Progress in a notebook: a bar and the epochs' lines, kept up to date in the cell's output.

Uses IPython's display alone, which every notebook has, and no widgets.
"""

import math
import sys
import time
from collections.abc import Mapping
from html import escape
from typing import Any

from snnsim.progress import Lines, Progress, Silent, count, duration, epoch_line

# Seconds between two updates of the bar: more would only keep the browser busy.
INTERVAL = 0.1
LINES = 10


def chosen_progress(progress: Progress | bool) -> Progress:
    """Return what a training reports to: in a notebook a bar, elsewhere a line an epoch; False: warnings alone."""
    if isinstance(progress, bool):
        if not progress:
            return Silent()
        return NotebookBar() if in_notebook() else Lines()
    return progress


def in_notebook() -> bool:
    """Say whether this is the kernel of a notebook, which shows HTML; never imports IPython."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


class NotebookBar:
    """A bar over all steps of a training with its figures and the time left, and the lines of the last ten epochs."""

    def __init__(self) -> None:
        self._display: Any = None
        self._lines: list[str] = []
        self._bar = ""
        self._total_epochs = self._total_steps = self._steps_per_epoch = self._first_step = 0
        self._began = self._shown = -math.inf

    def start(self, total_epochs: int, steps_per_epoch: int, first_epoch: int = 1) -> None:
        """Show an empty bar."""
        self._total_epochs, self._steps_per_epoch = total_epochs, steps_per_epoch
        self._total_steps, self._first_step = total_epochs * steps_per_epoch, (first_epoch - 1) * steps_per_epoch
        self._began = time.monotonic()
        self._set_bar(self._first_step, f"epoch {first_epoch}/{total_epochs}")
        self._show()

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
        now = time.monotonic()
        if now - self._shown < INTERVAL:
            return
        done = (epoch - 1) * self._steps_per_epoch + step
        reached = f"loss {loss:.3g}" if math.isnan(accuracy) else f"accuracy {accuracy:.1%}"
        left = (now - self._began) / (done - self._first_step) * (self._total_steps - done)
        figures = f"{reached}, {count(spikes_per_sample)} spikes a sample, {duration(left)} left"
        self._set_bar(done, f"epoch {epoch}/{self._total_epochs}: {figures}")
        self._show()

    def epoch(self, row: Mapping[str, float]) -> None:
        """Add the epoch's line."""
        self.note(epoch_line(row, self._total_epochs))

    def note(self, text: str) -> None:
        """Add a line."""
        self._lines.append(escape(text))
        self._show()

    def warn(self, text: str) -> None:
        """Add a line that stands out."""
        self._lines.append(f"<b>warning: {escape(text)}</b>")
        self._show()

    def close(self) -> None:
        """Take the bar away; the lines stay."""
        self._bar = ""
        self._show()

    def _set_bar(self, done: int, text: str) -> None:
        bar = f'<progress value="{done}" max="{self._total_steps}" style="width: 20em"></progress>'
        self._bar = f"<div>{bar} {escape(text)}</div>"

    def _show(self) -> None:
        from IPython.display import HTML, display

        self._shown = time.monotonic()
        content = HTML(f'<pre style="margin: 0">{"<br>".join(self._lines[-LINES:])}</pre>{self._bar}')
        if self._display is None:
            self._display = display(content, display_id=True)
        else:
            self._display.update(content)
