"""From values to configurations, and what is refused before the first trial."""

from pathlib import Path

import pytest

from snnsim.errors import ConfigError
from snnsim.sweeps import LoadedSearch
from snnsim.sweeps.candidates import Candidates
from sweeps.searches import BASE, GRID, RANDOM, loaded

TAUGHT = """\
base: digits-kd
search:
  distill.student_temperature: [1, 2]
trials: 2
"""


def searching(folder: Path, keys: str) -> LoadedSearch:
    return loaded(folder, f"{BASE}search: {{{keys}}}\ntrials: 2\n")


def test_values_are_set_in_the_configuration(tmp_path: Path) -> None:
    """What `set` says holds for every trial, and the values of the trial come after it."""
    config = Candidates(loaded(tmp_path, GRID)).at({"network.1.lif.threshold": 1.0, "train.batch_size": 16}).config
    assert config.network[1].resolved()["lif"]["threshold"] == 1.0
    assert (config.train.batch_size, config.train.epochs, config.data.limit) == (16, 1, 60)


def test_labels(tmp_path: Path) -> None:
    """A value goes by the end of its key, or by the whole key where two would be called the same."""
    values = {"network.1.lif.threshold": 0.5, "train.batch_size": 16}
    assert Candidates(loaded(tmp_path, GRID)).label(values) == "threshold=0.5, batch_size=16"
    two = searching(tmp_path, "network.1.lif.beta: [0.5], network.3.lif.beta: [0.25]")
    label = Candidates(two).label({"network.1.lif.beta": 0.5, "network.3.lif.beta": 0.25})
    assert label == "network.1.lif.beta=0.5, network.3.lif.beta=0.25"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("network.1.lif.betta: [0.5]", ":3:10: search.network.1.lif.betta: override network.1.lif.betta=0.5: unknown"),
        ("network.1.lif.beta: {range: [0.5, 1.5]}", "override network.1.lif.beta=1.5: must be <= 1 (got 1.5)"),
        ("train.batch_size: [8, 0]", ":3:10: search.train.batch_size: override train.batch_size=0: must be >= 1"),
        ("network.9.lif.beta: [0.5]", "search.network.9.lif.beta: override network.9.lif.beta=0.5: network has 6"),
        ("network.0.dense: [8], network.4.dense: [10, 11]", "search.network.4.dense: override network.4.dense=11: the"),
    ],
)
def test_what_the_configuration_does_not_accept(tmp_path: Path, keys: str, said: str) -> None:
    """A key or a value that makes no configuration is named with its place in the sweep file."""
    with pytest.raises(ConfigError) as caught:
        Candidates(searching(tmp_path, keys)).check_sizes()
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'search.yaml'}:3:")


def test_every_fault_at_once(tmp_path: Path) -> None:
    """Faults of different keys are listed together, each once, and so are those of `set`."""
    with pytest.raises(ConfigError) as caught:
        Candidates(searching(tmp_path, "train.batch_size: [8, 0], network.1.lif.beta: [0.5, 2, 3]"))
    assert [line.split(": ")[1] for line in caught.value.faults] == [
        "search.train.batch_size",
        "search.network.1.lif.beta",
        "search.network.1.lif.beta",
    ]
    wrong = loaded(tmp_path, GRID.replace("train.epochs", "train.epoch"))
    with pytest.raises(ConfigError, match=r":2:7: set\.train\.epoch: override train\.epoch=1: unknown key; did you"):
        Candidates(wrong)


def test_a_regression_has_no_accuracy(tmp_path: Path) -> None:
    """Accuracy cannot be searched for where there are no classes."""
    import numpy as np

    x, y = np.zeros((40, 4), np.float32), np.zeros((40, 1), np.float32)
    np.savez(tmp_path / "values.npz", x=x, y=y)
    network = "[{dense: 4}, lif, {dense: 1}, li]"
    (tmp_path / "base.yaml").write_text(
        f"data: {{npz: {tmp_path / 'values.npz'}}}\nnetwork: {network}\ntrain: {{loss: mse}}\n", encoding="utf-8"
    )
    text = f"base: {tmp_path / 'base.yaml'}\nsearch: {{network.1.lif.beta: [0.5, 0.9]}}\nsampler: grid\n"
    with pytest.raises(ConfigError, match=r":1:1: base: a regression has no accuracy to search for"):
        Candidates(loaded(tmp_path, text)).require_fitting(None)


def test_a_teacher_is_shared_where_no_key_changes_it(tmp_path: Path) -> None:
    """One teacher for all trials, unless what is searched makes several."""
    assert Candidates(loaded(tmp_path, RANDOM)).teacher(tmp_path) is None
    shared = Candidates(loaded(tmp_path, TAUGHT)).teacher(tmp_path)
    assert shared is not None
    assert shared[1].parent == tmp_path / "teachers"
    seeds = TAUGHT.replace("search:\n", "search:\n  seed: [0, 1]\n")
    assert Candidates(loaded(tmp_path, seeds)).teacher(tmp_path) is None
