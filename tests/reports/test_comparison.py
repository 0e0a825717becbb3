"""Several runs on one page: what stands side by side, which runs are on the front, and what cannot be compared."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from reports.made import NARROW, make_run, read
from snnsim.errors import InputError
from snnsim.reports import write_comparison
from snnsim.reports.comparison import distinct_labels


def result(accuracy: float, synops: float) -> dict[str, Any]:
    return {"test": {"accuracy": accuracy, "synops_per_sample": synops}}


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Lay out three runs, of which the second is beaten by the first in both accuracy and SynOps."""
    config = "seed: 0\ntrain: {{epochs: 3, regularizers: {0}}}\n"
    return [
        make_run(tmp_path / "plain", result(0.97, 60000), config.format("[]")),
        make_run(tmp_path / "worse", result(0.96, 70000), config.format("[{spike_l1: {weight: 0.001}}]")),
        make_run(tmp_path / "sparse", result(0.95, 20000), config.format("[{spike_l1: {weight: 0.1}}]")),
    ]


def compare(runs: list[Path], out: Path) -> tuple[str, list[str]]:
    """Return the page's text, and the warnings."""
    warnings: list[str] = []
    assert write_comparison(runs, out, warn=warnings.append) == out
    page = read(out)
    assert page.open == []
    return page.text, warnings


def section(text: str, heading: str, following: str) -> str:
    return text[text.index(heading) : text.index(following)]


def test_runs_stand_side_by_side(runs: list[Path], tmp_path: Path) -> None:
    """A row a run with its results, and whether another beats it."""
    text, warnings = compare(runs, tmp_path / "c.html")

    assert warnings == []
    table = section(text, "Side by side", "Pareto front")
    assert f"1 plain 97.00{NARROW}% yes 342.9" in table
    assert f"2 worse 96.00{NARROW}% 342.9" in table
    assert f"3 sparse 95.00{NARROW}% yes 342.9" in table
    assert f"20{NARROW}000" in table


def test_the_headings(runs: list[Path], tmp_path: Path) -> None:
    """The sections are there under their names, each once."""
    compare(runs, tmp_path / "c.html")
    headings = re.findall(r"<h2>(.*?)</h2>", (tmp_path / "c.html").read_text("utf-8"))
    assert headings == ["Side by side", "Pareto front", "Learning curves", "What differs", "How they were made"]


def test_what_differs(runs: list[Path], tmp_path: Path) -> None:
    """Settings that are the same in all runs are left out; a setting that a run does not have is a dash."""
    text, _ = compare(runs, tmp_path / "c.html")

    differing = section(text, "What differs", "How they were made")
    assert "train.regularizers.0.spike_l1.weight \u2013 0.001 0.1" in differing
    assert "train.regularizers [] \u2013 \u2013" in differing
    assert "epochs" not in differing


def test_equal_runs_differ_in_nothing(tmp_path: Path) -> None:
    """The page says so."""
    runs = [make_run(tmp_path / name) for name in ("a", "b")]
    text, _ = compare(runs, tmp_path / "c.html")
    assert "all runs have the same configuration" in text


def test_the_page_needs_nothing_from_outside(runs: list[Path], tmp_path: Path) -> None:
    """Its figures are inside, and nothing refers to the network."""
    compare(runs, tmp_path / "c.html")

    page, text = read(tmp_path / "c.html"), (tmp_path / "c.html").read_text("utf-8")
    assert len(page.addresses) == 3
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert not re.search(r"https?://|url\(|@import|<script|<link", text)


def test_runs_without_curves_have_no_such_section(tmp_path: Path) -> None:
    """Runs from which the tables over epochs and steps are gone can be compared all the same."""
    runs = [make_run(tmp_path / name) for name in ("a", "b")]
    for run in runs:
        (run / "metrics.csv").unlink()
        (run / "steps.csv").unlink()
    text, _ = compare(runs, tmp_path / "c.html")
    assert "Learning curves" not in text


def test_names_are_never_markup(tmp_path: Path) -> None:
    """Text of a run that looks like HTML is shown as it is."""
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "<b>x", config="seed: <script>alert(1)\n")]
    write_comparison(runs, tmp_path / "c.html", warn=print)
    assert not re.search("<script|<b>", (tmp_path / "c.html").read_text("utf-8"))


def test_an_unfinished_run_is_left_out_with_a_note(runs: list[Path], tmp_path: Path) -> None:
    """The others are compared; page and warning say which one is missing."""
    (runs[1] / "summary.json").unlink()
    text, warnings = compare(runs, tmp_path / "c.html")

    (warning,) = warnings
    assert warning == f"{runs[1]}: left out, the run is not finished"
    assert f"Note. {warning}." in text
    assert "1 plain" in text
    assert "2 sparse" in text


def test_runs_on_different_data_have_fronts_of_their_own(runs: list[Path], tmp_path: Path) -> None:
    """With a note: the run that was beaten is alone with its data now."""
    told = json.loads((runs[1] / "summary.json").read_text())
    told["data"]["name"] = "mnist"
    (runs[1] / "summary.json").write_text(json.dumps(told))
    text, warnings = compare(runs, tmp_path / "c.html")

    assert "different data" in warnings[0]
    assert f"2 worse 96.00{NARROW}% yes" in text
    assert "digits, 360 test samples \u00b7 mnist, 360 test samples" in text


def test_regressions_are_compared_by_their_loss(tmp_path: Path) -> None:
    """Less is better."""
    runs = [
        make_run(tmp_path / "good", {"test": {"accuracy": None, "loss": 0.25, "synops_per_sample": 50.0}}),
        make_run(tmp_path / "bad", {"test": {"accuracy": None, "loss": 0.5, "synops_per_sample": 60.0}}),
    ]
    text, _ = compare(runs, tmp_path / "c.html")
    assert "1 good 0.25 yes" in text
    assert "2 bad 0.5 342.9" in text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("summary.json", "{", "summary.json: not valid JSON"),
        ("summary.json", '{"test": {}}', "summary.json: test.accuracy must be a number to be compared"),
        ("summary.json", '{"test": {"accuracy": null, "loss": 1.0, "synops_per_sample": 1.0}}', "is a regression"),
        ("metrics.csv", "epoch,valid_accuracy\n1,high\n", "metrics.csv:2: valid_accuracy must be a number"),
        ("steps.csv", "steps,accuracy\n1,high\n", "steps.csv:2: accuracy must be a number"),
        ("accounting.csv", "index,layer\n0,dense\n", "accounting.csv:2: spikes must be a whole number"),
        ("config.yaml", "a: [1\n", "config.yaml:2: "),
    ],
)
def test_damage_is_named(runs: list[Path], tmp_path: Path, name: str, content: str, message: str) -> None:
    """One message says which file is wrong, and no page is written."""
    (runs[2] / name).write_text(content)
    with pytest.raises(InputError) as refused:
        write_comparison(runs, tmp_path / "c.html", warn=print)
    assert message in str(refused.value)
    assert not (tmp_path / "c.html").exists()


def test_fewer_than_two_finished_runs(runs: list[Path], tmp_path: Path) -> None:
    """There is nothing to compare, and the message names the runs that are not finished."""
    for run in runs[1:]:
        (run / "summary.json").unlink()
    with pytest.raises(InputError, match=f"of 3 runs 1 finished; {re.escape(str(runs[1]))}: left out") as refused:
        write_comparison(runs, tmp_path / "c.html", warn=print)
    assert str(runs[2]) in str(refused.value)


def test_a_folder_that_is_no_run(runs: list[Path], tmp_path: Path) -> None:
    """It is named."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: not a finished run, since it holds no summary\.json"):
        write_comparison([*runs, tmp_path / "empty"], tmp_path / "c.html", warn=print)


def test_labels_are_as_short_as_can_be(tmp_path: Path) -> None:
    """The last part of a path, and more of it where several runs end alike."""
    assert distinct_labels([Path("/x/a"), Path("/x/b")]) == ["a", "b"]
    assert distinct_labels([Path("/x/seed-0"), Path("/y/seed-0"), Path("/y/seed-1")]) == [
        "x/seed-0",
        "y/seed-0",
        "y/seed-1",
    ]
