"""The page of a comparison: what validation chose, every setting, figures and cost."""

import json
from pathlib import Path

import pytest

from snnsim.sweeps.language import LoadedSweep
from snnsim.sweeps.page import FIGURES, markdown_table, write_comparison
from snnsim.sweeps.results import Comparison
from sweeps.results import comparison, example, setting


def written(found: Comparison, out: Path) -> str:
    loaded = LoadedSweep(found.sweep, "example", "", "example.yaml")
    return write_comparison(loaded, found, out).read_text(encoding="utf-8")


def test_the_page_holds_the_choice_and_every_setting(tmp_path: Path) -> None:
    """Chosen settings stand against the reference, all settings below, with the cost of the sweep."""
    log = [{"started": "x", "runs": 10, "jobs": 2, "seconds": 60.0, "busy_seconds": 115.0}]
    (tmp_path / "log.json").write_text(json.dumps(log), encoding="utf-8")
    page = written(example(), tmp_path)
    pairs = next(line for line in page.splitlines() if line.startswith("| pairs | tt=8, ts=1"))
    cells = [cell.strip() for cell in pairs.strip("|").split("|")]
    assert cells[2:4] == ["97.00 ± 0.71 %", "+0.50 ± 1.41"]
    assert cells[4:6] == ["102.5 ± 3.5", "-75.0 %"]
    assert cells[6:8] == ["205,000 ± 7,071", "-50.0 %"]
    reference = next(line for line in page.splitlines() if line.startswith("| conventional | tt=2, ts=2"))
    assert [cell.strip() for cell in reference.strip("|").split("|")][3] == ""
    assert page.count("| conventional | tt=4, ts=4 |") == 1
    assert "10 runs, 2 at a time, in one go: 1 min 00 s by the clock" in page
    for name in FIGURES:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
        assert f"({name})" in page
    assert (tmp_path / "results.csv").exists()


def test_one_run_a_setting_has_no_spread(tmp_path: Path) -> None:
    """One seed is a mean without a deviation, and the page says no NaN."""
    one = comparison(
        setting("conventional", "", accuracy=[0.9], spikes=[0.0], synops=[1e3]),
        setting("pairs", "", accuracy=[0.9], spikes=[0.0], synops=[1e3]),
    )
    page = written(one, tmp_path)
    assert "nan" not in page.lower()
    assert "| 90.00 % |" in page


@pytest.mark.parametrize("text", ["a|b", "plain"])
def test_cells_never_break_a_table(text: str) -> None:
    """A bar in a cell is escaped."""
    assert markdown_table(["head"], [[text]]).splitlines()[2] == "| " + text.replace("|", "\\|") + " |"
