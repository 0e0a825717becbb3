"""Runs of the installed command that are killed, starved or diverge, and what is left of them."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from runs import assert_same_results, configuration, run_small, summary
from snnsim.training.checkpoint import read_checkpoint

needs_posix = pytest.mark.skipif(os.name == "nt", reason="signals and limits of another kind")

DIGITS = ("run", "digits", "train.epochs=4", "network.0.dense=32", "data.limit=400")


@pytest.fixture(scope="module")
def undisturbed(command: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run on one thread that nothing disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    arguments = [command, *DIGITS, "--out", "run", "--threads", "1", "--quiet"]
    subprocess.run(arguments, cwd=folder, check=True, timeout=120)
    return folder / "run"


def test_threads_change_no_bit(snnsim: Any, undisturbed: Path, tmp_path: Path) -> None:
    """The same command on two threads writes the same model and the same results."""
    result = snnsim(*DIGITS, "--out", "run", "--threads", 2, "--quiet")
    assert (result.returncode, result.stderr) == (0, "")
    assert_same_results(tmp_path / "run", undisturbed)


@needs_posix
def test_killed_again_and_again(command: str, undisturbed: Path, tmp_path: Path) -> None:
    """Killed at random moments and resumed each time, a run ends in the same bits."""
    run = tmp_path / "run"
    arguments = [command, *DIGITS, "--out", "run", "--resume", "--threads", "2", "--quiet"]
    rng = random.Random(7)
    killed = 0
    for _ in range(4):
        process = subprocess.Popen(arguments, cwd=tmp_path)
        log = run / "log.txt"
        before = log.stat().st_size if log.exists() else 0
        while process.poll() is None and not (log.exists() and log.stat().st_size > before):
            time.sleep(0.005)  # training has begun once an epoch, or "going on", is in the log
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        killed += process.wait(timeout=60) != 0
    assert killed >= 1, "every process had ended before it was killed"
    assert subprocess.run(arguments, cwd=tmp_path, check=False, timeout=120).returncode == 0
    assert_same_results(run, undisturbed)


LIMITED = """\
import resource, sys
from snnsim.cli.main import call
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.exit(call(sys.argv[2:]))
"""


@needs_posix
def test_a_disk_that_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system refuses to write a checkpoint, the run ends with exit 2 and one message; nothing is lost."""
    monkeypatch.setattr("snnsim.figures.draw_figures", lambda *arguments: None)
    whole = run_small(tmp_path, name="whole")

    class StopError(Exception):
        pass

    def stop(epoch: int, *_: object) -> None:
        raise StopError

    with monkeypatch.context() as patch:
        patch.setattr("snnsim.run_directory.Logged.epoch", stop)
        with pytest.raises(StopError):
            run_small(tmp_path)
    last = tmp_path / "run" / "checkpoints" / "last.npz"
    content = last.read_bytes()
    arguments = ["run", "small.yaml", "--out", "run", "--resume", "--threads", "1"]
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, str(len(content) // 2), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2, result.stderr
    *_, message = result.stderr.splitlines()
    assert ".npz: cannot be written (File too large); what stood there before is unchanged" in message
    assert "Traceback" not in result.stderr
    assert last.read_bytes() == content
    assert read_checkpoint(last).epoch == 1
    assert not list((tmp_path / "run").rglob("*.part"))
    assert_same_results(run_small(tmp_path, resume=True), whole)


def test_diverging_is_exit_2_and_one_message(snnsim: Any, tmp_path: Path) -> None:
    """A training that diverges says which epoch and what to try, in one line, without warnings of the inner parts."""
    configuration(tmp_path)
    result = snnsim("run", "small.yaml", "train.optimizer.sgd.lr=1e38", "--out", "run", "--quiet")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("training diverged in epoch 1: ")
    assert "train.optimizer.sgd.lr=1e+37" in line
    assert result.stdout == ""


def test_a_silent_layer_is_named_also_where_all_else_is_quiet(snnsim: Any, tmp_path: Path) -> None:
    """The warning goes to stderr; the run goes on to its end."""
    configuration(tmp_path)
    options = ("network.1.lif.threshold=1e6", "train.epochs=1", "--out", "run", "--quiet")
    result = snnsim("run", "small.yaml", *options)
    assert result.returncode == 0, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("warning: layer 1 (lif) fell silent")
    assert summary(tmp_path / "run")["test"]["spikes"] == 0
