"""A regression on own arrays, run as a user runs it."""

import json
from pathlib import Path
from typing import Any

import numpy as np

CONFIG = """\
data: {npz: own.npz}
encoder: {direct: {num_steps: 5}}
network: [{dense: 16}, {lif: {threshold: 0.5}}, {dense: 1}, li]
train: {epochs: 5, batch_size: 20, optimizer: {adam: {lr: 0.02}}, loss: {mse: {}}}
"""


def test_a_regression_is_trained_tested_and_used(snnsim: Any, tmp_path: Path) -> None:
    """``run``, ``eval`` and ``predict`` speak of losses and outputs, and of no accuracy or class."""
    x = np.random.default_rng(0).random((120, 3)).astype(np.float32)
    y = x[:, 0] - 0.5 * x[:, 1]
    np.savez(tmp_path / "own.npz", x=x, y=y)
    (tmp_path / "own.yaml").write_text(CONFIG)

    done = snnsim("run", "own.yaml", "--out", "run")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("test loss (mean squared error) 0.")
    first, last = done.stderr.splitlines()[0], done.stderr.splitlines()[-1]
    assert first.startswith("epoch 1/5: loss ")
    assert " train " in last
    assert "accuracy" not in done.stdout + done.stderr
    test = json.loads((tmp_path / "run" / "summary.json").read_text())["test"]
    assert test["accuracy"] is None
    assert test["loss"] < 0.3 * y.var()
    assert json.loads(snnsim("eval", "run", "--json").stdout) == {"test": test}
    assert "accuracy" not in snnsim("eval", "run").stdout
    lines = snnsim("predict", "run", "own.npz").stdout.splitlines()
    assert lines[0] == "output_0"
    assert np.mean((np.array(lines[1:], float) - y) ** 2) < 0.3 * y.var()


def test_values_need_a_loss_that_takes_them(snnsim: Any, tmp_path: Path) -> None:
    """Exit 2, one message that says which."""
    np.savez(tmp_path / "own.npz", x=np.zeros((30, 3), np.float32), y=np.linspace(0, 1, 30))
    (tmp_path / "own.yaml").write_text(CONFIG)

    result = snnsim("run", "own.yaml", "train.loss=cross_entropy", "--out", "run")

    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("own.yaml:1:13: data.npz: own.npz: y[1] is 0.03")
    assert "take train.loss=mse" in line
    assert not (tmp_path / "run").exists()
