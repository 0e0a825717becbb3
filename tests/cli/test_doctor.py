"""``snnsim doctor`` says what there is and changes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest


def test_text(main: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads, kernels, BLAS, data and extras, a line each."""
    monkeypatch.setenv("SNNSIM_DATA", str(tmp_path))
    (tmp_path / "nmnist").mkdir()
    assert main.call(["doctor"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = {line.partition("  ")[0]: line.partition("  ")[2].strip() for line in out.splitlines()}
    assert {"versions", "processor", "threads", "kernels", "BLAS", "extra events"} <= lines.keys()
    assert "compiled" in lines["kernels"]
    assert lines["data nmnist"] == str(tmp_path / "nmnist")
    assert lines["data yin-yang"] == "generated"
    assert f"{tmp_path} (SNNSIM_DATA)" in out


def test_json(main: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One object with the same."""
    assert main.call(["doctor", "--json", "--data-dir", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["versions"].keys() == {"python", "snnsim", "numpy", "numba", "llvmlite"}
    assert found["threads"] >= 1
    assert found["blas"][0]["threads"] >= 1
    assert {entry["name"]: entry["location"] for entry in found["data"]}["mnist"] is None
