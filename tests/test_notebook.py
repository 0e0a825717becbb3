"""Progress in a notebook, with an IPython that remembers what it was asked to show."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from snnsim.notebook import NotebookBar, chosen_progress, in_notebook
from snnsim.progress import Lines, Silent

ROW = {
    "epoch": 1,
    "train_loss": 0.5,
    "train_accuracy": 0.8,
    "valid_accuracy": 0.75,
    "spikes_per_sample": 12.0,
    "synops_per_sample": 3456.0,
}


class Shown(list[str]):
    """What stands in a cell, oldest first: shown once, then updated."""

    def display(self, content: str, display_id: bool) -> "Shown":
        assert display_id
        assert not self
        self.append(content)
        return self

    def update(self, content: str) -> None:
        self.append(content)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """Stand in for the kernel of a notebook."""
    shown = Shown()
    ipython: Any = ModuleType("IPython")
    ipython.get_ipython = lambda: SimpleNamespace(config={"IPKernelApp": {}})
    ipython.display = ModuleType("IPython.display")
    ipython.display.HTML = str
    ipython.display.display = shown.display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    return shown


def test_a_notebook_is_known_by_its_kernel(cell: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a kernel a bar is chosen; in a terminal's IPython and in plain Python a line an epoch."""
    assert isinstance(chosen_progress(True), NotebookBar)
    assert isinstance(chosen_progress(False), Silent)
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: SimpleNamespace(config={}))
    assert not in_notebook()
    monkeypatch.delitem(sys.modules, "IPython")
    assert type(chosen_progress(True)) is Lines
    own = Silent()
    assert chosen_progress(own) is own


def test_a_bar_moves_and_leaves_the_lines(cell: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar shows epoch, figures and time left while training runs, and only the epochs' lines after it."""
    now = [0.0]
    monkeypatch.setattr("snnsim.notebook.time.monotonic", lambda: now[0])
    bar = NotebookBar()
    bar.start(2, 10)
    now[0] = 5.0
    bar.step(1, 5, 0.7, 0.6, 20.0, float("nan"))
    assert '<progress value="5" max="20"' in cell[-1]
    assert "epoch 1/2: accuracy 60.0%, 20 spikes a sample, 15 s left" in cell[-1]
    bar.step(1, 6, 0.7, 0.6, 20.0, float("nan"))
    assert len(cell) == 2, "two updates at one moment are one too many"
    bar.epoch(ROW)
    bar.warn("a <layer> fell silent")
    bar.close()
    assert "<progress" not in cell[-1]
    assert "epoch 1/2: loss 0.5000, accuracy 80.00% train 75.00% valid" in cell[-1]
    assert "<b>warning: a &lt;layer&gt; fell silent</b>" in cell[-1]


def test_a_resumed_training_starts_where_it_was(cell: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of an earlier session count for the bar, and not for the time left; a regression shows its loss."""
    now = [0.0]
    monkeypatch.setattr("snnsim.notebook.time.monotonic", lambda: now[0])
    bar = NotebookBar()
    bar.start(3, 10, 3)
    assert '<progress value="20" max="30"' in cell[-1]
    now[0] = 5.0
    bar.step(3, 5, 0.7, float("nan"), 20.0, 1.0)
    assert "epoch 3/3: loss 0.7, 20 spikes a sample, 5 s left" in cell[-1]


def test_only_the_last_lines_are_shown(cell: Shown) -> None:
    """A long training does not fill the page."""
    bar = NotebookBar()
    for number in range(30):
        bar.note(f"note {number}")
    assert "note 29" in cell[-1]
    assert "note 19" not in cell[-1]
