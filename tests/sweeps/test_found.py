"""What a search found: the Pareto set or the best trial, the tables, the figure, and configurations to run."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from snnsim.config import load
from snnsim.errors import InputError
from snnsim.sweeps.candidates import Candidates
from snnsim.sweeps.found import Found
from snnsim.sweeps.plots import search_front
from snnsim.sweeps.search_page import write_found
from snnsim.sweeps.study import Record
from sweeps.searches import GRID, loaded, result

TAUGHT = """\
base: digits-kd
search: {distill.student_temperature: [1, 2]}
sampler: grid
"""


def found(folder: Path, records: Sequence[Record], text: str = GRID, running: int = 0) -> Found:
    search = loaded(folder, text)
    return Found(search, Candidates(search), records, running)


def records(folder: Path) -> list[Record]:
    """Return a grid of four: the first is best by both, in the test the third; the last one diverged."""
    search = loaded(folder, GRID).search
    figures = [result(0.9, 50.0), result(0.8, 60.0), result(0.95, 80.0, accuracy=0.99, synops=1.0), None]
    reasons = ["", "", "", "the loss is\nnot a number"]
    pairs = enumerate(zip(figures, reasons, strict=True))
    return [Record(place, search.cell(place), figure, reason) for place, (figure, reason) in pairs]


def test_the_pareto_set_is_chosen_by_validation(tmp_path: Path) -> None:
    """The trials that none beats in both objectives, by rising cost; test figures have no part in it."""
    best = found(tmp_path, records(tmp_path)).best
    assert [trial.setting.method for trial in best] == ["trial 0", "trial 2"]


@pytest.mark.parametrize(("objective", "best"), [("accuracy", "trial 2"), ("synops", "trial 0")])
def test_one_objective_has_one_best(tmp_path: Path, objective: str, best: str) -> None:
    """Searched for accuracy alone, the most accurate in validation is best; for SynOps alone, the lightest."""
    alone = found(tmp_path, records(tmp_path), GRID + f"objectives: [{objective}]\n")
    assert [trial.setting.method for trial in alone.best] == [best]


def test_the_summary(tmp_path: Path) -> None:
    """Plain data: what was asked, how many trials there are, and the best with their values and all measures."""
    summary = found(tmp_path, records(tmp_path), running=1).summary()
    assert summary["trials"] == {"asked": 4, "finished": 3, "failed": 1, "running": 1}
    first = summary["best"][0]
    assert first["values"] == {"network.1.lif.threshold": 0.5, "train.batch_size": 16}
    assert (first["trial"], first["config"]) == (0, "best/trial-000.yaml")
    assert (first["valid_accuracy"], first["accuracy"], first["synops"]) == (0.9, 0.45, 25.0)


def test_every_trial_has_its_row(tmp_path: Path) -> None:
    """The table has a column for each key and gives back every figure to the bit."""
    rows = list(csv.DictReader(io.StringIO(found(tmp_path, records(tmp_path)).csv())))
    assert [(row["trial"], row["network.1.lif.threshold"], row["train.batch_size"]) for row in rows] == [
        ("0", "0.5", "16"),
        ("1", "0.5", "32"),
        ("2", "1.0", "16"),
    ]
    assert [float(row["valid_accuracy"]) for row in rows] == [0.9, 0.8, 0.95]
    assert float(rows[0]["spikes 1 lif"]) == 3.0


def test_the_page_and_the_best_configurations(tmp_path: Path) -> None:
    """The best trials with their files, every trial, what came to nothing; an earlier front's files are gone."""
    everything = records(tmp_path)
    write_found(found(tmp_path, everything[:2]), tmp_path)
    assert [path.name for path in sorted((tmp_path / "best").iterdir())] == ["trial-000.yaml"]
    page = write_found(found(tmp_path, everything[1:]), tmp_path).read_text(encoding="utf-8")
    assert [path.name for path in sorted((tmp_path / "best").iterdir())] == ["trial-001.yaml", "trial-002.yaml"]
    assert "| 1 | threshold=0.5, batch_size=32 | 80.00 % | 60.0 | 40.00 % | 30.0 |" in page
    assert "`best/trial-002.yaml` |" in page
    assert "| trial 3 | threshold=1, batch_size=32 | the loss is not a number |" in page
    assert (tmp_path / "pareto.png").read_bytes().startswith(b"\x89PNG")
    assert "(pareto.png)" in page
    config = load(str(tmp_path / "best" / "trial-002.yaml")).config
    assert config.resolved() == found(tmp_path, everything).candidates.at(everything[2].values).config.resolved()


def test_the_figure_says_what_lies_below_it(tmp_path: Path) -> None:
    """Far-off trials would press all others together: they are left out, and counted."""
    search = loaded(tmp_path, GRID).search
    figures = [result(valid, 50.0, accuracy=0.9) for valid in (0.9, 0.91, 0.9, 0.1)]
    everything = [Record(place, search.cell(place), figure, "") for place, figure in enumerate(figures)]
    validation, test = search_front(found(tmp_path, everything)).axes
    assert validation.get_xlabel() == "SynOps per validation sample\n(1 of 4 lie below)"
    assert test.get_xlabel() == "SynOps per test sample"


def test_the_figure_shows_the_best(tmp_path: Path) -> None:
    """A Pareto set is shown as far as twenty points below the top, however close together the others are."""
    search = loaded(tmp_path, GRID).search
    figures = [result(valid, cost) for valid, cost in ((0.9, 50.0), (0.91, 51.0), (0.75, 9.0), (0.1, 1.0))]
    everything = [Record(place, search.cell(place), figure, "") for place, figure in enumerate(figures)]
    low, _ = search_front(found(tmp_path, everything)).axes[0].get_ylim()
    assert 10 < low < 75


def test_a_best_configuration_trains_its_own_teacher(tmp_path: Path) -> None:
    """It runs anywhere: its teacher is the network of the base configuration, not a folder of the search."""
    trial = Record(1, {"distill.student_temperature": 2}, result(0.9, 1.0), "")
    write_found(found(tmp_path, [trial], TAUGHT), tmp_path)
    config = load(str(tmp_path / "best" / "trial-001.yaml")).config
    assert config.teacher is not None
    assert config.teacher.network is not None
    assert config.distill is not None
    assert config.distill.student_temperature == 2


def test_nothing_found(tmp_path: Path) -> None:
    """Where no trial came to an end, the first one's reason is told."""
    with pytest.raises(InputError, match="no trial of the search is finished; trial 3: the loss is"):
        found(tmp_path, records(tmp_path)[3:])
    with pytest.raises(InputError, match=r"no trial of the search is finished$"):
        found(tmp_path, [])
    with pytest.raises(InputError, match=r"no trial of the search is finished; 2 are being done elsewhere$"):
        found(tmp_path, [], running=2)
