"""The ready configurations for N-MNIST, on generated recordings of the same form."""

import json
from pathlib import Path
from typing import Any

import pytest

from datasets.event_builders import bin_members, write_members

SMALL = {"nmnist-mlp": ("network.0.dense=8",), "nmnist-conv": ("network.0.conv2d.out=2", "network.3.conv2d.out=4")}


@pytest.mark.parametrize("name", SMALL)
def test_it_trains_and_tests_by_name(snnsim: Any, tmp_path: Path, name: str) -> None:
    """A folder of recordings called nmnist is all that is needed; every operation is an event's addition."""
    write_members(tmp_path / "nmnist", bin_members(labels=3, each=10))
    options = ("encoder.events.time_window=500", "train.epochs=2", "--data-dir", ".", "--out", "run", "--json")

    result = snnsim("run", name, *SMALL[name], *options)

    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert [told["data"][key] for key in ("name", "train", "test")] == ["nmnist", 24, 6]
    assert told["test"]["num_steps"] == 10
    assert told["test"]["acs"] == told["test"]["synops_effective"] > 0
    assert told["test"]["macs"] == 0
