"""Recordings all the way: configuration, training, evaluation, prediction."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets.event_builders import bin_bytes, bin_members, some_hdf5, write_members, write_zip
from snnsim.config import from_mapping, load
from snnsim.config.loading import LoadedConfig
from snnsim.datasets import Recordings
from snnsim.encoders import ConstantInput, EventInput
from snnsim.errors import InputError
from snnsim.evaluation import batch_input
from snnsim.experiment import prepare, run_experiment
from snnsim.inference import check, describe, evaluate_model, predict_model
from snnsim.model_file import read_model
from snnsim.network import Network

NETWORK: list[object] = [{"dense": 24}, "lif", {"dense": 2}, "li"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep away from the user's data and cache."""
    monkeypatch.delenv("SNNSIM_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def loaded(data: dict[str, Any], encoder: object, *overrides: str, network: list[object] = NETWORK) -> LoadedConfig:
    train = {"epochs": 3, "batch_size": 8, "optimizer": {"adam": {"lr": 0.01}}}
    mapping = {"data": data, "encoder": encoder, "network": network, "train": train}
    return from_mapping(mapping, overrides)


def summary(folder: Path) -> Any:
    return json.loads((folder / "summary.json").read_text())


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Give 40 recordings of two classes in a zip archive."""
    return write_zip(tmp_path / "recordings.zip", bin_members(each=20))


def test_a_run_on_recordings_from_end_to_end(tmp_path: Path, archive: Path) -> None:
    """It learns, stores T of the longest training recording in the model, draws its figures, and runs again alike."""
    config = loaded(
        {"events": str(archive), "augment": {"shift": 1}}, {"events": {"time_window": 500}}, "train.epochs=8"
    )

    first = run_experiment(config, tmp_path / "a", threads=1)
    again = run_experiment(load(first / "config.yaml"), tmp_path / "b", threads=2)

    told = summary(first)
    assert told["data"] == {
        "name": "recordings.zip",
        "train": 32,
        "test": 8,
        "skipped": 0,
        "dropped_events": {"train": 0, "test": 0},
    }
    assert told["test"]["accuracy"] == 1.0
    assert told["test"]["num_steps"] == 10
    assert read_model(first)[0].settings["encoder"] == {"events": {"time_window": 500, "num_steps": 10}}
    assert (first / "model.npz").read_bytes() == (again / "model.npz").read_bytes()
    assert (first / "figures" / "spike-raster.png").exists()


def test_a_resumed_run_has_the_same_bits(tmp_path: Path, archive: Path) -> None:
    """Shifts, too, depend on seed, epoch and sample alone."""
    data = {"events": str(archive), "augment": {"shift": 2}}
    config = loaded(data, {"events": {"num_steps": 6}})
    whole = run_experiment(config, tmp_path / "whole")
    stopped = run_experiment(config, tmp_path / "stopped")
    for name in ("report.html", "summary.json"):
        (stopped / name).unlink()
    shorter = run_experiment(loaded(data, {"events": {"num_steps": 6}}, "train.epochs=2"), tmp_path / "shorter")
    assert (whole / "model.npz").read_bytes() != (shorter / "model.npz").read_bytes()

    run_experiment(config, stopped, resume=True)

    assert (whole / "model.npz").read_bytes() == (stopped / "model.npz").read_bytes()


def test_shifts_are_for_training_alone(archive: Path) -> None:
    """Evaluation sees every recording where it is; training sees it moved, anew every epoch."""
    prepared = prepare(loaded({"events": str(archive), "augment": {"shift": 3}}, {"events": {"num_steps": 4}}))
    network, samples, encoder = prepared.network, prepared.dataset.train, prepared.config.encoder
    x = samples.x
    assert isinstance(x, Recordings)

    def seen(**settings: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        batch = batch_input(encoder, network, samples, 1.0, slice(0, 8), 0, **settings)
        assert isinstance(batch, EventInput)
        return batch.events.to_dense()

    np.testing.assert_array_equal(seen(), x[:8].events(4).to_dense())
    assert (seen(epoch=1, shift=3) != seen()).any()
    assert (seen(epoch=1, shift=3) != seen(epoch=2, shift=3)).any()


def test_later_events_are_dropped_and_counted(tmp_path: Path, archive: Path) -> None:
    """With fewer steps than the recordings have, in training as in evaluation."""
    config = loaded({"events": str(archive)}, {"events": {"time_window": 1000, "num_steps": 2}})
    folder = run_experiment(config, tmp_path / "a")
    said: list[str] = []

    evaluate_model(folder, warn=said.append)

    dropped = summary(folder)["data"]["dropped_events"]
    assert 0 < dropped["test"] < dropped["train"]
    assert said == [f"dropped {dropped['test']} recorded events later than the last of 2 steps"]
    longer = evaluate_model(folder, ["encoder={events: {time_window: 1000}}"], warn=said.append)
    assert longer["test"]["num_steps"] == 5
    assert len(said) == 1


def test_evaluation_recognises_recordings_by_content(tmp_path: Path, archive: Path) -> None:
    """All of a folder, whatever lies above the labels, is the test set; prediction needs no labels."""
    folder = run_experiment(loaded({"events": str(archive)}, {"events": {"time_window": 1000}}), tmp_path / "a")
    members = bin_members(each=3)
    deep = write_members(tmp_path / "deep", {f"any/thing/{name}": content for name, content in members.items()})
    bare = write_members(tmp_path / "bare", {f"{k}.bin": content for k, content in enumerate(members.values())})

    result = evaluate_model(folder, data=str(deep))
    labels, logits = predict_model(folder, str(deep))
    bare_labels, bare_logits = predict_model(folder, str(bare))
    assert labels is not None
    assert bare_labels is not None

    assert result["test"]["samples"] == 6
    assert result["test"]["accuracy"] == (labels == [0, 0, 0, 1, 1, 1]).mean()
    np.testing.assert_array_equal(logits, bare_logits)
    np.testing.assert_array_equal(labels, bare_labels)
    with pytest.raises(InputError, match="has no labels"):
        evaluate_model(folder, data=str(bare))


def test_names_of_classes_stay_with_the_model(tmp_path: Path) -> None:
    """A class is the same class where only it is tested."""
    members = bin_members(each=20)
    named = {name.replace("/0/", "/left/").replace("/1/", "/right/"): content for name, content in members.items()}
    where = write_members(tmp_path / "d", named)
    folder = run_experiment(
        loaded({"events": str(where)}, {"events": {"time_window": 1000}}, "train.epochs=8"), tmp_path / "a"
    )

    result = evaluate_model(folder, data=str(where / "Train" / "right"))

    assert summary(folder)["test"]["accuracy"] == 1.0
    assert (result["test"]["samples"], result["test"]["accuracy"]) == (20, 1.0)


def test_bad_recordings_are_skipped_on_request(tmp_path: Path) -> None:
    """Runs, evaluations and predictions count them and say which; without the request they stop."""
    members = bin_members(each=20)
    members["Train/1/00004.bin"] = bin_bytes([(9, 0, 0, 0), (3, 0, 0, 0)])
    where = write_members(tmp_path / "d", members)
    encoder = {"events": {"time_window": 1000}}
    with pytest.raises(InputError, match=r"00004\.bin: record 1 goes backwards in time"):
        prepare(loaded({"events": str(where)}, encoder))

    folder = run_experiment(loaded({"events": str(where)}, encoder, "data.skip_bad=true"), tmp_path / "a")

    assert summary(folder)["data"]["skipped"] == 1
    assert summary(folder)["data"]["train"] + summary(folder)["data"]["test"] == 39
    said: list[str] = []
    evaluate_model(folder, data=str(where), warn=said.append)
    assert len(predict_model(folder, str(where), warn=said.append)[1]) == 39
    assert len(said) == 2
    assert all("skipped damaged recordings, 1 in all: " in text and "00004.bin" in text for text in said)
    with pytest.raises(InputError, match=r"00004\.bin"):
        evaluate_model(folder, ["data.skip_bad=false"], data=str(where))


def test_an_ann_sees_recordings_summed_over_time(archive: Path) -> None:
    """The logits are those of direct coding of each address's number of events."""
    network: list[object] = [{"dense": 8}, "relu", {"dense": 2}]
    prepared = prepare(loaded({"events": str(archive)}, {"events": {"time_window": 100}}, network=network))
    samples = prepared.dataset.test
    batch = batch_input(prepared.config.encoder, prepared.network, samples, 1.0, slice(0, 8), 0)
    assert isinstance(batch, EventInput)
    summed = batch.events.to_dense().sum(axis=0).reshape(8, -1)

    found = prepared.network.evaluate_batch(batch).logits

    np.testing.assert_array_equal(found, prepared.network.evaluate_batch(ConstantInput(summed, 1)).logits)


def test_heidelberg_files(tmp_path: Path) -> None:
    """A recurrent-free network learns a generated file of that format, and is tested on another."""
    train = some_hdf5(tmp_path / "shd_train.h5", each=30)
    other = some_hdf5(tmp_path / "other.h5", each=4)
    config = loaded({"events": str(train)}, {"events": {"time_window": 20_000}}, "train.epochs=8")

    folder = run_experiment(config, tmp_path / "a")

    assert summary(folder)["test"]["accuracy"] >= 0.9
    assert evaluate_model(folder, data=str(other))["test"]["samples"] == 8


@pytest.mark.parametrize("encoder", [{"latency": 8}, {"delta": 0.2}])
def test_encoders_of_images(tmp_path: Path, encoder: dict[str, Any]) -> None:
    """Latency and delta coding train, and the model tests and predicts other data through the same encoder."""
    network: list[object] = [{"dense": 32}, "lif", {"dense": 10}, "li"]
    folder = run_experiment(
        loaded({"name": "digits", "limit": 200, "augment": {"shift": 1}}, encoder, network=network), tmp_path / "a"
    )

    result = evaluate_model(folder, data="digits", limit=50)

    assert result["test"]["num_steps"] == 8
    assert result["test"]["input_events"] > 0
    assert predict_model(folder, "digits")[1].shape == (360, 10)


@pytest.mark.parametrize(
    ("data", "encoder", "message", "path"),
    [
        ({"name": "yin-yang", "augment": {"shift": 1}}, "direct", "these samples are flat", "data.augment.shift"),
        ({"name": "yin-yang"}, "delta", "these are flat", "encoder.delta"),
        ({"name": "randman"}, "direct", "recorded events need the encoder events", "encoder"),
        ({"name": "digits"}, {"events": {"num_steps": 3}}, "these data are values", "encoder"),
        ({"name": "nmnist"}, {"events": {"num_steps": 3}}, "the data have 10 classes", "network.2.dense"),
        ({"name": "yin-yang"}, "latency", "the data have 3 classes", "network.2.dense"),
    ],
)
def test_what_does_not_go_together(data: dict[str, Any], encoder: object, message: str, path: str) -> None:
    """Checked without the data, where the data are known by name."""
    with pytest.raises(InputError) as caught:
        check(loaded(data, encoder))
    assert message in str(caught.value)
    assert f" {path}: " in str(caught.value)


def test_memory_is_told_where_the_steps_are_known(tmp_path: Path) -> None:
    """Recordings binned by a time window decide the number of steps themselves."""
    file = tmp_path / "c.yaml"
    for encoder, known in (("{events: {time_window: 1000}}", False), ("{events: {num_steps: 50}}", True)):
        file.write_text(f"data: {{name: nmnist}}\nencoder: {encoder}\nnetwork: [{{dense: 10}}, li]\n")
        assert (describe(str(file)).training_bytes is not None) == known


def test_a_network_that_never_was_in_a_run(tmp_path: Path, archive: Path) -> None:
    """It takes its encoder from overrides, and T from the recordings it is given."""
    Network.from_config(NETWORK, input_shape=(2, 34, 34)).save(tmp_path / "m.npz")

    result = evaluate_model(tmp_path / "m.npz", ["encoder.events.time_window=1000"], data=str(archive))

    assert (result["test"]["samples"], result["test"]["num_steps"]) == (40, 5)
