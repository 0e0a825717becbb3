"""Several runs on one page: side by side, learning curves, Pareto front, and what differs between their settings."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from snnsim.config import flatten, read_yaml
from snnsim.errors import InputError
from snnsim.pareto import pareto_front
from snnsim.plot_style import png
from snnsim.reports.energy import EnergyRow, energy_rows, side_by_side
from snnsim.reports.formats import NO_VALUE, is_number
from snnsim.reports.pages import Picture, write_page
from snnsim.reports.plots import Point, learning_curves, look, number_of_steps, pareto_figure
from snnsim.reports.run_page import facts
from snnsim.reports.runs import Run, is_unfinished, read_run

LONGEST_VALUE = 60
Warn = Callable[[str], None]


@dataclass(frozen=True)
class Compared:
    """A run on the page: its number there (from 1), its label, and what its directory holds."""

    number: int
    label: str
    run: Run

    @property
    def colour(self) -> str:
        """Its colour in the figures."""
        return str(look(self.number - 1)["color"])

    @property
    def data(self) -> tuple[str, int]:
        """Name of its data, and how many samples were tested."""
        return str(self.run.value("data", "name")), self.run.samples

    @property
    def cost(self) -> float:
        """SynOps per test sample."""
        return float(self.run.value("test", "synops_per_sample"))

    @property
    def score(self) -> float:
        """Accuracy, or of a regression the loss below zero: more is better."""
        test = self.run.value("test")
        return -float(test["loss"]) if self.run.is_regression else float(test["accuracy"])

    @cached_property
    def energy(self) -> dict[str, EnergyRow]:
        """Its energy by profile."""
        return {row.name: row for row in energy_rows(self.run)}


def write_comparison(run_dirs: Sequence[Path], out: Path, *, warn: Warn) -> Path:
    """Write a page that compares runs and return its path.

    Parameters
    ----------
    run_dirs
        Two or more; runs that are not finished are left out, with a note on the page.
    warn
        Is told what is noted on the page.

    Raises
    ------
    InputError
        A folder does not hold a run, something in it is damaged, fewer than two runs are finished, or a regression
        stands beside a classification; or the page cannot be written.
    """
    finished = [path for path in run_dirs if not is_unfinished(path)]
    notes = [f"{path}: left out, the run is not finished" for path in run_dirs if is_unfinished(path)]
    if len(finished) < 2:
        raise InputError(f"nothing to compare: of {len(run_dirs)} runs {len(finished)} finished; {'; '.join(notes)}")
    labels = distinct_labels(finished)
    runs = [
        Compared(number, label, read_run(path))
        for number, (label, path) in enumerate(zip(labels, finished, strict=True), start=1)
    ]
    _require_comparable(runs)
    groups = by_data(runs)
    if len(groups) > 1:
        notes.append(
            "the runs were tested on different data, whose accuracies do not compare: each has a front of its own"
        )
    for note in notes:
        warn(note)
    front = {run.number for group in groups.values() for run in front_of(group)}
    return write_page(
        out,
        "comparison.html.j2",
        runs=runs,
        groups=groups,
        front=front,
        notes=notes,
        is_regression=runs[0].run.is_regression,
        profiles=_profiles(runs),
        pareto=_pareto(groups),
        curves=_curves(runs),
        differences=differences(runs),
        facts={run.number: dict(facts(run.run)) for run in runs},
    )


def distinct_labels(paths: Sequence[Path]) -> list[str]:
    """Return the shortest ends of paths that tell all of them apart."""
    parts = [path.resolve().parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        labels = ["/".join(part[-length:]) for part in parts]
        if len(set(labels)) == len(labels):
            return labels
    return [str(path) for path in paths]


def by_data(runs: Sequence[Compared]) -> dict[str, list[Compared]]:
    """Group runs by the data that they were tested on."""
    groups: dict[str, list[Compared]] = {}
    for run in runs:
        name, samples = run.data
        groups.setdefault(f"{name}, {samples:,} test samples", []).append(run)
    return groups


def front_of(runs: Sequence[Compared]) -> list[Compared]:
    """Return the runs that no other beats in both score and cost, by rising cost."""
    return [runs[place] for place in pareto_front([run.cost for run in runs], [run.score for run in runs])]


def differences(runs: Sequence[Compared]) -> list[tuple[str, list[str]]]:
    """Return every dotted key of the configurations that is not the same in all, with each run's value.

    Raises
    ------
    InputError
        A ``config.yaml`` is not valid YAML.
    """
    flat = [_settings(run.run) for run in runs]
    keys = dict.fromkeys(key for settings in flat for key in settings)
    rows = [(key, [_shown(settings, key) for settings in flat]) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1]


def _settings(run: Run) -> dict[str, Any]:
    document = read_yaml(run.config)
    if document.faults:
        place, fault = document.faults[0]
        where = f"{run.path / 'config.yaml'}:{place.line}" if place else str(run.path / "config.yaml")
        raise InputError(f"{where}: {fault.message}")
    return flatten(document.data) if document.data else {}


def _shown(settings: Mapping[str, Any], key: str) -> str:
    if key not in settings:
        return NO_VALUE
    value = settings[key]
    text = str(value) if value is not None and not isinstance(value, bool) else json.dumps(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _require_comparable(runs: Sequence[Compared]) -> None:
    for run in runs:
        needed = ("loss" if run.run.is_regression else "accuracy", "synops_per_sample")
        missing = [key for key in needed if not is_number(run.run.value("test", key))]
        if missing:
            raise InputError(f"{run.run.path / 'summary.json'}: test.{missing[0]} must be a number to be compared")
    kinds = {run.run.is_regression: run for run in runs}
    if len(kinds) > 1:
        raise InputError(
            f"{kinds[True].run.path} is a regression and {kinds[False].run.path} a classification: "
            "a loss and an accuracy cannot be compared"
        )


def _profiles(runs: Sequence[Compared]) -> list[EnergyRow]:
    """Return one profile of arithmetic and one with memory that price all runs; that of the first if it can be."""
    first, *others = runs
    common = [row for name, row in first.energy.items() if all(name in run.energy for run in others)]
    return side_by_side(common, str(first.run.value("energy", "profile")))


def _pareto(groups: Mapping[str, Sequence[Compared]]) -> Picture:
    regression = next(iter(groups.values()))[0].run.is_regression
    points = {
        title if len(groups) > 1 else "": [Point(run.number, run.label, run.cost, run.score) for run in group]
        for title, group in groups.items()
    }
    caption = (
        "Each run at its test result and cost, with its number in the table. On the line are the runs that no other "
        "beats in both: less to compute, or a better result, only at the price of the other."
    )
    figure = pareto_figure(points, regression=regression)
    return Picture.of(png(figure), "Result against cost", caption, "figure")


def _curves(runs: Sequence[Compared]) -> list[Picture]:
    regression = runs[0].run.is_regression
    epochs = [(run.label, run.run.epochs) for run in runs]
    steps = [(run.label, run.run.steps) for run in runs]
    pictures = []
    if any(rows for _, rows in epochs):
        caption = "On the validation set, at the end of every epoch."
        figure = learning_curves(epochs, regression=regression)
        pictures.append(Picture.of(png(figure), "Learning", caption, "figure"))
    if any(len(rows) > 1 for _, rows in steps):
        caption = "On the test set, every sample stopped after so many time steps."
        figure = number_of_steps(steps, regression=regression)
        pictures.append(Picture.of(png(figure), "Number of steps", caption, "figure"))
    return pictures
