"""The sweep file of a search: what it says, and what is said of its faults."""

from pathlib import Path
from typing import Any

import pytest

from snnsim.errors import ConfigError
from snnsim.sweeps import is_search
from snnsim.sweeps.space import SamplerChoice, Values
from sweeps.searches import BASE, GRID, RANDOM, loaded, written

ONE = "base: digits\nsearch:\n  network.1.lif.beta: [0.8, 0.9]\n"


def test_a_minimal_search(tmp_path: Path) -> None:
    """Base, keys and the number of trials are enough: TPE for accuracy and SynOps, seed 0."""
    search = loaded(tmp_path, ONE + "trials: 3\n").search
    assert (search.sampler.name, search.objectives, search.seed) == ("tpe", ["accuracy", "synops"], 0)
    assert (search.asked, search.space["network.1.lif.beta"].samples()) == (3, [0.8, 0.9])


def test_the_two_kinds_are_told_apart(tmp_path: Path) -> None:
    """A search has `search`; where that is mistyped, its other keys tell."""
    assert is_search(written(tmp_path, ONE))
    assert is_search(written(tmp_path, ONE.replace("search", "serach") + "trials: 3\n"))
    assert not is_search(written(tmp_path, "base: digits\nagainst: a\nmethods: {a: {}}\n"))


@pytest.mark.parametrize(
    ("values", "whole", "count", "ends"),
    [
        ({"range": [1, 9]}, True, 9, [1, 9]),
        ({"range": [0, 10], "step": 5}, True, 3, [0, 10]),
        ({"range": [0.5, 2.0]}, False, None, [0.5, 2.0]),
        ({"range": [0.1, 0.7], "step": 0.2}, False, 4, [0.1, 0.7]),
        ({"log_range": [1, 64]}, True, None, [1, 64]),
        ({"log_range": [1e-5, 1]}, False, None, [1e-5, 1]),
        (["a", None, {"b": 1}], False, 3, ["a", None, {"b": 1}]),
    ],
)
def test_ranges_and_lists(values: Any, whole: bool, count: int | None, ends: list[Any]) -> None:
    """A range is of whole numbers where both ends are; a log range, and one without steps, cannot be counted."""
    found = Values.model_validate(values)
    assert (found.is_whole, found.count, found.samples()) == (whole, count, ends)


def test_steps_are_the_numbers_one_writes() -> None:
    """The third step of 0.1 from 0.5 is 0.8, not 0.8000000000000002; steps of whole numbers are whole."""
    assert [Values.model_validate({"range": [0.1, 0.7], "step": 0.1}).at(k) for k in (2, 5)] == [0.3, 0.6]
    whole = Values.model_validate({"range": [0, 10], "step": 5}).at(2)
    assert (whole, type(whole)) == (10, int)


def test_a_grid_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Every combination once, the last key varying fastest; fewer trials are the first of them."""
    search = loaded(tmp_path, GRID).search
    cells = [tuple(search.cell(place).values()) for place in range(search.asked)]
    assert cells == [(0.5, 16), (0.5, 32), (1.0, 16), (1.0, 32)]
    assert loaded(tmp_path, GRID + "trials: 3\n").search.asked == 3
    assert loaded(tmp_path, GRID + "trials: 300\n").search.asked == 4


def test_what_is_tried_out(tmp_path: Path) -> None:
    """The first values together, then each other value and each other end beside the first of all others."""
    tried = loaded(tmp_path, GRID).search.tried_out()
    assert [(key, tuple(values.values())) for key, values in tried] == [
        (None, (0.5, 16)),
        ("network.1.lif.threshold", (1.0, 16)),
        ("train.batch_size", (0.5, 32)),
    ]


def test_samplers_have_options() -> None:
    """A sampler is a name, or a name with its options."""
    tpe = SamplerChoice.of({"tpe": {"startup": 4}}).tpe
    nsga = SamplerChoice.of("nsga-ii").nsga_ii
    assert tpe is not None
    assert nsga is not None
    assert (tpe.startup, nsga.population) == (4, 20)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ONE, ":1:1: missing key 'trials': how many the sampler tpe is to make in all"),
        (ONE + "trials: 0\n", ":4:1: trials: must be >= 1 (got 0)"),
        (ONE + "trials: 3\nmethods: {}\n", ":5:1: methods: unknown key; must be one of base, set, search"),
        (ONE + "trials: 3\nsampler: tpee\n", ":5:1: sampler: unknown sampler 'tpee'; did you mean 'tpe'?"),
        (ONE + "trials: 3\nsampler: {nsga-ii: {size: 3}}\n", "sampler.nsga-ii.size: unknown key"),
        (ONE + "trials: 3\nobjectives: [accuracy, spikes]\n", "objectives.1: must be one of accuracy, synops"),
        (ONE + "trials: 3\nobjectives: [synops, synops]\n", "objectives: names an objective twice"),
        (ONE.replace("[0.8, 0.9]", "0.8"), ":3:3: search.network.1.lif.beta: must be a list of values, {range: [low"),
        (ONE.replace("[0.8, 0.9]", "[]"), ":3:3: search.network.1.lif.beta: must have at least one value"),
        (ONE.replace("[0.8, 0.9]", "[0.8, 0.80]"), ":3:3: search.network.1.lif.beta: names 0.8 twice"),
        (ONE.replace("[0.8, 0.9]", "{rnage: [0, 1]}"), ":3:24: search.network.1.lif.beta.rnage: unknown key; did you"),
        (ONE.replace("[0.8, 0.9]", "{range: [0.9, 0.8]}"), "two numbers, the smaller one first, like [0.5, 2.0]"),
        (ONE.replace("[0.8, 0.9]", "{range: [0.9]}"), ":3:24: search.network.1.lif.beta.range: must be two numbers"),
        (ONE.replace("[0.8, 0.9]", "{range: [true, 2]}"), "must be two numbers"),
        (ONE.replace("[0.8, 0.9]", "{log_range: [0, 2]}"), "log_range: must lie above 0 (got [0, 2])"),
        (ONE.replace("[0.8, 0.9]", "{log_range: [1, 2], step: 1}"), "step: is for range alone"),
        (ONE.replace("[0.8, 0.9]", "{range: [1, 2], step: 0.5}"), "step: must be a whole number"),
        (ONE.replace("[0.8, 0.9]", "{range: [0.5, 2], step: 0.4}"), "[0.5, 2] is not a whole number of steps of 0.4"),
        (ONE.replace("[0.8, 0.9]", "{range: [1, 2], log_range: [1, 2]}"), "must have one of range and log_range"),
        (ONE.replace("[0.8, 0.9]", "{}"), "must have one of range and log_range, or be a list of values (got none)"),
        (ONE.replace("[0.8, 0.9]", "{range: [0.1, 0.2]}\nsampler: grid"), ":3:3: search.network.1.lif.beta: a grid"),
        ("base: digits\nsearch: {}\ntrials: 2\n", "search: must have at least 1 entry"),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, said: str) -> None:
    """A fault names the file with line and column, the key, and the mend."""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'search.yaml'}:")
    assert said in str(caught.value)


def test_a_grid_may_not_be_endless(tmp_path: Path) -> None:
    """More combinations than can be meant are refused, unless the number of trials is given."""
    endless = f"{BASE}search:\n  seed: {{range: [0, 2000000]}}\nsampler: grid\n"
    with pytest.raises(ConfigError, match="search: 2000001 combinations are too many"):
        loaded(tmp_path, endless)
    assert loaded(tmp_path, endless + "trials: 7\n").search.asked == 7


def test_values_of_all_kinds(tmp_path: Path) -> None:
    """A file may search over numbers, whole numbers, magnitudes, and whole parts of a configuration."""
    space = loaded(tmp_path, RANDOM).search.space
    assert space["train.optimizer"].samples() == ["adam", {"sgd": {"lr": 0.1}}]
    assert space["train.batch_size"].is_whole
