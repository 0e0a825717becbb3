"""``snnsim sweep``: runs in processes of their own, killed and gone on with, and the page they make."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from runs import assert_same_results

SWEEP = """\
base: digits-kd
seeds: [0, 1]
set: {train.epochs: 2, data.limit: 200, network.0.dense: 16, encoder.direct.num_steps: 4}
against: conventional
methods:
  no distillation:
    set: {teacher: null, distill: null}
  conventional:
    set: {distill.teacher_temperature: 2, distill.student_temperature: 2}
  heterogeneous: {}
"""
TEACHER = "  train.epochs: 2, teacher.train.epochs: 2,"


def written(folder: Path, text: str = SWEEP) -> str:
    (folder / "small.yaml").write_text(text.replace("{train.epochs: 2,", "{" + TEACHER), encoding="utf-8")
    return "small.yaml"


@pytest.fixture(scope="module")
def finished(command: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a sweep that nothing disturbs, two runs at a time; return the folder it was made in."""
    folder = tmp_path_factory.mktemp("sweep")
    arguments = [command, "sweep", written(folder), "--jobs", "2", "--json"]
    env = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    with (folder / "out.json").open("w") as out:
        subprocess.run(arguments, cwd=folder, check=True, timeout=300, stdout=out, env=env)
    return folder


def test_what_a_sweep_leaves(finished: Path) -> None:
    """The runs with their teachers, a row for each, a page, and the chosen settings as JSON."""
    out = finished / "sweeps" / "small"
    assert {path.name for path in (out / "runs").iterdir()} == {"no-distillation", "conventional", "heterogeneous"}
    assert len(list((out / "teachers").iterdir())) == 2
    assert len((out / "results.csv").read_text(encoding="utf-8").splitlines()) == 7
    assert "| heterogeneous |" in (out / "comparison.md").read_text(encoding="utf-8")
    found = json.loads((finished / "out.json").read_text(encoding="utf-8"))
    assert found["against"] == "conventional"
    run = json.loads((out / "runs" / "conventional" / "seed-1" / "summary.json").read_text(encoding="utf-8"))
    assert run["seed"] == 1
    assert run["distill"]["teacher_temperature"] == run["distill"]["student_temperature"] == 2


def test_a_trial_is_the_run_of_its_configuration(finished: Path, snnsim: Any, tmp_path: Path) -> None:
    """The stored configuration of a trial runs again to the same bits, alone."""
    run = finished / "sweeps" / "small" / "runs" / "heterogeneous" / "seed-0"
    result = snnsim("run", run / "config.yaml", "--out", "again", "--quiet")
    assert (result.returncode, result.stderr) == (0, "")
    assert_same_results(tmp_path / "again", run)


def test_finished_runs_are_kept(finished: Path, command: str) -> None:
    """The same command again does no run twice; with a method more, it does what is new."""
    out = finished / "sweeps" / "small"
    before = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/*/model.npz")}
    more = (
        SWEEP + "  smoothing:\n    set: {teacher: null, distill: null, train.loss.cross_entropy.label_smoothing: 0.1}\n"
    )
    arguments = [command, "sweep", written(finished, more), "--jobs", "1"]
    result = subprocess.run(arguments, cwd=finished, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    notes = [line for line in result.stderr.splitlines() if "smoothing" in line]
    assert len(notes) == len(result.stderr.splitlines()) == 2
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
def test_killed_and_gone_on_with(finished: Path, command: str, tmp_path: Path) -> None:
    """A sweep that is killed leaves no worker behind, and the same command ends with the same models."""
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    arguments = [command, "sweep", written(tmp_path, SWEEP.replace("  heterogeneous: {}\n", "")), "--quiet"]
    process = subprocess.Popen(arguments, cwd=tmp_path, env=env)
    out = tmp_path / "sweeps" / "small"
    deadline = time.monotonic() + 120
    while not list(out.glob("runs/*/*/config.yaml")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    time.sleep(2)
    assert not _running_below(out)
    subprocess.run(arguments, cwd=tmp_path, check=True, timeout=300, env=env)
    for method in ("no-distillation", "conventional"):
        for seed in (0, 1):
            part = Path("sweeps", "small", "runs", method, f"seed-{seed}", "model.npz")
            assert (tmp_path / part).read_bytes() == (finished / part).read_bytes()


def _running_below(folder: Path) -> bool:
    """Say whether any process writes in a folder: its logs grow."""
    sizes = {path: path.stat().st_size for path in folder.rglob("log.txt")}
    time.sleep(1)
    return any(path.stat().st_size != size for path, size in sizes.items())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SWEEP.replace("digits-kd", "digits-dk"), "did you mean 'digits-kd'"),
        (SWEEP.replace("train.epochs", "train.epoch"), "methods.no distillation: override train.epoch=2: unknown key"),
        (SWEEP + "jobs: 2\n", "small.yaml:11:1: jobs: unknown key"),
    ],
)
def test_wrong_sweeps(snnsim: Any, tmp_path: Path, text: str, said: str) -> None:
    """A fault is one message that names file and key, exit code 2, and nothing is written."""
    (tmp_path / "small.yaml").write_text(text, encoding="utf-8")
    result = snnsim("sweep", "small.yaml")
    assert (result.returncode, result.stdout) == (2, "")
    assert "small.yaml" in result.stderr
    assert said in result.stderr
    assert not (tmp_path / "sweeps").exists()


def test_a_folder_of_something_else(snnsim: Any, tmp_path: Path) -> None:
    """A folder that holds no sweep is not touched."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep", encoding="utf-8")
    result = snnsim("sweep", written(tmp_path), "--out", "mine")
    assert result.returncode == 2
    assert "mine: exists and holds no sweep; choose another --out" in result.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_run_that_diverges_stops_no_other(snnsim: Any, tmp_path: Path) -> None:
    """Runs that diverge are said, the others are compared, and the exit code is 2."""
    wild = SWEEP + "  wild:\n    set: {teacher: null, distill: null, train.optimizer: {sgd: {lr: 1.0e+38}}}\n"
    wild = wild.replace("seeds: [0, 1]", "seeds: [0]")
    result = snnsim("sweep", written(tmp_path, wild), "--jobs", "2")
    assert result.returncode == 2
    assert "wild, seed 0" in result.stderr
    assert "1 of 4 runs diverged" in result.stderr.splitlines()[-1]
    assert "| heterogeneous |" in (tmp_path / "sweeps" / "small" / "comparison.md").read_text(encoding="utf-8")
