"""Runs from Python: made as by the command, read with all they hold."""

import json
from pathlib import Path

import pytest

import snnsim as sn
from runs import CONFIG, Heard, run_small
from snnsim.config.reader import read


def test_a_run_holds_what_its_directory_holds(tmp_path: Path) -> None:
    """Summary, history, counts, model, configuration, report and figures, from the configuration as a map."""
    heard = Heard()
    run = sn.run(read(CONFIG).data, ["train.epochs=1"], out=tmp_path / "run", threads=1, progress=heard)
    assert heard.epochs == [1]
    assert run.path == tmp_path / "run"
    assert run.summary == json.loads((run.path / "summary.json").read_text(encoding="utf-8"))
    assert [row["epoch"] for row in run.history] == [1]
    assert [layer.title for layer in run.layers] == ["0 (dense)", "1 (lif)", "2 (dropout)", "3 (dense)", "4 (li)"]
    assert sum(counts["acs"] for counts in run.counts) == run.test["acs"]
    assert run.config.train.epochs == 1
    assert run.network.classes == 10
    assert run.report.exists()
    assert {"confusion-matrix", "learning-curves", "spike-raster"} <= run.figures.keys()
    assert f"test accuracy {run.test['accuracy']:.2%}" in repr(run)
    assert len(repr(run).splitlines()) == 2 + 5
    assert "<table>" in run._repr_html_()
    run.figure()


def test_a_run_goes_on_and_is_read_again(tmp_path: Path) -> None:
    """A finished run is left as it is; a file's path will do as configuration."""
    first = run_small(tmp_path)
    again = sn.run(tmp_path / "small.yaml", out=first, resume=True, progress=False)
    assert again.summary == sn.read_run(str(first)).summary


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    """One error says what is missing."""
    with pytest.raises(sn.InputError, match=r"no summary\.json"):
        sn.read_run(tmp_path)
    with pytest.raises(sn.ConfigError, match="did you mean 'digits'"):
        sn.run("digit", progress=False)
