"""Small runs, and what must be the same of two of them."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snnsim import run_experiment
from snnsim.config import LoadedConfig, load

# Every random stream takes part: the order of samples, rate coding, dropout.
CONFIG = """\
data: {name: digits, limit: 200}
encoder: {rate: {num_steps: 4}}
network: [{dense: 24}, {lif: {threshold: 0.5}}, {dropout: 0.2}, {dense: 10}, li]
train:
  epochs: 3
  batch_size: 40
  optimizer: {adam: {lr: 0.01}}
"""


class Heard:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.epochs: list[int] = []
        self.started: list[tuple[int, int, int]] = []

    def start(self, total_epochs: int, steps_per_epoch: int, first_epoch: int = 1) -> None:
        self.started.append((total_epochs, steps_per_epoch, first_epoch))

    def step(self, epoch: int, step: int, *figures: float) -> None:
        """Forget it."""

    def epoch(self, row: Mapping[str, float]) -> None:
        self.epochs.append(int(row["epoch"]))

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def close(self) -> None:
        """Close nothing."""


def configuration(folder: Path, *overrides: str) -> LoadedConfig:
    """Write the small configuration into a folder and load it."""
    file = folder / "small.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    return load(str(file), overrides)


def run_small(folder: Path, *overrides: str, name: str = "run", **options: Any) -> Path:
    """Run the small configuration in ``folder/name``."""
    options = {"threads": 1} | options
    return run_experiment(configuration(folder, *overrides), folder / name, **options)


def summary(run: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    return result


def table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def metrics(run: Path) -> list[dict[str, str]]:
    """Return the rows of metrics.csv without the seconds."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in table(run / "metrics.csv")]


def assert_same_results(run: Path, expected: Path) -> None:
    """Assert equal bytes of model and counters, and equal figures but for times."""
    assert (run / "model.npz").read_bytes() == (expected / "model.npz").read_bytes()
    assert (run / "accounting.csv").read_bytes() == (expected / "accounting.csv").read_bytes()
    for key in ("test", "energy", "model", "data", "seed"):
        assert summary(run)[key] == summary(expected)[key]
    assert metrics(run) == metrics(expected)
