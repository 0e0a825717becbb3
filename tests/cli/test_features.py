"""Feature distillation from the command line, on the digits that ship."""

import json
from pathlib import Path
from typing import Any

import pytest

CONFIG = """\
data: {name: digits, limit: 400}
encoder: {direct: {num_steps: 6}}
network: [{conv2d: {out: 4, kernel: 3}}, {lif: {threshold: 0.3}}, {dense: 10}, li]
teacher:
  network: [{conv2d: {out: 4, kernel: 3}}, relu, {dense: 24}, relu, {dense: 10}]
  train: {epochs: 8, optimizer: {adam: {lr: 0.01}}}
distill:
  alpha: 0.5
  method:
    features: [{student: 1, teacher: 1}, {student: 1, teacher: 3}]
train: {epochs: 8, optimizer: {adam: {lr: 0.01}}}
"""


@pytest.fixture(autouse=True)
def config(tmp_path: Path) -> None:
    (tmp_path / "kd.yaml").write_text(CONFIG, encoding="utf-8")


def test_a_student_learns_from_features(snnsim: Any, tmp_path: Path) -> None:
    """One pair of equal sizes, one through a regressor: the student learns, and the model is its own alone."""
    result = snnsim("run", "kd.yaml", "--out", "run", "--quiet")
    assert (result.returncode, result.stderr) == (0, "")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text("utf-8"))
    assert summary["test"]["accuracy"] > 0.7
    assert summary["model"]["parameters"] == 4 * 9 + 4 + 144 * 10 + 10
    assert summary["distill"]["method"]["features"]["layers"][1] == {"student": 1, "teacher": 3}
    again = snnsim("run", "run/config.yaml", "--out", "again", "--quiet")
    assert again.returncode == 0
    assert (tmp_path / "again" / "model.npz").read_bytes() == (tmp_path / "run" / "model.npz").read_bytes()
    evaluated = snnsim("eval", "run", "--json")
    assert json.loads(evaluated.stdout)["test"]["accuracy"] == summary["test"]["accuracy"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("teacher={logits: logits.npy}", "kd.yaml:7:1: distill: method features needs a teacher that can be run"),
        ("network.1=relu", "distill.method.features.layers.0.student: method features compares a hidden firing layer"),
        ("network=[{dense: 9}, lif, {dense: 10}, li]", ""),
        ("teacher.network=[{dense: 9}, relu, {dense: 10}]", "kd.yaml:10:5: distill.method.features.layers.1.teacher"),
    ],
)
def test_what_does_not_fit(snnsim: Any, tmp_path: Path, override: str, message: str) -> None:
    """One line says which key is wrong, and where; sizes that differ are no fault."""
    result = snnsim("run", "kd.yaml", override, "train.epochs=1", "--out", "run", "--quiet")
    assert result.returncode == (2 if message else 0)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == bool(message)
    assert (tmp_path / "run").exists() == (not message)
