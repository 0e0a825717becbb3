"""From a sweep file to its runs."""

import pickle
from pathlib import Path

import pytest

from snnsim.errors import ConfigError, InputError
from snnsim.ready import ready_names
from snnsim.sweeps import is_search, load_sweep
from snnsim.sweeps.trials import Setting, plan

BASE = """\
data: {name: digits, limit: 100}
network: [{dense: 8}, lif, {dense: 10}, li]
teacher: {network: [{dense: 8}, relu, {dense: 10}]}
distill: {teacher_temperature: 8}
"""

SWEEP = """\
base: base.yaml
seeds: [0, 3]
set: {train.epochs: 2}
against: conventional
methods:
  none:
    set: {teacher: null, distill: null}
  conventional:
    points: [{distill.teacher_temperature: 2, distill.student_temperature: 2}]
  other pairs:
    grid: {distill.teacher_temperature: [2, 4], distill.student_temperature: [1, 2]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")
    return tmp_path


def written(folder: Path, text: str) -> Path:
    file = folder / "sweep.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_settings_with_their_seeds(folder: Path) -> None:
    """Every setting once a seed, each in a folder that its name says; a setting that was there before is left out."""
    laid_out = plan(load_sweep(written(folder, SWEEP)), folder / "out")
    assert laid_out.settings == [
        Setting("none", ""),
        Setting("conventional", "tt=2, ts=2"),
        Setting("other pairs", "tt=2, ts=1"),
        Setting("other pairs", "tt=4, ts=1"),
        Setting("other pairs", "tt=4, ts=2"),
    ]
    assert [trial.seed for trial in laid_out.trials] == [0, 3] * 5
    assert laid_out.trials[1].folder == folder / "out" / "runs" / "none" / "seed-3"
    assert laid_out.trials[4].folder == folder / "out" / "runs" / "other-pairs" / "tt-2-ts-1" / "seed-0"
    configs = [trial.loaded.config for trial in laid_out.trials]
    assert {config.train.epochs for config in configs} == {2}
    assert [config.seed for config in configs] == [0, 3] * 5
    assert configs[9].distill is not None
    assert (configs[9].distill.teacher_temperature, configs[9].distill.student_temperature) == (4, 2)


def test_one_teacher_a_seed(folder: Path) -> None:
    """Students with the same teacher share its run; one with another teacher has that trained too."""
    laid_out = plan(load_sweep(written(folder, SWEEP)), folder / "out")
    assert [config.config.seed for config, _ in laid_out.teachers] == [0, 3]
    assert all(config.config.teacher is None and config.config.distill is None for config, _ in laid_out.teachers)
    taught = [trial.loaded.config.teacher for trial in laid_out.trials if trial.setting.method != "none"]
    assert {teacher.run for teacher in taught if teacher} == {str(path) for _, path in laid_out.teachers}
    wider = SWEEP + "  wider teacher:\n    set: {teacher.network.0.dense: 16}\n"
    assert len(plan(load_sweep(written(folder, wider)), folder / "out").teachers) == 4


def test_faults_name_the_method(folder: Path) -> None:
    """A setting that is no valid configuration is refused before anything runs."""
    faulty = SWEEP.replace("[2, 4]", "[2, -4]")
    with pytest.raises(ConfigError) as caught:
        plan(load_sweep(written(folder, faulty)), folder / "out")
    assert "methods.other pairs: override distill.teacher_temperature=-4: must be > 0 (got -4)" in str(caught.value)
    unknown = SWEEP.replace("train.epochs", "train.epoch")
    with pytest.raises(ConfigError, match=r"override train\.epoch=2: unknown key; did you mean 'epochs'"):
        plan(load_sweep(written(folder, unknown)), folder / "out")


def test_two_settings_never_share_a_folder(folder: Path) -> None:
    """Names that make the same folder are refused."""
    clash = SWEEP + '  "none!":\n    set: {distill.alpha: 0.5}\n'
    with pytest.raises(ConfigError, match="two settings would share the folder none"):
        plan(load_sweep(written(folder, clash)), folder / "out")


def test_the_ready_sweeps() -> None:
    """Searches go by the name of what they search in."""
    assert [name for name in ready_names("sweeps") if is_search(name)] == ["digits-search"]


@pytest.mark.parametrize("name", [name for name in ready_names("sweeps") if not is_search(name)])
def test_ready_comparisons_are_valid(name: str, tmp_path: Path) -> None:
    """Every one that ships can be laid out, on several seeds, with the reference and a control among its methods."""
    loaded = load_sweep(name)
    laid_out = plan(loaded, tmp_path / "out")
    assert len(loaded.sweep.seeds) >= 3
    assert {setting.method for setting in laid_out.settings} >= {"no distillation", "conventional", "heterogeneous"}


def test_errors_cross_processes() -> None:
    """What a run says in its own process is what the sweep says: text, faults and place."""
    faults = pickle.loads(pickle.dumps(ConfigError(["a.yaml:1:1: one", "a.yaml:2:1: two"])))
    assert (type(faults), str(faults)) == (ConfigError, "a.yaml:1:1: one\na.yaml:2:1: two")
    assert faults.faults == ("a.yaml:1:1: one", "a.yaml:2:1: two")
    placed = pickle.loads(pickle.dumps(InputError("too large", ("network", 0))))
    assert (str(placed), placed.path) == ("too large", ("network", 0))
