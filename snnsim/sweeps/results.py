"""What the runs of a sweep came to: one row a run, means over seeds, and the settings that are chosen."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from snnsim.errors import InputError
from snnsim.pareto import pareto_front
from snnsim.run_directory import RunDirectory
from snnsim.sweeps.language import Sweep
from snnsim.sweeps.trials import Setting, Trial

# The measures of a run, by their keys in results.csv.
MEASURES = (
    "valid_accuracy",
    "valid_synops",
    "accuracy",
    "spikes",
    "synops",
    "acs",
    "joules",
    "logit_range",
    "teacher_accuracy",
    "seconds",
)


@dataclass(frozen=True)
class RunResult:
    """One finished run.

    Attributes
    ----------
    values
        `MEASURES` by name: accuracies as shares, all counts and joules per test sample (``valid_synops`` per
        validation sample), seconds of training; NaN where a run has no such figure.
    layers
        Spikes per test sample of each firing layer, by the layer's place and name.
    """

    setting: Setting
    seed: int
    values: Mapping[str, float]
    layers: Mapping[str, float]

    def plain(self) -> dict[str, Any]:
        """Return its figures as plain data, null where there is none."""
        values = {key: _plain(value) for key, value in self.values.items()}
        return {"seed": self.seed, "values": values, "layers": dict(self.layers)}

    @classmethod
    def of_plain(cls, setting: Setting, data: Mapping[str, Any]) -> "RunResult":
        """Return the run of a setting whose figures are plain data; the reverse of `plain`."""
        values = {key: _number(data["values"].get(key)) for key in MEASURES}
        return cls(setting, data["seed"], values, data["layers"])


@dataclass(frozen=True)
class Mean:
    """Mean and standard deviation (n - 1; NaN for one) over seeds."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Mean":
        """Average."""
        return cls(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else math.nan)

    def summary(self) -> dict[str, float | None]:
        """Return both as plain data, null where there is none."""
        return {"mean": _plain(self.mean), "std": _plain(self.deviation)}


@dataclass(frozen=True)
class SettingResult:
    """A setting over its seeds."""

    setting: Setting
    runs: tuple[RunResult, ...]

    def mean(self, measure: str) -> Mean:
        """Average a measure over the seeds."""
        return Mean.of([run.values[measure] for run in self.runs])

    def layer_means(self) -> dict[str, float]:
        """Average each firing layer's spikes over the seeds."""
        return {name: float(np.mean([run.layers[name] for run in self.runs])) for name in self.runs[0].layers}

    def gain(self, other: "SettingResult", measure: str) -> Mean:
        """Average the difference to another setting, seed by seed."""
        theirs = {run.seed: run.values[measure] for run in other.runs}
        pairs = [run.values[measure] - theirs[run.seed] for run in self.runs if run.seed in theirs]
        return Mean.of(pairs) if pairs else Mean(math.nan, math.nan)

    def ratio(self, other: "SettingResult", measure: str) -> float:
        """Return the relative change of a mean against another setting's: -0.65 is 65 % less."""
        theirs = other.mean(measure).mean
        return self.mean(measure).mean / theirs - 1 if theirs else math.nan


@dataclass(frozen=True)
class Chosen:
    """A method's settings that validation chooses.

    ``best`` has the highest mean validation accuracy, of equals the one with fewer SynOps. ``lightest`` has the fewest
    SynOps in validation among those whose mean validation accuracy exceeds that of the reference by the sweep's
    ``gain`` or more; None where there is none.
    """

    best: SettingResult
    lightest: SettingResult | None


class Results:
    """Settings with their finished runs, in the order of the sweep."""

    def __init__(self, results: Sequence[SettingResult]) -> None:
        self.results = list(results)

    def front(self, cost: str, worth: str = "accuracy") -> list[SettingResult]:
        """Return the settings that no other beats in mean accuracy (``worth``) and mean cost, by rising cost."""
        costs = [result.mean(cost).mean for result in self.results]
        scores = [result.mean(worth).mean for result in self.results]
        return [self.results[place] for place in pareto_front(costs, scores)]

    def csv(self) -> str:
        """Return one row a run."""
        layers = list(dict.fromkeys(name for result in self.results for run in result.runs for name in run.layers))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow((*self._columns(), "seed", *MEASURES, *(f"spikes {name}" for name in layers)))
        for result in self.results:
            for run in result.runs:
                values = [_cell(run.values[key]) for key in MEASURES] + [_cell(run.layers.get(key)) for key in layers]
                writer.writerow([*self._names(result.setting), run.seed, *values])
        return text.getvalue()

    def _columns(self) -> Sequence[str]:
        """Return the heads of the columns that name a setting."""
        return ("method", "setting")

    def _names(self, setting: Setting) -> Sequence[str]:
        """Return what stands in these columns."""
        return (setting.method, setting.label)


class Comparison(Results):
    """All finished runs of a sweep.

    Parameters
    ----------
    results
        Settings in the order of the sweep file.
    """

    def __init__(self, sweep: Sweep, results: Sequence[SettingResult]) -> None:
        super().__init__(results)
        self.sweep = sweep

    @cached_property
    def reference(self) -> SettingResult:
        """The setting of ``against`` with the highest mean validation accuracy.

        Raises
        ------
        InputError
            It has no finished run.
        """
        own = [result for result in self.results if result.setting.method == self.sweep.against]
        if not own:
            raise InputError(f"no run of {self.sweep.against!r} is finished, with which the others are compared")
        return most_accurate(own)

    @cached_property
    def chosen(self) -> dict[str, Chosen]:
        """What validation chooses of each method; test figures have no part in it."""
        wanted = self.reference.mean("valid_accuracy").mean + self.sweep.gain
        found = {}
        for method in dict.fromkeys(result.setting.method for result in self.results):
            own = [result for result in self.results if result.setting.method == method]
            enough = [result for result in own if result.mean("valid_accuracy").mean >= wanted - 1e-12]
            lightest = min(enough, key=lambda result: result.mean("valid_synops").mean, default=None)
            found[method] = Chosen(most_accurate(own), lightest)
        return found

    @property
    def shown(self) -> list[tuple[str, SettingResult]]:
        """The chosen settings with their method's name; ``lightest`` is said where another one is meant."""
        rows = []
        for method, chosen in self.chosen.items():
            rows.append((method, chosen.best))
            if chosen.lightest is not None and chosen.lightest is not chosen.best:
                rows.append((f"{method}, lightest", chosen.lightest))
        return rows

    def summary(self) -> dict[str, Any]:
        """Return the chosen settings with the means of all measures, as plain data."""
        return {
            "against": self.reference.setting.method,
            "setting": self.reference.setting.label,
            "chosen": [
                {
                    "name": name,
                    "method": result.setting.method,
                    "setting": result.setting.label,
                    "seeds": [run.seed for run in result.runs],
                    **{key: result.mean(key).summary() for key in MEASURES},
                }
                for name, result in self.shown
            ],
        }


def read_results(sweep: Sweep, trials: Sequence[Trial]) -> Comparison:
    """Read every finished run of a sweep.

    Raises
    ------
    InputError
        A run directory is damaged, or no run is finished.
    """
    runs: dict[Setting, list[RunResult]] = {}
    for trial in trials:
        if RunDirectory(trial.folder).finished:
            runs.setdefault(trial.setting, []).append(read_run(trial))
    if not runs:
        raise InputError("no run of the sweep is finished")
    return Comparison(sweep, [SettingResult(setting, tuple(found)) for setting, found in runs.items()])


def read_run(trial: Trial) -> RunResult:
    """Read a trial's run directory.

    Raises
    ------
    InputError
        It is damaged.
    """
    folder = trial.folder
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        epochs = list(csv.DictReader((folder / "metrics.csv").read_text(encoding="utf-8").splitlines()))
        layers = list(csv.DictReader((folder / "accounting.csv").read_text(encoding="utf-8").splitlines()))
        kept = _kept(epochs, trial.loaded.config.train.keep)
        test, samples = summary["test"], summary["test"]["samples"]
        values = {
            "valid_accuracy": _number(kept["valid_accuracy"]),
            "valid_synops": _number(kept["synops_per_sample"]),
            "accuracy": _number(test["accuracy"]),
            "spikes": _number(test["spikes_per_sample"]),
            "synops": _number(test["synops_per_sample"]),
            "acs": test["acs"] / samples,
            "joules": _number(summary["energy"]["joules_per_sample"]),
            "logit_range": _number(test["logit_range"]),
            "teacher_accuracy": _number((summary["teacher"] or {}).get("accuracy")),
            "seconds": _number(summary["train"]["seconds"]),
        }
        firing = {
            f"{row['index']} {row['layer']}": int(row["spikes"]) / samples
            for row in layers
            if row["index"] != "input" and trial.loaded.config.network[int(row["index"])].fires
        }
    except (OSError, ValueError, KeyError, TypeError, IndexError, ZeroDivisionError) as error:
        raise InputError(
            f"{folder}: not a whole run ({type(error).__name__}: {error}); delete it to run it anew"
        ) from None
    return RunResult(trial.setting, trial.seed, values, firing)


def _kept(epochs: list[dict[str, Any]], keep: str) -> dict[str, Any]:
    """Return the row of the epoch whose weights were kept."""
    return max(epochs, key=lambda row: _number(row["valid_accuracy"])) if keep == "best" else epochs[-1]


def most_accurate(results: Sequence[SettingResult]) -> SettingResult:
    """Return the setting with the highest mean validation accuracy, of equals the one with fewer SynOps."""
    return max(results, key=lambda k: (k.mean("valid_accuracy").mean, -k.mean("valid_synops").mean))


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value


def _number(value: object) -> float:
    return math.nan if value in (None, "") else float(str(value))


def _cell(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(value)
