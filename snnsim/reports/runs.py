"""A run directory as reports read it: from its files alone, each of them optional but the summary."""

import csv
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from snnsim.accounting import COUNTERS
from snnsim.errors import InputError
from snnsim.tables import FIRING

STATEFUL = FIRING | {"li", "cuba_li"}


@dataclass(frozen=True)
class Layer:
    """One row of ``accounting.csv``."""

    index: str
    name: str
    shape: str
    counts: Mapping[str, int]

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(int(number) for number in re.findall(r"\d+", self.shape))


@dataclass(frozen=True)
class Run:
    """What a run directory holds, as far as it is there."""

    path: Path
    summary: Mapping[str, Any]
    layers: Sequence[Layer]
    epochs: Sequence[Mapping[str, str]]
    steps: Sequence[Mapping[str, str]]
    config: str

    def value(self, *keys: str) -> Any:
        """Look up ``summary.json``; None where it says nothing."""
        found: Any = self.summary
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found

    @property
    def name(self) -> str:
        """The configuration's name."""
        return Path(str(self.value("config") or self.path.name)).stem

    @property
    def is_regression(self) -> bool:
        """Whether the summary says that there is no accuracy."""
        test = self.value("test")
        return isinstance(test, Mapping) and "accuracy" in test and test["accuracy"] is None

    @cached_property
    def samples(self) -> int:
        """Number of test samples, at least 1."""
        return max(int(self.value("test", "samples") or 0), 1)

    @cached_property
    def num_steps(self) -> int:
        """Time steps of the counters: 1 for a network without neurons that have a state."""
        is_spiking = any(layer.name in STATEFUL for layer in self.layers)
        return max(int(self.value("test", "num_steps") or 0), 1) if is_spiking else 1

    def rate(self, layers: Sequence[Layer]) -> float | None:
        """Return the mean spikes per neuron and step of the firing ones among some layers."""
        firing = [layer for layer in layers if layer.name in FIRING]
        chances = sum(layer.size for layer in firing) * self.num_steps * self.samples
        return sum(layer.counts["spikes"] for layer in firing) / chances if chances else None

    def total(self, counter: str) -> int:
        """Return a counter summed over the layers, the input's events left out."""
        return sum(layer.counts[counter] for layer in self.layers if layer.index != "input")

    def parameters(self, layer: Layer) -> int | None:
        """Return a layer's number of parameters, None where the summary does not tell."""
        described = self.value("model", "layers")
        for entry in described if isinstance(described, list) else []:
            if isinstance(entry, dict) and str(entry.get("index")) == layer.index:
                number = entry.get("parameters")
                return number if isinstance(number, int) else None
        return None


def is_unfinished(run_dir: Path) -> bool:
    """Whether a folder holds a run that has begun and has no results yet."""
    return (run_dir / "config.yaml").exists() and not (run_dir / "summary.json").exists()


def read_run(run_dir: Path) -> Run:
    """Read a run directory.

    Raises
    ------
    InputError
        It is not one, or a file in it is damaged.
    """
    if not run_dir.is_dir():
        raise InputError(f"{run_dir}: no such run directory")
    path = run_dir / "summary.json"
    if not path.exists():
        unfinished = " yet; is the run finished?" if is_unfinished(run_dir) else ""
        raise InputError(f"{run_dir}: not a finished run, since it holds no summary.json{unfinished}")
    try:
        summary = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(summary, dict) or not isinstance(summary.get("test"), dict):
        raise InputError(f"{path}: not the summary of a run, since it has no results under 'test'")
    rows = _csv(run_dir / "accounting.csv")
    layers = [_layer(row, f"{run_dir / 'accounting.csv'}:{line}") for line, row in enumerate(rows, start=2)]
    config = run_dir / "config.yaml"
    return Run(
        run_dir,
        summary,
        layers,
        epochs=_numbers(run_dir / "metrics.csv"),
        steps=_numbers(run_dir / "steps.csv"),
        config=_text(config) if config.exists() else "",
    )


def _layer(row: Mapping[str, str], where: str) -> Layer:
    counts = {}
    for key in COUNTERS:
        text = row.get(key)
        if text is None or not re.fullmatch(r"\d{1,19}", text):
            raise InputError(f"{where}: {key} must be a whole number (got {text!r})")
        counts[key] = int(text)
    return Layer(row.get("index") or "", row.get("layer") or "", row.get("out_shape") or "", counts)


def _numbers(path: Path) -> list[dict[str, str]]:
    """Read a table of numbers as their texts; empty cells are no number."""
    rows = _csv(path)
    for line, row in enumerate(rows, start=2):
        if None in row:  # what csv calls cells without a head
            raise InputError(f"{path}:{line}: more cells than the head has")
        for key, text in row.items():
            if text and not _is_number(text):
                raise InputError(f"{path}:{line}: {key} must be a number (got {text!r})")
    return rows


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _csv(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    try:
        return list(csv.DictReader(_text(path).splitlines()))
    except csv.Error as error:
        raise InputError(f"{path}: not a readable table ({error})") from None


def _text(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file in UTF-8 (at byte {error.start})") from None


def read_bytes(path: Path) -> bytes:
    """Return a file's content.

    Raises
    ------
    InputError
        It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
