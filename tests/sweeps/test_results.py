"""What the runs of a sweep come to: means, choices, fronts, and reading run directories."""

import csv
import io
import json
import math
from pathlib import Path

import pytest

from runs import run_small
from snnsim.config import load
from snnsim.errors import InputError
from snnsim.sweeps.results import MEASURES, Mean, read_results, read_run
from snnsim.sweeps.trials import Setting, Trial
from sweeps.results import comparison, example, setting


def test_mean_and_standard_deviation() -> None:
    """The deviation is that of a sample; one value has none."""
    assert Mean.of([1.0, 2.0, 3.0]) == Mean(2.0, 1.0)
    assert math.isnan(Mean.of([1.0]).deviation)


def test_the_reference_is_chosen_by_validation() -> None:
    """Test accuracy has no part in the choice, however tempting."""
    assert example().reference.setting.label == "tt=2, ts=2"


def test_best_and_lightest() -> None:
    """The most accurate in validation, and the one with fewest SynOps of those not below the reference."""
    chosen = example().chosen
    assert chosen["none"].lightest is None
    assert chosen["conventional"].best is chosen["conventional"].lightest
    pairs = chosen["pairs"]
    assert pairs.best.setting.label == "tt=8, ts=1"
    assert pairs.lightest is not None
    assert pairs.lightest.setting.label == "tt=32, ts=1"
    assert [name for name, _ in example().shown] == ["none", "conventional", "pairs", "pairs, lightest"]


def test_a_gain_can_be_asked_for() -> None:
    """With a gain, the lightest setting must exceed the reference's validation accuracy by so much."""
    results = example().results
    assert comparison(*results, gain=0.005).chosen["pairs"].lightest is results[3]
    assert comparison(*results, gain=0.006).chosen["pairs"].lightest is None


def test_equally_accurate_settings_differ_by_cost() -> None:
    """Of settings with the same validation accuracy the one with fewer SynOps is best."""
    first = setting("a", "1", valid_accuracy=[0.9], valid_synops=[3.0])
    second = setting("a", "2", valid_accuracy=[0.9], valid_synops=[2.0])
    assert comparison(first, second, against="a").reference is second


def test_gains_pair_runs_of_a_seed() -> None:
    """A gain is the mean of differences within seeds, with the spread of these differences."""
    results = example().results
    gain = results[3].gain(results[1], "accuracy")
    assert gain.mean == pytest.approx(0.005)
    assert gain.deviation == pytest.approx(0.02 / math.sqrt(2))
    assert results[3].ratio(results[1], "spikes") == pytest.approx(102.5 / 410 - 1)


def test_the_front_holds_what_nothing_beats() -> None:
    """By rising cost, each more accurate than all before it."""
    assert [result.setting.label for result in example().front("synops")] == ["tt=4, ts=4"]
    light = setting("a", "light", accuracy=[0.9], synops=[1.0])
    worse = setting("a", "worse", accuracy=[0.89], synops=[2.0])
    heavy = setting("a", "heavy", accuracy=[0.95], synops=[3.0])
    found = comparison(heavy, worse, light, against="a").front("synops")
    assert [result.setting.label for result in found] == ["light", "heavy"]


def test_nothing_to_compare_with() -> None:
    """Without a finished run of the reference there is no comparison."""
    only = comparison(setting("pairs", "", accuracy=[0.9]), setting("conventional", "", accuracy=[0.9]))
    only.results = only.results[:1]
    with pytest.raises(InputError, match="no run of 'conventional' is finished"):
        _ = only.chosen


def test_every_run_has_its_row() -> None:
    """The table of runs gives back every figure to the bit."""
    rows = list(csv.DictReader(io.StringIO(example().csv())))
    assert len(rows) == 10
    assert [row["seed"] for row in rows] == ["0", "1"] * 5
    assert [float(row["accuracy"]) for row in rows[6:8]] == [0.975, 0.965]
    assert float(rows[0]["spikes 1 lif"]) == 225.0


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    run = run_small(tmp_path_factory.mktemp("trial"))
    return Trial(Setting("plain", ""), 0, load(str(run / "config.yaml")), run)


def test_a_run_directory_is_read(trial: Trial) -> None:
    """Measures are those of summary.json, of the last epoch's validation, and of each firing layer."""
    summary = json.loads((trial.folder / "summary.json").read_text(encoding="utf-8"))
    last = list(csv.DictReader((trial.folder / "metrics.csv").read_text(encoding="utf-8").splitlines()))[-1]
    found = read_run(trial)
    assert found.values.keys() == set(MEASURES)
    assert found.values["accuracy"] == summary["test"]["accuracy"]
    assert found.values["synops"] == summary["test"]["synops_per_sample"]
    assert found.values["valid_accuracy"] == float(last["valid_accuracy"])
    assert found.values["logit_range"] == summary["test"]["logit_range"] > 0
    assert math.isnan(found.values["teacher_accuracy"])
    assert found.layers == {"1 lif": summary["test"]["spikes_per_sample"]}


def test_runs_that_are_not_finished_are_left_out(trial: Trial, tmp_path: Path) -> None:
    """A trial without its report is not there yet; none at all is an error."""
    absent = Trial(trial.setting, 1, trial.loaded, tmp_path / "absent")
    sweep = comparison(setting("plain", "", accuracy=[0.5]), against="plain").sweep
    assert len(read_results(sweep, [trial, absent]).results[0].runs) == 1
    with pytest.raises(InputError, match="no run of the sweep is finished"):
        read_results(sweep, [absent])


@pytest.mark.parametrize(("name", "content"), [("summary.json", "{"), ("summary.json", "{}"), ("metrics.csv", "")])
def test_damaged_runs_are_named(trial: Trial, tmp_path: Path, name: str, content: str) -> None:
    """A file that is cut off is met with the run's folder and the mend."""
    for file in ("summary.json", "metrics.csv", "accounting.csv"):
        (tmp_path / file).write_bytes((trial.folder / file).read_bytes())
    (tmp_path / name).write_text(content, encoding="utf-8")
    damaged = Trial(trial.setting, 0, trial.loaded, tmp_path)
    with pytest.raises(InputError, match=r"not a whole run .*; delete it to run it anew"):
        read_run(damaged)
