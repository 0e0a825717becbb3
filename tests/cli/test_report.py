"""``snnsim report`` writes one page, of one run or of several, and refuses what is no run."""

from pathlib import Path
from typing import Any

import pytest

from reports.made import make_run


def test_one_run(main: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page lies in the run's folder, or where it was asked for."""
    run = make_run(tmp_path / "run")
    assert main.call(["report", str(run)]) == 0
    assert capsys.readouterr() == (f"report written to {run / 'report.html'}\n", "")
    assert main.call(["report", str(run), "--out", str(tmp_path / "r.html")]) == 0
    assert (tmp_path / "r.html").read_bytes() == (run / "report.html").read_bytes()


def test_several_runs(
    main: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison lies in the current folder; what was left out is a warning; no run directory is touched."""
    monkeypatch.chdir(tmp_path)
    runs = [make_run(tmp_path / name) for name in ("a", "b", "c")]
    (runs[2] / "summary.json").unlink()
    before = sorted(tmp_path.rglob("*"))
    assert main.call(["report", *map(str, runs)]) == 0
    out, err = capsys.readouterr()
    assert out == "report written to comparison.html\n"
    assert err == f"warning: {runs[2]}: left out, the run is not finished\n"
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "comparison.html"])


def test_a_run_named_twice_is_one(main: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """However its path is written."""
    run = make_run(tmp_path / "run")
    assert main.call(["report", str(run), f"{tmp_path}/./run"]) == 0
    assert capsys.readouterr().out == f"report written to {run / 'report.html'}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing argument"),
        (["nowhere"], "nowhere: no such run directory"),
        (["."], "not a finished run"),
        (["nowhere", "."], "nowhere: no such run directory"),
    ],
)
def test_what_is_no_run_is_refused(
    main: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    """Exit 2, a message that names it, and no page."""
    monkeypatch.chdir(tmp_path)
    assert main.call(["report", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_cannot_be_written(main: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the file."""
    run = make_run(tmp_path / "run")
    assert main.call(["report", str(run), "--out", str(tmp_path / "no" / "r.html")]) == 2
    assert "r.html: cannot be written" in capsys.readouterr().err
