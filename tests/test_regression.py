"""Regression from own arrays, from configuration to run directory, and what is wrong with it named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runs import Heard, assert_same_results, metrics, summary, table
from snnsim import InputError, Network, run_experiment
from snnsim.config import load
from snnsim.inference import check, evaluate_model, predict_model
from snnsim.training.checkpoint import read_checkpoint

CONFIG = """\
data: {npz: own.npz}
encoder: {direct: {num_steps: 6}}
network: [{dense: 16}, {lif: {threshold: 0.5}}, {dense: 2}, li]
train: {epochs: 6, batch_size: 20, optimizer: {adam: {lr: 0.02}}, loss: mse}
"""
RNG = np.random.default_rng(0)
X = RNG.random((150, 4)).astype(np.float32)
Y = np.stack([2 * X[:, 0] - X[:, 1], X[:, 2] - 0.5], axis=1).astype(np.float64)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a configuration and its data."""
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text(CONFIG, encoding="utf-8")
    np.savez("own.npz", x=X, y=Y)
    return tmp_path


def run(name: str, *overrides: str, **options: Any) -> Path:
    return run_experiment(load("own.yaml", overrides), Path(name), **({"threads": 1} | options))


def mean_squared_error(found: np.ndarray, true: np.ndarray) -> float:
    return float(np.mean((found.astype(np.float64) - true.astype(np.float32)) ** 2))


def test_a_regression_has_a_loss_and_no_accuracy() -> None:
    """It learns; summary, metrics, figures and report say what there is, and null or nothing where there is none."""
    heard = Heard()
    found = run("run", progress=heard)
    test = summary(found)["test"]
    assert test["accuracy"] is None
    assert test["loss"] < 0.25 * Y.var()
    assert (test["samples"], summary(found)["data"]["train"]) == (30, 120)
    rows = table(found / "metrics.csv")
    assert {row["train_accuracy"] + row["valid_accuracy"] for row in rows} == {""}
    assert float(rows[-1]["valid_loss"]) < 0.5 * float(rows[0]["valid_loss"])
    names = {path.stem for path in (found / "figures").iterdir()}
    assert "predicted-against-true" in names
    assert "confusion-matrix" not in names
    report = (found / "report.html").read_text(encoding="utf-8")
    assert "Mean squared error" in report
    assert "<dt>Accuracy</dt>" not in report
    log = (found / "log.txt").read_text(encoding="utf-8")
    assert f"loss {float(rows[-1]['train_loss']):.4g} train {float(rows[-1]['valid_loss']):.4g} valid" in log
    assert f"test loss {test['loss']:.4g}" in log


def test_a_trained_regression_gives_values() -> None:
    """It predicts outputs without classes, and eval has the run's figures and those of other data."""
    found = run("run", "train.epochs=2")
    np.savez("bare.npz", x=X)
    classes, outputs = predict_model(found, "bare.npz")
    assert classes is None
    assert outputs.shape == (150, 2)
    assert evaluate_model(found)["test"] == summary(found)["test"]
    whole = evaluate_model(found, data="own.npz")["test"]
    assert (whole["accuracy"], whole["samples"]) == (None, 150)
    assert whole["loss"] == pytest.approx(mean_squared_error(outputs, Y), rel=1e-12)
    assert evaluate_model(found, ["data.npz=own.npz"])["test"] == summary(found)["test"]
    with pytest.raises(InputError, match="cross_entropy needs classes"):
        evaluate_model(found, ["train.loss=cross_entropy"])
    with pytest.raises(InputError, match="needs a firing last layer"):
        predict_model(found, "own.npz", ["train.loss=first_spike_cross_entropy"])
    for data, message in (("bare.npz", "has no labels"), ("wide.npz", "targets of size 3, the network 2 outputs")):
        np.savez("wide.npz", x=X, y=np.ones((150, 3)))
        with pytest.raises(InputError, match=message):
            evaluate_model(found, data=data)


def test_the_same_bits_again_and_resumed(folder: Path) -> None:
    """With other threads, from the stored configuration, and from the last checkpoint."""
    first = run("first", "train.epochs=3")
    again = run_experiment(load(str(first / "config.yaml")), folder / "again", threads=2)
    assert_same_results(again, first)
    for name in ("summary.json", "report.html", "model.npz"):
        (again / name).unlink()
    assert_same_results(run_experiment(load(str(first / "config.yaml")), folder / "again", resume=True), first)


def test_the_best_epoch_has_the_least_validation_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """keep: best stores the weights of that epoch."""
    monkeypatch.setattr("snnsim.figures.draw_figures", lambda *arguments: None)
    monkeypatch.setattr(
        "snnsim.training.trainer.learning_rate",
        lambda schedule, lr, step, steps, epochs: lr if step < 3 * steps else 10.0,
    )
    found = run("run", "train.epochs=4", "train.keep=best")
    valid = [float(row["valid_loss"]) for row in metrics(found)]
    assert np.argmin(valid) < 3
    best = read_checkpoint(found / "checkpoints" / "best.npz")
    assert best.epoch == 1 + np.argmin(valid)
    for name, array in Network.load(found).parameters.items():
        assert np.array_equal(array, best.parameters[name])


@pytest.mark.parametrize(
    "end", ["[{dense: 8}, lif, {dense: 1}, {lif: {readout: rate}}]", "[{dense: 4}, relu, {dense: 1}]"]
)
def test_one_value_and_other_ends(end: str) -> None:
    """Values [n] are one output; rates and ANNs learn them too, with a test part of the user's own."""
    np.savez("own.npz", x=X, y=np.clip(X[:, 0], 0, 1), x_test=X[:9], y_test=X[:9, 0])
    found = run("run", f"network={end}", "train.epochs=2")
    assert summary(found)["test"]["samples"] == 9
    assert predict_model(found, "own.npz")[1].shape == (9, 1)


def test_whole_numbers_are_values_where_the_configuration_says_so() -> None:
    """Integers are classes unless data.targets says values; floats are values unless it says classes."""
    np.savez("own.npz", x=X, y=np.arange(150) % 2)
    assert summary(run("classes", "train.epochs=1"))["test"]["accuracy"] is not None
    found = run("values", "train.epochs=1", "data.targets=values", "network.2.dense=1")
    assert summary(found)["test"]["accuracy"] is None
    assert predict_model(found, "own.npz")[0] is None
    np.savez("own.npz", x=X, y=np.arange(150) % 2.0)
    assert summary(run("floats", "train.epochs=1", "data.targets=classes"))["test"]["accuracy"] is not None


def test_mse_of_classes() -> None:
    """A data set with classes has one-hot targets and accuracies as with any other loss."""
    Path("own.yaml").write_text(CONFIG.replace("npz: own.npz", "name: digits, limit: 200"), encoding="utf-8")
    found = run("run", "network.2.dense=10", "train.loss.mse.correct=2", "train.epochs=10")
    assert summary(found)["test"]["accuracy"] > 0.5
    assert "valid_loss" not in table(found / "metrics.csv")[0]
    classes, logits = predict_model(found, "digits")
    assert classes is not None
    assert np.array_equal(classes, logits.argmax(axis=1))
    np.savez("values.npz", x=np.zeros((20, 64), np.float32), y=np.full((20, 1), 0.5))
    with pytest.raises(InputError, match="must be one class per sample"):
        evaluate_model(found, data="values.npz")


def test_the_first_spike_is_the_answer_everywhere() -> None:
    """Accuracy of training and test, the confusion and predictions go by who fires first."""
    Path("own.yaml").write_text(CONFIG.replace("npz: own.npz", "name: digits, limit: 200"), encoding="utf-8")
    network = "network=[{dense: 32}, lif, {dense: 10}, {lif: {threshold: 0.5, readout: count}}]"
    found = run("run", network, "train.loss.first_spike_cross_entropy.tau=2", "train.epochs=8")
    classes, logits = predict_model(found, "digits")
    assert classes is not None
    assert not np.array_equal(classes, logits.argmax(axis=1))
    everything = evaluate_model(found, data="digits")["test"]
    labels = load_labels()
    assert everything["accuracy"] == (classes == labels).mean() > 0.5


def load_labels() -> np.ndarray:
    """Return the classes of the test part of digits."""
    from snnsim.datasets import load_test

    return load_test("digits", None, (1, 8, 8))[0].y


@pytest.mark.parametrize(
    ("y", "overrides", "message"),
    [
        (Y[:, 0], [], r"own\.yaml:3:57: network\.2\.dense: .* 2 outputs, the data have targets of size 1"),
        (Y, ["train.loss=cross_entropy"], r"own\.yaml:1:13: .* y: must be one class .* take train\.loss=mse"),
        (Y[:, 0], ["train.loss=cross_entropy"], r"y\[0\] is .*; labels must be whole .* take train\.loss=mse"),
        (Y, ["train.loss=cross_entropy", "data.targets=values"], "cross_entropy needs classes; .* take mse"),
        (Y, ["train={epochs: 2}", "data.targets=values"], "cross_entropy needs classes; .* take mse"),
        (np.where(np.arange(300).reshape(150, 2) == 7, np.nan, Y), [], r"y\[3, 1\] is nan; values must be finite"),
        (np.where(np.arange(150) == 7, 1e300, Y[:, 0]), [], r"y\[7\] is 1e\+300; values must be finite"),
        (Y[:9], [], "y: 9 targets for 150 samples"),
        (Y[:, :, None], [], r"y: must be values \[N\] or \[N, K\] \(got shape \[150, 2, 1\]\)"),
        (Y[:, :0], [], r"y: must be values \[N\] or \[N, K\]"),
        (Y.astype(complex), ["data.targets=values"], r"y: must be numbers \(got complex128\)"),
        (np.arange(150) % 5, [], "2 outputs, the data have 5 classes; for a regression y must be floats"),
        (Y, ["data.name=digits", "data.targets=values"], "goes with npz"),
    ],
)
def test_targets_that_do_not_fit(y: np.ndarray, overrides: list[str], message: str) -> None:
    """One sentence that names file, place and mend, before anything is written."""
    np.savez("own.npz", x=X, y=y)
    with pytest.raises(InputError, match=message):
        check(load("own.yaml", overrides))


@pytest.mark.parametrize(
    ("y_test", "message"),
    [(Y[:9, :1], "y_test: has 1 values a sample, y has 2"), (np.full((9, 2), np.inf), r"y_test\[0, 0\] is inf")],
)
def test_test_targets_that_do_not_fit(y_test: np.ndarray, message: str) -> None:
    """They must be like those for training."""
    np.savez("own.npz", x=X, y=Y, x_test=X[:9], y_test=y_test)
    with pytest.raises(InputError, match=message):
        check(load("own.yaml"))


def test_one_sample_cannot_be_split() -> None:
    """Values have no classes to speak of."""
    np.savez("own.npz", x=X[:1], y=Y[:1])
    with pytest.raises(InputError, match="there is no second sample that could be set aside"):
        check(load("own.yaml"))
