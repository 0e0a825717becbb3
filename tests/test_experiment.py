"""A run from configuration to run directory: complete, repeatable, and nothing lost when it is cut off."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from runs import (
    Heard,
    assert_same_results,
    configuration,
    metrics,
    run_small,
    summary,
    table,
)
from snnsim import InputError, Network, files, run_experiment
from snnsim.config import load
from snnsim.errors import DivergedError, RunInterrupted
from snnsim.inference import evaluate_model, predict_model
from snnsim.training.checkpoint import read_checkpoint


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an undisturbed run, figures and all."""
    return run_small(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out figures and the report's drawings, which take longer than the small training."""
    monkeypatch.setattr("snnsim.figures.draw_figures", lambda *arguments: None)


def test_the_run_directory_is_complete(finished: Path) -> None:
    """A run leaves the files of its contract, whole, and nothing half-written."""
    names = {str(path.relative_to(finished)) for path in finished.rglob("*") if path.is_file()}
    assert {
        "config.yaml",
        "summary.json",
        "metrics.csv",
        "accounting.csv",
        "checkpoints/last.npz",
        "checkpoints/best.npz",
        "model.npz",
        "report.html",
        "log.txt",
    } <= names
    assert any(name.startswith("figures/") and name.endswith(".png") for name in names)
    assert not [name for name in names if name.endswith(".part")]


def test_the_summary(finished: Path) -> None:
    """summary.json has the fields of its contract; totals are integers over the test set."""
    found = summary(finished)
    assert (found["format"], found["seed"], found["config"]) == (1, 0, "small.yaml")
    assert found["data"] == {"name": "digits", "train": 200, "test": 200}
    network = Network.load(finished)
    assert found["model"]["parameters"] == sum(array.size for array in network.parameters.values())
    assert [layer["layer"] for layer in found["model"]["layers"]] == ["dense", "lif", "dropout", "dense", "li"]
    assert (found["teacher"], found["distill"]) == (None, None)
    assert found["energy"]["profile"] == "horowitz-45nm-fp32"
    assert found["energy"]["estimate"] is True
    assert found["energy"]["joules_per_sample"] > 0
    assert found["train"]["epochs"] == 3
    assert found["train"]["samples_per_second"] > 0
    test = found["test"]
    assert (test["samples"], test["num_steps"]) == (200, 4)
    for name in ("spikes", "input_events", "synops_structural", "synops_effective", "acs", "macs", "macs_dense"):
        assert isinstance(test[name], int)
    assert test["spikes_per_sample"] == test["spikes"] / 200
    assert test["synops_per_sample"] == (test["acs"] + test["macs"]) / 200
    assert test["macs_dense"] == 200 * 4 * (64 * 24 + 24 * 10)
    assert test["synops_structural"] == test["input_events"] * 24 + test["spikes"] * 10
    assert 0.2 < test["accuracy"] <= 1


def test_accounting_sums_up_to_the_summary(finished: Path) -> None:
    """accounting.csv has a row for the input and one a layer, which add up to the summary's totals."""
    first, *rows = table(finished / "accounting.csv")
    test = summary(finished)["test"]
    assert (first["layer"], int(first["spikes"])) == ("input", test["input_events"])
    assert [row["layer"] for row in rows] == ["dense", "lif", "dropout", "dense", "li"]
    for name in set(rows[0]) - {"index", "layer", "out_shape"}:
        assert sum(int(row[name]) for row in rows) == test[name]


def test_metrics_have_a_row_an_epoch(finished: Path) -> None:
    """metrics.csv has the columns of its contract."""
    rows = table(finished / "metrics.csv")
    assert list(rows[0]) == [
        "epoch",
        "train_loss",
        "train_accuracy",
        "valid_accuracy",
        "spikes_per_sample",
        "synops_per_sample",
        "seconds",
    ]
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])


@pytest.mark.usefixtures("plain")
def test_the_same_seed_gives_the_same_bits(finished: Path, tmp_path: Path) -> None:
    """Again, and with two threads: model, counters and metrics are the same, and another seed's are not."""
    assert_same_results(run_small(tmp_path, name="two", threads=2), finished)
    other = run_small(tmp_path, "seed=1", name="other")
    assert (other / "model.npz").read_bytes() != (finished / "model.npz").read_bytes()


@pytest.mark.usefixtures("plain")
def test_the_stored_configuration_runs_to_the_same_bits(finished: Path, tmp_path: Path) -> None:
    """config.yaml holds every default, and a run from it repeats the run."""
    stored = yaml.safe_load((finished / "config.yaml").read_text(encoding="utf-8"))
    assert stored["train"]["optimizer"]["adam"]["betas"] == [0.9, 0.999]
    again = run_experiment(load(str(finished / "config.yaml")), tmp_path / "again", threads=1)
    assert_same_results(again, finished)
    assert (again / "config.yaml").read_bytes() == (finished / "config.yaml").read_bytes()


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_evaluation_in_any_split_has_the_runs_figures(
    finished: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trained model tested in batches of any size has the very figures of its run's summary."""
    monkeypatch.setattr("snnsim.evaluation.BATCH", size)
    assert evaluate_model(finished, threads=2)["test"] == summary(finished)["test"]


@pytest.mark.parametrize("size", [1, 7, 100])
def test_direct_evaluation_in_any_split(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """So has one with direct coding, whose first product is taken for the whole batch."""
    monkeypatch.setattr("snnsim.figures.draw_figures", lambda *arguments: None)
    run = run_small(tmp_path, "encoder.direct.num_steps=4", "train.epochs=1", "network.0.dense=37")
    monkeypatch.setattr("snnsim.evaluation.BATCH", size)
    assert evaluate_model(run)["test"] == summary(run)["test"]


def test_predictions_do_not_depend_on_the_split(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes and logits of a set are the same however it is cut into batches."""
    classes, logits = predict_model(finished, "digits", threads=1)
    monkeypatch.setattr("snnsim.inference.BATCH", 13)
    again, others = predict_model(finished, "digits", threads=2)
    assert classes is not None
    assert again is not None
    assert np.array_equal(classes, again)
    assert logits.tobytes() == others.tobytes()


class Killed(BaseException):
    """Stands for a process that ends at this very place."""


# The writes of an undisturbed run: configuration, then best, last and metrics of each epoch (best only where it
# is), then accounting, model, summary, report.
@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(14))
def test_a_run_that_dies_at_any_write_goes_on_to_the_same_bits(
    finished: Path, tmp_path: Path, number: int, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed just before or after any of its files is put into place, a resumed run ends in the same bits."""
    writes = 0
    replace = os.replace

    def dying(source: Any, target: Any) -> None:
        nonlocal writes
        if not Path(target).is_relative_to(tmp_path):  # the compiler's cache
            replace(source, target)
            return
        writes += 1
        if writes == number + 1 and not after:
            raise Killed
        replace(source, target)
        if writes == number + 1:
            raise Killed

    monkeypatch.setattr(os, "replace", dying)
    try:
        run_small(tmp_path)
    except Killed:
        monkeypatch.setattr(os, "replace", replace)
        assert_same_results(run_small(tmp_path, resume=True, threads=2), finished)
    else:
        assert writes <= number, "the run ends, and resuming changes nothing"
        assert number >= 10


@pytest.mark.usefixtures("plain")
def test_a_run_killed_between_files_goes_on(finished: Path, tmp_path: Path) -> None:
    """Half-written files that a killed process left behind do no harm."""
    run = run_small(tmp_path, "train.epochs=3")
    for name in ("summary.json", "report.html", "model.npz"):
        (run / name).unlink()
    (run / "checkpoints" / ".last.npz.abcd.part").write_bytes(b"half")
    assert_same_results(run_small(tmp_path, resume=True), finished)


@pytest.mark.usefixtures("plain")
def test_resuming(finished: Path, tmp_path: Path) -> None:
    """Without a folder a resumed run starts at the beginning; finished, it is left as it is to the last byte."""
    heard = Heard()
    run = run_small(tmp_path, resume=True, progress=heard)
    assert_same_results(run, finished)
    assert heard.epochs == [1, 2, 3]
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    run_small(tmp_path, resume=True, progress=heard)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert "finished already" in heard.notes[-1]


class Interrupting(Heard):
    """Presses Ctrl-C in the second batch of an epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self._at = epoch

    def step(self, epoch: int, step: int, *figures: float) -> None:
        if (epoch, step) == (self._at, 2):
            raise KeyboardInterrupt


@pytest.mark.usefixtures("plain")
def test_an_interrupted_run_goes_on_to_the_same_bits(finished: Path, tmp_path: Path) -> None:
    """Ctrl-C keeps the last epoch's checkpoint, says how to go on, and going on gives the same bits."""
    with pytest.raises(RunInterrupted, match=r"last checkpoint is kept: go on with --out .*run --resume"):
        run_small(tmp_path, progress=Interrupting(3))
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / "last.npz").epoch == 2
    heard = Heard()
    assert_same_results(run_small(tmp_path, resume=True, progress=heard), finished)
    assert heard.epochs == [3]
    assert heard.started[0][2] == 3
    assert "going on after epoch 2" in heard.notes


def test_interrupted_in_the_first_epoch(tmp_path: Path) -> None:
    """Before there is a checkpoint, Ctrl-C says that there is nothing to go on from."""
    with pytest.raises(RunInterrupted, match="nothing to go on from"):
        run_small(tmp_path, progress=Interrupting(1))
    assert "interrupted" in (tmp_path / "run" / "log.txt").read_text()


def test_resuming_with_another_configuration(finished: Path, tmp_path: Path) -> None:
    """Every key that differs is named with both values, and nothing is touched."""
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    changed = configuration(tmp_path, "train.batch_size=8", "network.1.lif.threshold=0.75", "train.optimizer.sgd.lr=1")
    with pytest.raises(InputError, match="another configuration") as caught:
        run_experiment(changed, finished, resume=True)
    for part in ("train.batch_size (stored 40, now 8)", "network.1.lif.threshold", "train.optimizer"):
        assert part in str(caught.value)
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("damage", ["cut", "other network"])
def test_resuming_from_a_damaged_checkpoint(tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint that is cut off, or of another network, is named."""
    with pytest.raises(RunInterrupted):
        run_small(tmp_path, progress=Interrupting(2))
    last = tmp_path / "run" / "checkpoints" / "last.npz"
    if damage == "cut":
        last.write_bytes(last.read_bytes()[:-100])
    else:
        arrays = files.read_arrays(last)
        files.write_arrays(last, arrays | {"parameters/0.bias": np.zeros(3, np.float32)})
    with pytest.raises(InputError, match=r"last\.npz: "):
        run_small(tmp_path, resume=True)


@pytest.mark.parametrize("use", ["file", "full"])
def test_a_folder_in_use_is_not_touched(tmp_path: Path, use: str) -> None:
    """An --out that is a file or holds anything is refused and stays as it was."""
    out = tmp_path / "run"
    if use == "file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="exists and is not empty"):
        run_small(tmp_path)
    assert [path.name for path in out.rglob("*")] == ([] if use == "file" else ["mine.txt"])
    if use == "full":
        with pytest.raises(InputError, match="exists and is not empty"):
            run_small(tmp_path, resume=True)


def test_faults_found_before_training_leave_no_folder(tmp_path: Path) -> None:
    """Data that are missing, or outputs unlike the classes, are found before anything is written."""
    with pytest.raises(InputError, match=r"nothing\.npz: cannot be read"):
        run_small(tmp_path, "data.npz=nothing.npz")
    with pytest.raises(InputError, match=r"network\.3\.dense=11: .* 11 outputs, the data have 10 classes"):
        run_small(tmp_path, "network.3.dense=11")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("plain")
def test_keeping_the_best_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """keep: best tests and stores the weights of the epoch with the best validation accuracy, the first of equals."""
    monkeypatch.setattr(
        "snnsim.training.trainer.learning_rate",
        lambda schedule, lr, step, steps, epochs: lr if step < 3 * steps else 1e3,
    )
    options = ("train.epochs=4", "data.limit=400")
    last, best = run_small(tmp_path, *options, name="last"), run_small(tmp_path, *options, "train.keep=best")
    assert metrics(best) == metrics(last)
    valid = [float(row["valid_accuracy"]) for row in metrics(best)]
    epoch = 1 + int(np.argmax(valid))
    assert epoch < 4, "steps this large in the last epoch undo what was learned"
    checkpoint = read_checkpoint(best / "checkpoints" / "best.npz")
    assert checkpoint.epoch == epoch
    for name, array in Network.load(best).parameters.items():
        assert np.array_equal(array, checkpoint.parameters[name])
    assert (last / "model.npz").read_bytes() != (best / "model.npz").read_bytes()


@pytest.mark.usefixtures("plain")
def test_first_weights_from_another_run(finished: Path, tmp_path: Path) -> None:
    """train.init begins with a run's weights; those of another network are refused with the place."""
    run = run_small(tmp_path, f"train.init={finished}", "train.epochs=1", "train.optimizer.sgd.lr=1e-30")
    trained, first = Network.load(run), Network.load(finished)
    for name, array in first.parameters.items():
        assert np.array_equal(trained.parameters[name], array)
    with pytest.raises(InputError, match=r"0\.\w+ has shape"):
        run_small(tmp_path, f"train.init={finished}", "network.0.dense=23", name="other")
    with pytest.raises(InputError, match="nowhere: no such file"):
        run_small(tmp_path, "train.init=nowhere", name="other")


def test_diverging_in_the_first_epoch(tmp_path: Path) -> None:
    """A training that diverges at once says so, and what to try."""
    with pytest.raises(
        DivergedError, match=r"diverged in epoch 1: .*train\.optimizer\.sgd\.lr=.*no epoch was finished"
    ):
        run_small(tmp_path, "train.optimizer.sgd.lr=1e38")
    assert "diverged in epoch 1" in (tmp_path / "run" / "log.txt").read_text()
    assert not (tmp_path / "run" / "model.npz").exists()


def test_diverging_later_keeps_the_last_good_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that diverges in epoch 3 keeps epoch 2's checkpoint, with finite weights, and its metrics."""
    monkeypatch.setattr(
        "snnsim.training.trainer.learning_rate",
        lambda schedule, lr, step, steps, epochs: lr if step < 2 * steps else 1e38,
    )
    with pytest.raises(DivergedError, match=r"diverged in epoch 3: .*checkpoint of epoch 2 is kept in .*last\.npz"):
        run_small(tmp_path, "train.optimizer.sgd.lr=0.01")
    checkpoint = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.npz")
    assert checkpoint.epoch == 2
    assert all(np.isfinite(array).all() for array in checkpoint.parameters.values())
    assert len(metrics(tmp_path / "run")) == 2


@pytest.mark.usefixtures("plain")
def test_silent_layers_are_warned_about_by_name(tmp_path: Path) -> None:
    """A layer that never fires is named once, on the screen and in the log; one that fires is not."""
    heard = Heard()
    run = run_small(tmp_path, "network.1.lif.threshold=1e6", "train.epochs=2", progress=heard)
    (warning,) = heard.warnings
    assert "layer 1 (lif) fell silent" in warning
    assert (run / "log.txt").read_text().count("warning: layer 1 (lif) fell silent") == 1
    heard = Heard()
    run_small(tmp_path, "train.epochs=1", name="loud", progress=heard)
    assert heard.warnings == []


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_previous_checkpoint(
    finished: Path, tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint that cannot be written is an error by name; the one before stands, and the run can go on."""
    last = tmp_path / "run" / "checkpoints" / "last.npz"
    sound = getattr(os, call)

    def full(*arguments: Any) -> Any:
        if last.exists() and read_checkpoint(last).epoch == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return sound(*arguments)

    monkeypatch.setattr(os, call, full)
    with pytest.raises(InputError, match=r"\.\w+: cannot be written \(No space left on device\); what stood there"):
        run_small(tmp_path)
    monkeypatch.setattr(os, call, sound)
    assert read_checkpoint(last).epoch == 2
    assert not list((tmp_path / "run").rglob("*.part"))
    assert_same_results(run_small(tmp_path, resume=True), finished)
