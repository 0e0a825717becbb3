"""The page of the benchmarks' results."""

import json
import sys
from pathlib import Path
from typing import Any

import compare
import performance_page
import pytest
import scaling

FOUND = {
    "training": {"threads": {}, "parts": []},
    "inference": {"threads": {}, "parts": []},
    "batch": 2,
}
ABOUT = {"processor": "An Old One", "cores": 2, "python": "3", "numpy": "2", "snnsim": "1"}
POINT = {
    "setting": {"steps": 50},
    "milliseconds": {"training": 0.2, "inference": 0.1},
    "dense_limit": {"training": 0.5, "inference": 0.2},
    "hidden_rates": [0.1, 0.125],
    "disturbed": True,
}
RATES = {"additions": 1e9, "multiply_adds": 2e9, "cached_bytes": 3e9, "memory_bytes": 4e9}
COSTS = {"without_ms": 3.0, "with_ms": 3.09, "cost_percent": 3.0}
COUNTING = {"median": COSTS, "least": COSTS, "rounds": 3, "disturbed": False}
LATENCY = {"median_ms": 2.0, "p95_ms": 3.0, "disturbed": False, "events_a_sample": 100.0}

CELL = dict.fromkeys(("accuracy", "accuracy_sd", "difference", "difference_sd", "spikes", "train_sps", "speed"), 1.0)
COMPACT: dict[str, Any] = CELL | {"active": [0.5], "step_ms": None}


def measured() -> dict[str, Any]:
    """Return what the commands write, without measuring."""
    run = dict.fromkeys(compare.MEASURES, 1.0) | {"disturbed": False, "notes": [], "versions": {"snnsim": "1"}}
    return {
        "compare": {"W1": {"snnsim": compare.summary("snnsim", [run])}},
        "limits": {"machine": ABOUT, "rates": {"1": RATES}, "workloads": {"W1": FOUND}},
        "compact": {
            "machine": ABOUT,
            "workloads": {"W1": {"epochs": 2, "seeds": 3, "surrogates": {"boxcar": COMPACT}}},
        },
        "scaling": {
            "machine": ABOUT,
            "axes": {axis: [POINT | {"value": value} for value in values] for axis, values in scaling.AXES.items()},
        },
        "latency": {"machine": ABOUT, "workloads": {"W1": {"snnsim": LATENCY}}},
        "counting": {"machine": ABOUT, "threads": 1, "workloads": {"W1": COUNTING}},
    }


def write(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the command on the page of a folder; return the page."""
    files = []
    for name, results in measured().items():
        (folder / f"{name}.json").write_text(json.dumps(results), encoding="utf-8")
        files.append(str(folder / f"{name}.json"))
    monkeypatch.setattr(sys, "argv", ["performance_page.py", *files, "--docs", str(folder)])
    performance_page.main()
    return (folder / "performance.md").read_text(encoding="utf-8")


def test_parts_are_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables and figures come from the files; what is written by hand stays, and a second time changes nothing."""
    page = (performance_page.DOCS / "performance.md").read_text(encoding="utf-8")
    (tmp_path / "performance.md").write_text(page, encoding="utf-8")
    written = write(tmp_path, monkeypatch)
    assert "Not measured yet" not in written
    assert written.startswith(page[: page.index("<!-- compare -->")])
    assert "| density | 0.1 % \\* | 0.200 | 0.40 | 0.100 | 0.50 | 0.100 / 0.125 |" in written
    assert "| W1 | snnsim | 2.000 ms | 3.000 ms | 100 | 50,000 |" in written
    assert "| W1 | boxcar | 100.0 ± 100.0 | +100.0 ± 100.0 | 1 | 50 % | 1 | 1.00 |  |" in written
    assert "An Old One, 2 cores" in written
    assert "### W1" in written
    for figure in ("peers", "density", "scaling"):
        assert f"figures/performance-{figure}.png" in written
        assert (tmp_path / "figures" / f"performance-{figure}.png").read_bytes().startswith(b"\x89PNG")
    assert write(tmp_path, monkeypatch) == written


def test_a_page_without_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command says which it misses."""
    (tmp_path / "performance.md").write_text("<!-- compare -->\n<!-- end -->\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="no part for limits"):
        write(tmp_path, monkeypatch)
