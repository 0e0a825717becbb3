"""The sweep file: what it says, and what is said of its faults."""

from pathlib import Path

import pytest

from snnsim.errors import ConfigError
from snnsim.sweeps.language import Method, load_sweep, merged

MINIMAL = "base: digits\nagainst: plain\nmethods:\n  plain: {}\n"


def written(folder: Path, text: str) -> Path:
    file = folder / "sweep.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_minimal_sweep(tmp_path: Path) -> None:
    """Base, reference and one method are enough: one setting, seed 0."""
    loaded = load_sweep(written(tmp_path, MINIMAL))
    assert (loaded.name, loaded.sweep.base, loaded.sweep.seeds) == ("sweep", "digits", [0])
    assert list(loaded.sweep.methods["plain"].settings()) == [{}]


def test_points_come_before_the_grid() -> None:
    """Points one by one, then every combination of the grid, the last key varying fastest."""
    method = Method.model_validate({"points": [{"a": 1}], "grid": {"b": [1, 2], "c": [3, 4]}})
    expected = [{"a": 1}, {"b": 1, "c": 3}, {"b": 1, "c": 4}, {"b": 2, "c": 3}, {"b": 2, "c": 4}]
    assert list(method.settings()) == expected


def test_later_overrides_take_the_place_of_earlier_ones() -> None:
    """A key that is given again counts once, where it was given last: what it replaces may be below it."""
    assert list(merged({"distill": None, "seed": 1}, {"distill": {}}, {"distill.alpha": 0.5}).items()) == [
        ("seed", 1),
        ("distill", {}),
        ("distill.alpha", 0.5),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be a map with the keys base, against and methods"),
        ("- 1\n", "must be a map"),
        ("base: [digits\n", "not valid YAML"),
        (MINIMAL.replace("base: digits\n", ""), "missing key 'base'"),
        (MINIMAL.replace("against: plain", "against: plian"), "no method 'plian'; did you mean 'plain'?"),
        (MINIMAL + "sedes: [1]\n", "sedes: unknown key; did you mean 'seeds'?"),
        (MINIMAL + "seeds: [1, 1]\n", "seeds: names a seed twice"),
        (MINIMAL + "seeds: []\n", "seeds: must have at least 1 entry"),
        (MINIMAL + "gain: -1\n", "gain: must be >= 0"),
        (MINIMAL.replace("{}", "{gird: {}}"), "methods.plain.gird: unknown key; did you mean 'grid'?"),
        (MINIMAL.replace("{}", "{grid: {seed: 3}}"), "methods.plain.grid.seed: must be a list"),
        (MINIMAL.replace("{}", "{grid: {}}"), "methods.plain.grid: must have at least 1 entry"),
        (MINIMAL.replace("{}", "{points: []}"), "methods.plain.points: must have at least 1 entry"),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, said: str) -> None:
    """A fault names the file and the key, and the mend."""
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_sweep(file)
    assert str(file) in str(caught.value)
    assert said in str(caught.value)


def test_unknown_names(tmp_path: Path) -> None:
    """A name that no ready sweep has is met with the nearest one; a folder is told to be none."""
    with pytest.raises(ConfigError, match=r"no ready sweep of that name; did you mean 'digits-kd'\?"):
        load_sweep("digits-dk")
    with pytest.raises(ConfigError, match="is a folder, not a sweep"):
        load_sweep(tmp_path)
