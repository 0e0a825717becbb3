"""The study of a search: who does which trial, and what becomes of those whose process is killed."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest

from snnsim.errors import InputError
from snnsim.sweeps import load_search
from snnsim.sweeps import study as module
from snnsim.sweeps.study import Proposal, Study, open_study
from sweeps.searches import BASE, GRID, RANDOM, loaded, result

# A search that NSGA-II and TPE can learn from at once.
LEARNING = RANDOM.replace("trials: 5", "trials: 6")


def all_values(study: Study, most: int = 100) -> list[dict[str, Any]]:
    """Do every trial that is left, each at once, the better the lower its threshold is."""
    done: list[dict[str, Any]] = []
    while len(done) < most and (proposal := study.ask()) is not None:
        done.append(dict(proposal.values))
        finish(study, proposal)
    return done


def finish(study: Study, proposal: Proposal) -> bool:
    threshold = proposal.values["network.1.lif.threshold"]
    return study.complete(proposal, result(1 - threshold / 2, 100 * threshold), [1 - threshold / 2, 100 * threshold])


def shared(folder: Path) -> str:
    return f"sqlite:///{folder / 'shared.db'}"


def place(folder: Path, name: str) -> Path:
    """Make a folder as a sweep on another machine has one."""
    (folder / name).mkdir(exist_ok=True)
    return folder / name


def test_a_grid_is_done_once(tmp_path: Path) -> None:
    """Every combination, in the order of the file, and nothing after it."""
    search = loaded(tmp_path, GRID)
    with open_study(search, tmp_path, None) as study:
        assert [tuple(values.values()) for values in all_values(study)] == [(0.5, 16), (0.5, 32), (1.0, 16), (1.0, 32)]
        assert study.ask() is None
    with open_study(search, tmp_path, None) as study:
        assert [record.place for record in study.records()] == [0, 1, 2, 3]
        assert study.ask() is None


@pytest.mark.parametrize("sampler", ["random", "{tpe: {startup: 4}}", "{nsga-ii: {population: 4}}"])
def test_a_seed_makes_the_trials(tmp_path: Path, sampler: str) -> None:
    """The same seed gives the same values, in one go or in several; another seed gives others."""
    text = LEARNING.replace("random", sampler)
    search = loaded(tmp_path, text)
    with open_study(search, place(tmp_path, "a"), None) as study:
        at_once = all_values(study)
    parts = []
    for most in (2, 3, 100):
        with open_study(search, place(tmp_path, "b"), None) as study:
            parts += all_values(study, most)
    assert len(at_once) == 6
    assert parts == at_once
    assert len({str(values) for values in at_once}) > 3  # a child of NSGA-II may be the copy of a parent
    with open_study(loaded(tmp_path, text + "seed: 1\n"), place(tmp_path, "c"), None) as study:
        assert all_values(study, 1) != at_once[:1]


def test_values_are_those_of_the_file(tmp_path: Path) -> None:
    """Steps come as one writes them, whole numbers whole, ranges keep their ends, lists any kind of value."""
    with open_study(loaded(tmp_path, LEARNING), tmp_path, None) as study:
        found = all_values(study)
    for values in found:
        assert values["network.1.lif.threshold"] in [round(0.1 * k, 1) for k in range(2, 11)]
        assert 0.5 <= values["network.1.lif.beta"] <= 0.99
        assert 1e-5 <= values["train.regularizers.0.spike_l1.weight"] <= 1e-2
        assert isinstance(values["train.batch_size"], int)
        assert 8 <= values["train.batch_size"] <= 64
        assert values["train.optimizer"] in ["adam", {"sgd": {"lr": 0.1}}]
    assert {str(values["train.optimizer"]) for values in found} == {"adam", "{'sgd': {'lr': 0.1}}"}


def test_more_trials_go_on(tmp_path: Path) -> None:
    """A search that asks for more trials keeps what there is and goes on with what the longer one would have done."""
    with open_study(loaded(tmp_path, RANDOM), place(tmp_path, "a"), None) as study:
        first = all_values(study)
    longer = loaded(tmp_path, RANDOM.replace("trials: 5", "trials: 7"))
    with open_study(longer, place(tmp_path, "a"), None) as study:
        assert len(study.records()) == 5
        more = all_values(study)
    with open_study(longer, place(tmp_path, "b"), None) as study:
        assert all_values(study) == first + more


def test_a_killed_process_finishes_its_trials(tmp_path: Path) -> None:
    """What was left running in a folder is done there, with the same values; no trial is done twice."""
    search = loaded(tmp_path, GRID)
    with open_study(search, tmp_path, None) as study:
        left = [study.ask(), study.ask()]
    with open_study(search, tmp_path, None) as study:
        assert study.left_running() == left
        for proposal in study.left_running():
            finish(study, proposal)
        assert len(all_values(study)) == 2
        assert [record.place for record in study.records()] == [0, 1, 2, 3]


def test_a_trial_without_all_values_is_done_again(tmp_path: Path) -> None:
    """Killed while its values were drawn, a trial is queued again, and gets the values that it would have had."""
    search = loaded(tmp_path, RANDOM)
    with open_study(search, place(tmp_path, "a"), None) as study:
        undisturbed = all_values(study)
    out = place(tmp_path, "b")
    with open_study(search, out, None) as study:
        finish(study, study.ask() or pytest.fail("no trial"))
    optuna.load_study(study_name="search", storage=f"sqlite:///{out / 'study.db'}").ask()
    with open_study(search, out, None) as study:
        assert study.left_running() == []
        assert all_values(study) == undisturbed[1:]
        assert [record.place for record in study.records()] == [0, 1, 2, 3, 4]


def test_two_processes_share_a_study(tmp_path: Path) -> None:
    """Trials that one process has or does are not for the other, and both see what all came to."""
    search = loaded(tmp_path, RANDOM)
    with open_study(search, place(tmp_path, "alone"), None) as study:
        alone = all_values(study)
    url = shared(tmp_path)
    with (
        open_study(search, place(tmp_path, "a"), url) as ours,
        open_study(search, place(tmp_path, "b"), url) as theirs,
    ):
        first, second = ours.ask(), theirs.ask()
        assert first is not None
        assert second is not None
        assert (ours.left_running(), theirs.left_running()) == ([first], [second])
        together = [dict(first.values), dict(second.values), *all_values(ours, 2), *all_values(theirs)]
        assert together == alone
        finish(ours, first)
        assert (theirs.running(), len(theirs.records())) == (1, 4)
        finish(theirs, second)
        assert [record.place for record in ours.records()] == [0, 1, 2, 3, 4]


def test_the_trials_of_a_dead_machine_are_done_by_another(tmp_path: Path) -> None:
    """A trial whose process is silent for long is done anew; should it come back, it is told so and changes nothing."""
    search = loaded(tmp_path, GRID)
    url = shared(tmp_path)
    with (
        open_study(search, place(tmp_path, "a"), url) as dead,
        open_study(search, place(tmp_path, "b"), url) as alive,
    ):
        lost = dead.ask()
        assert lost is not None
        all_values(alive)
        assert alive.ask() is None
        with closing(sqlite3.connect(tmp_path / "shared.db")) as database, database:
            database.execute("UPDATE trial_heartbeats SET heartbeat = '2000-01-01 00:00:00'")
        again = alive.ask()
        assert again is not None
        assert (again.place, again.values) == (lost.place, lost.values)
        assert not finish(dead, lost)
        assert finish(alive, again)
        assert [record.place for record in alive.records()] == [0, 1, 2, 3]
        assert dead.ask() is None


def test_a_process_that_is_alive_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that runs for long is not given to others as long as its process beats."""
    monkeypatch.setattr(module, "BEAT", 0.05)
    search = loaded(tmp_path, GRID)
    with open_study(search, place(tmp_path, "a"), shared(tmp_path)) as study:
        study.ask()
        with closing(sqlite3.connect(tmp_path / "shared.db")) as database:
            with database:
                database.execute("UPDATE trial_heartbeats SET heartbeat = '2000-01-01 00:00:00'")
            with study.beating():
                for _ in range(200):
                    ((beat,),) = database.execute("SELECT heartbeat FROM trial_heartbeats").fetchall()
                    if not beat.startswith("2000"):
                        break
                    time.sleep(0.05)
        assert not beat.startswith("2000")


def test_a_trial_that_nobody_owns_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between asking and naming itself, a process leaves a trial without owner; who comes next queues it."""
    monkeypatch.setattr(module, "SETTLING", 0)
    search = loaded(tmp_path, GRID)
    with open_study(search, place(tmp_path, "a"), shared(tmp_path)) as study:
        optuna.load_study(study_name="search", storage=shared(tmp_path)).ask()
        assert study.left_running() == []
        assert len(all_values(study)) == 4


def test_a_slow_process_asks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that others took for left behind while its values were drawn is not lost, and nothing breaks."""
    others = optuna.create_study(study_name="search", storage=shared(tmp_path), directions=["maximize", "minimize"])
    draw, slow = module._suggest, iter([True])

    def suggest(trial: optuna.Trial, key: str, distribution: Any) -> None:
        if next(slow, False):
            others.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        draw(trial, key, distribution)

    monkeypatch.setattr(module, "_suggest", suggest)
    with open_study(loaded(tmp_path, GRID), place(tmp_path, "a"), shared(tmp_path)) as study:
        assert len(all_values(study)) == 4
        assert [record.place for record in study.records()] == [0, 1, 2, 3]


def test_a_trial_that_came_to_nothing_is_not_done_again(tmp_path: Path) -> None:
    """A failed trial keeps its place, with the reason."""
    with open_study(loaded(tmp_path, GRID), tmp_path, None) as study:
        proposal = study.ask()
        assert proposal is not None
        assert study.fail(proposal, "diverged")
        assert len(all_values(study)) == 3
        assert [(record.place, record.reason) for record in study.records()][:2] == [(0, "diverged"), (1, "")]


def test_another_search_is_refused(tmp_path: Path) -> None:
    """A study of another search is left alone, and the keys that differ are named."""
    with open_study(loaded(tmp_path, GRID), tmp_path, None) as study:
        study.define({"seed": 0, "base": {"train": {"epochs": 1}}})
        study.define({"seed": 0, "base": {"train": {"epochs": 1}}})
        with pytest.raises(InputError, match=r"of another search: base\.train\.epochs \(stored 1, now 2\); give"):
            study.define({"seed": 0, "base": {"train": {"epochs": 2}}})


def test_a_study_of_something_else_is_refused(tmp_path: Path) -> None:
    """A database may hold a study of the same name that snnsim did not make."""
    other = optuna.create_study(study_name="search", storage=shared(tmp_path))
    other.add_trial(optuna.create_trial(state=optuna.trial.TrialState.FAIL))
    with (
        open_study(loaded(tmp_path, GRID), tmp_path, shared(tmp_path)) as study,
        pytest.raises(InputError, match=r"a study 'search' that is no search of snnsim"),
    ):
        study.define({"seed": 0})


def test_a_folder_holds_one_search(tmp_path: Path) -> None:
    """A search of another name is not mixed with the one whose runs are in the folder."""
    with open_study(loaded(tmp_path, GRID), tmp_path, None):
        pass
    (tmp_path / "other.yaml").write_text(GRID, encoding="utf-8")
    with (
        pytest.raises(InputError, match=r"study\.db: holds the search 'search'; choose another --out"),
        open_study(load_search(tmp_path / "other.yaml"), tmp_path, None),
    ):
        pass
    assert optuna.get_all_study_names(f"sqlite:///{tmp_path / 'study.db'}") == ["search"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("study.db", "--storage: --storage must be the URL of a database, like postgresql"),
        ("nothing://user:secret@host/name", "nothing://user:***@host/name: --storage must be the URL of a database"),
        ("oracle+cx_oracle://user:secret@host/name", "the database's driver is missing: pip install cx_Oracle"),
        ("sqlite:////nowhere/at/all/study.db", "study.db: the study cannot be used (unable to open database file)"),
    ],
)
def test_databases_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, said: str) -> None:
    """What is wrong with a URL is said in one line, without the password in it."""
    monkeypatch.setattr(module, "SETTLING", 0)
    with pytest.raises(InputError) as caught, open_study(loaded(tmp_path, GRID), tmp_path, url):
        pass
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_of_any_name(tmp_path: Path) -> None:
    """Signs that mean something in a URL mean nothing in the name of a folder."""
    out = place(tmp_path, "50% {a}?b#c @x")
    with open_study(loaded(tmp_path, GRID), out, None) as study:
        assert len(all_values(study)) == 4
    assert (out / "study.db").exists()


def test_optuna_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its log is silent during a search, and what its user had set holds again afterwards."""
    verbosity = optuna.logging.get_verbosity()
    with open_study(loaded(tmp_path, BASE + "search: {seed: [1, 2]}\nsampler: grid\n"), tmp_path, None) as study:
        study.fail(study.ask() or pytest.fail("no trial"), "nothing")
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == verbosity
