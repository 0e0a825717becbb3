"""``snnsim sweep`` with a search: trials in processes of their own, killed and gone on with, and what they leave."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from postgresql import server
from runs import assert_same_results

SEARCH = """\
base: digits-kd
set:
  train.epochs: 1
  teacher.train.epochs: 1
  teacher.network.0.dense: 8
  data.limit: 60
  network.0.dense: 8
  encoder.direct.num_steps: 2
search:
  network.1.lif.threshold: [0.5, 1.0]
  distill.student_temperature: {range: [1, 2]}
sampler: grid
trials: 3
"""
RANDOM = """\
base: digits
set: {train.epochs: 1, data.limit: 60, network.0.dense: 8, network.2.dense: 8, encoder.direct.num_steps: 2}
search:
  network.1.lif.threshold: {range: [0.2, 1.0]}
sampler: random
objectives: [accuracy]
trials: 3
"""


def written(folder: Path, text: str) -> str:
    (folder / "small.yaml").write_text(text, encoding="utf-8")
    return "small.yaml"


def places(out: Path) -> set[str]:
    return {path.name for path in (out / "runs").iterdir()}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def begun(out: Path) -> bool:
    return any(out.glob("runs/*/config.yaml"))


@contextmanager
def group(arguments: list[str], **how: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a process that has its workers in a group of its own; at the end none of them is left."""
    with subprocess.Popen(arguments, start_new_session=True, **how) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def finished(command: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a search, two trials at a time, which is killed in the first ones; return the folder it was made in."""
    folder = tmp_path_factory.mktemp("search")
    arguments = [command, "sweep", written(folder, SEARCH), "--jobs", "2", "--json"]
    env = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    with subprocess.Popen(arguments, cwd=folder, env=env, stdout=subprocess.DEVNULL) as process:
        until(lambda: begun(folder / "sweeps" / "small"))
        process.kill()
    with (folder / "out.json").open("w") as out, (folder / "notes.txt").open("w") as notes:
        subprocess.run(arguments, cwd=folder, check=True, timeout=300, stdout=out, stderr=notes, env=env)
    return folder


def test_what_a_search_leaves(finished: Path) -> None:
    """A run and a row for each trial, one teacher for all, and the best as JSON, also where it was killed."""
    out = finished / "sweeps" / "small"
    assert places(out) == {"trial-000", "trial-001", "trial-002"}
    assert len(list((out / "teachers").iterdir())) == 1
    assert len((out / "results.csv").read_text(encoding="utf-8").splitlines()) == 4
    assert "Pareto set" in (out / "search.md").read_text(encoding="utf-8")
    found = json.loads((finished / "out.json").read_text(encoding="utf-8"))
    assert found["trials"] == {"asked": 3, "finished": 3, "failed": 0, "running": 0}
    for best in found["best"]:
        run = out / "runs" / Path(best["config"]).stem
        assert best["accuracy"] == json.loads((run / "summary.json").read_text(encoding="utf-8"))["test"]["accuracy"]


def test_what_it_says_meanwhile(finished: Path) -> None:
    """A line for each trial that was still to be done, each once, and none for the teacher, which was."""
    notes = (finished / "notes.txt").read_text(encoding="utf-8").splitlines()
    assert {note.split(" (")[0] for note in notes} <= {f"{n}/3 trial {k}" for n in range(1, 4) for k in range(3)}
    assert notes[-1].startswith("3/3 trial ")
    assert len({note.split()[2] for note in notes}) == len(notes)
    assert all("% valid, " in note for note in notes)


def test_a_killed_trial_is_as_if_nothing_had_been(
    finished: Path, main: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The trial that was killed came to the bits that its configuration comes to undisturbed."""
    monkeypatch.chdir(finished)  # its teacher is a folder of the search
    run = finished / "sweeps" / "small" / "runs" / "trial-000"
    assert main.call(["run", str(run / "config.yaml"), "--out", str(tmp_path / "again"), "--quiet"]) == 0
    assert_same_results(tmp_path / "again", run)


def test_a_best_configuration_runs(finished: Path, main: Any, tmp_path: Path) -> None:
    """The configuration of a best trial gives that trial's bits, teacher and all, wherever it is run."""
    out = finished / "sweeps" / "small"
    best = min((out / "best").iterdir())
    assert main.call(["run", str(best), "--out", str(tmp_path / "again"), "--quiet"]) == 0
    assert_same_results(tmp_path / "again", out / "runs" / best.stem)


def test_the_same_command_does_nothing_twice(
    finished: Path, main: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A finished search is shown again, and no run is touched; another search is not mixed with it."""
    monkeypatch.chdir(finished)
    models = {path: path.stat().st_mtime_ns for path in Path("sweeps", "small").glob("runs/*/model.npz")}
    assert main.call(["sweep", "small.yaml"]) == 0
    out, error = capsys.readouterr()
    assert ("best/trial-00" in out, error) == (True, "")
    assert main.call(["sweep", written(finished, SEARCH.replace("[0.5, 1.0]", "[0.5, 2.0]"))]) == 2
    assert "search.network.1.lif.threshold.values.1 (stored 1.0, now 2.0)" in capsys.readouterr().err
    assert (len(models), {path: path.stat().st_mtime_ns for path in models}) == (3, models)


def test_two_processes_share_a_study_on_postgresql(command: str, here: Path, main: Any) -> None:
    """Two processes with a database between them do every trial once, and both have the whole table."""
    env = {**os.environ, "XDG_CACHE_HOME": str(here / "cache")}
    first, second = outs = [here / "a", here / "b"]
    with server() as url, ExitStack() as processes:
        arguments = ["sweep", written(here, RANDOM), "--jobs", "1", "--quiet", "--storage", url]
        both = [
            processes.enter_context(group([command, *arguments, "--out", str(out)], cwd=here, env=env)) for out in outs
        ]
        # Whoever begins a trial first waits until the other has one too: neither does all of them alone.
        until(lambda: begun(first) or begun(second))
        early = both[0 if begun(first) else 1].pid
        os.killpg(early, signal.SIGSTOP)
        until(lambda: begun(first) and begun(second))
        os.killpg(early, signal.SIGCONT)
        assert [process.wait(timeout=300) for process in both] == [0, 0]
        # The table of who was done first lacks what the other was at; the same command brings it up to date.
        assert [main.call([*arguments, "--out", str(out)]) for out in outs] == [0, 0]
    assert places(first) | places(second) == {"trial-000", "trial-001", "trial-002"}
    assert not places(first) & places(second)
    assert (first / "results.csv").read_bytes() == (second / "results.csv").read_bytes()
    assert len((first / "results.csv").read_text(encoding="utf-8").splitlines()) == 4
    # A run notes the command that it comes from, without the password in it.
    summaries = [path.read_text(encoding="utf-8") for path in here.rglob("summary.json")]
    assert all("--storage postgresql+psycopg://snnsim:***@/" in text for text in summaries)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SEARCH.replace("threshold", "treshold"), "small.yaml:10:3: search.network.1.lif.treshold: override network"),
        (SEARCH.replace("sampler: grid", "sampler: gird"), "small.yaml:12:1: sampler: unknown sampler 'gird'; did you"),
        (SEARCH.replace("digits-kd", "digits-dk"), "did you mean 'digits-kd'"),
        (SEARCH.replace("[1, 2]", "[0, 2]"), "small.yaml:11:3: search.distill.student_temperature: override distill"),
    ],
)
def test_wrong_searches(here: Path, main: Any, capsys: pytest.CaptureFixture[str], text: str, said: str) -> None:
    """A fault is one message that names file, line and key, exit code 2, and nothing is written."""
    file = written(here, text)
    for name in ("validate", "sweep"):
        assert main.call([name, file]) == 2
        out, error = capsys.readouterr()
        assert (out, len(error.splitlines())) == ("", 1)
        assert said in error
    assert not (here / "sweeps").exists()


def test_validate_knows_both_kinds(here: Path, main: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A sweep file is checked like a configuration: searches and comparisons, one's own and ready ones."""
    methods = "base: digits\nagainst: plain\nmethods:\n  plain: {}\n  wide: {set: {network.4.dense: 11}}\n"
    (here / "methods.yaml").write_text(methods, encoding="utf-8")
    for name in (written(here, SEARCH), "digits-search"):
        assert main.call(["validate", name]) == 0
        assert capsys.readouterr() == (f"{name}: valid\n", "")
    assert main.call(["validate", "methods.yaml"]) == 2
    assert "methods.yaml: methods.wide: override network.4.dense=11: " in capsys.readouterr().err
    assert main.call(["validate", "small.yaml", "seed=1"]) == 2


def test_storage_is_for_searches(here: Path, main: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A comparison of methods has no study to be kept anywhere."""
    assert main.call(["sweep", "digits-kd", "--storage", "sqlite:///study.db"]) == 2
    assert "digits-kd: --storage keeps the study of a search" in capsys.readouterr().err
    assert list(here.iterdir()) == []


def test_without_optuna_the_extra_is_named(
    here: Path, main: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who lacks Optuna is told what to install before anything is written; to check a file needs none."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    for name in [name for name in sys.modules if name in ("snnsim.sweeps.study", "snnsim.sweeps.samplers")]:
        monkeypatch.delitem(sys.modules, name)
    assert main.call(["sweep", written(here, SEARCH)]) == 2
    assert capsys.readouterr().err == "a search needs the extra 'sweep': pip install 'snnsim[sweep]'\n"
    assert not (here / "sweeps").exists()
    assert main.call(["validate", "small.yaml"]) == 0
