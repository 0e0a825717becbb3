"""``snnsim eval --neurobench``: NeuroBench's figures beside our own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnsim import Network


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """Save a network and data of two samples for it."""
    network = Network.from_config([{"dense": {"out": 3, "bias": False}}, "li"], input_shape=(3,))
    network.parameters["0.weight"][...] = [[1.3, 0, -3.2], [0, 1.2, -5.1], [-1.1, 2.7, 0]]
    network.save(tmp_path / "model.npz")
    np.savez(tmp_path / "data.npz", x=np.array([[0, 0.3, 0.4], [0, 0, 0]], np.float32), y=[0, 1])
    files = [str(tmp_path / "model.npz"), "--data", str(tmp_path / "data.npz")]
    return ["eval", *files, "encoder.direct.num_steps=2", "--neurobench"]


def test_json(main: Any, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A field beside ``test``, with NeuroBench's names; operations per sample over all steps."""
    assert main.call([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == {"test", "neurobench"}
    assert found["neurobench"] == {
        "Footprint": 56,
        "ParameterCount": 9,
        "ConnectionSparsity": 0.3333,
        "ActivationSparsity": 1.0,
        "Effective_MACs": 4.0,
        "Effective_ACs": 0.0,
        "Dense": 18.0,
    }


def test_text(main: Any, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The same as a table, with units, after our own figures."""
    assert main.call(arguments) == 0
    ours, theirs = capsys.readouterr().out.split("\n\nNeuroBench")
    assert ours.startswith("test accuracy ")
    rows = [line.split(maxsplit=1) for line in theirs.splitlines()[1:]]
    assert ["Footprint", "56 bytes"] in rows
    assert ["Effective_MACs", "4 a sample"] in rows
