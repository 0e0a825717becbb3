"""The ready configuration for Spiking Heidelberg Digits, on generated files of the same form."""

import json
from pathlib import Path
from typing import Any

import pytest

from datasets.event_builders import some_hdf5, write_hdf5

SMALL = (
    "network.0.dense=32",
    "train.epochs=15",
    "train.batch_size=8",
    "train.optimizer.adam.lr=0.01",
    "data.augment.shift=5",
)


@pytest.fixture
def shd(tmp_path: Path) -> Path:
    """Write shd_train.h5 and shd_test.h5 of three classes into a folder shd."""
    folder = tmp_path / "shd"
    folder.mkdir()
    some_hdf5(folder / "shd_train.h5", labels=3, each=20)
    some_hdf5(folder / "shd_test.h5", labels=3, each=6)
    return folder


def message(snnsim: Any) -> str:
    """Run the configuration on data that are wrong; return the one line that says so."""
    result = snnsim("run", "shd-recurrent", "--data-dir", ".", "--out", "run")
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    return str(line)


def test_it_trains_and_tests_a_recurrent_network(snnsim: Any, shd: Path) -> None:
    """It learns classes that differ by their units, in 14 ms steps, and counts what spikes reach recurrently."""
    result = snnsim("run", "shd-recurrent", *SMALL, "--data-dir", ".", "--out", "run", "--json")

    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert [told["data"][key] for key in ("name", "train", "test")] == ["shd", 60, 18]
    assert told["test"]["num_steps"] == 800 // 14 + 1
    assert told["test"]["accuracy"] > 0.8
    assert told["test"]["synops_recurrent"] > 0
    rows = (shd.parent / "run" / "metrics.csv").read_text().splitlines()
    losses = [float(row.split(",")[1]) for row in rows[1:]]
    assert losses[-1] < losses[0] / 2

    tested = snnsim("eval", "run", "--data", "shd/shd_test.h5", "--json")
    assert json.loads(tested.stdout)["test"] == told["test"]


def test_a_missing_field_is_named(snnsim: Any, shd: Path) -> None:
    """File, field and what there is instead, at the line of the configuration that asks for the set."""
    write_hdf5(shd / "shd_train.h5", [[0.1]], [[3]], [0], leave_out=["spikes/units"])

    said = message(snnsim)

    assert said.startswith("shd-recurrent:")
    assert "shd_train.h5: has no spikes/units (found: labels, spikes); an SHD or SSC file holds" in said


def test_a_truncated_file_is_named(snnsim: Any, shd: Path) -> None:
    """A download that broke off is one clear fault."""
    path = shd / "shd_test.h5"
    path.write_bytes(path.read_bytes()[:3000])

    assert "shd_test.h5: damaged or not an HDF5 file (" in message(snnsim)


def test_where_it_is_looked_for(snnsim: Any, tmp_path: Path) -> None:
    """Without the set, the message says which folder is missed and where the files come from."""
    said = message(snnsim)

    assert "the data set 'shd' is not on this machine" in said
    assert "shd_train.h5 and shd_test.h5" in said
