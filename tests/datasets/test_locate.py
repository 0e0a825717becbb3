from pathlib import Path

import pytest

from datasets.builders import IMAGES, Request, write_files
from snnsim.datasets import info, list_datasets, load
from snnsim.datasets.locate import cache_dir, places
from snnsim.errors import DataError


def test_search_order(
    tmp_path: Path, cache: Path, small_mnist: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The named folder goes before SNNSIM_DATA, and that before the user's cache; a place without data is passed."""
    named, variable = tmp_path / "named", tmp_path / "variable"
    monkeypatch.setenv("SNNSIM_DATA", str(variable))

    assert info("mnist", named).location is None
    for folder in (cache, variable, named):
        write_files(folder / "mnist", small_mnist)
        assert info("mnist", named).location == folder / "mnist"
    assert info("mnist").location == variable / "mnist"


def test_incomplete_set_is_passed_over(tmp_path: Path, cache: Path, small_mnist: dict[str, bytes]) -> None:
    """A folder that lacks a file does not hide a whole set in a later place."""
    write_files(cache / "mnist", small_mnist)
    del small_mnist[IMAGES]
    write_files(tmp_path / "mnist", small_mnist)

    assert info("mnist", tmp_path).location == cache / "mnist"
    assert len(load(Request("mnist"), tmp_path).test) == 20


def test_missing_data(
    tmp_path: Path, cache: Path, small_mnist: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names every place and what it lacks, the command that fetches, and what to do by hand."""
    monkeypatch.setenv("SNNSIM_DATA", str(tmp_path / "variable"))
    del small_mnist[IMAGES]
    write_files(tmp_path / "named" / "mnist", small_mnist)

    with pytest.raises(DataError) as caught:
        load(Request("mnist"), tmp_path / "named")

    text = str(caught.value)
    assert caught.value.path == ("data", "name")
    assert f"{tmp_path / 'named' / 'mnist'} (--data-dir: lacks {IMAGES})" in text
    assert f"{tmp_path / 'variable' / 'mnist'} (SNNSIM_DATA: no such folder)" in text
    assert f"{cache / 'mnist'} (user cache: no such folder)" in text
    assert "snnsim data fetch mnist" in text
    assert "snnsim data info mnist" in text
    assert "train-images-idx3-ubyte" in text


def test_empty_variable_counts_as_unset(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SNNSIM_DATA set to nothing does not mean the current folder."""
    monkeypatch.setenv("SNNSIM_DATA", "")

    assert [root for root, _ in places(None)] == [cache]


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/caches"}, "/caches/snnsim"),
        ("linux", {"XDG_CACHE_HOME": ""}, "/home/me/.cache/snnsim"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/snnsim"),
        ("darwin", {}, "/home/me/Library/Caches/snnsim"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/snnsim/Cache"),
        ("win32", {"LOCALAPPDATA": ""}, "/home/me/AppData/Local/snnsim/Cache"),
    ],
)
def test_cache_folder(platform: str, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache lies where each system keeps caches."""
    monkeypatch.setattr("snnsim.datasets.locate.sys.platform", platform)
    monkeypatch.setattr("snnsim.datasets.locate.Path.home", lambda: Path("/home/me"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert cache_dir() == Path(expected)


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a home folder there is no cache, and what ships is still found."""

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr("snnsim.datasets.locate.Path.home", no_home)

    assert places(None) == []
    assert info("digits").present
    with pytest.raises(DataError, match="looked in no folder"):
        load(Request("mnist"))


def test_list(tmp_path: Path, small_mnist: dict[str, bytes]) -> None:
    """Every set is listed with a line about it, and where it is."""
    write_files(tmp_path / "mnist", small_mnist)

    found = list_datasets(tmp_path)

    assert [(entry.name, entry.present) for entry in found] == [
        ("digits", True),
        ("mnist", True),
        ("fashion-mnist", False),
        ("nmnist", False),
        ("shd", False),
        ("yin-yang", True),
        ("randman", True),
    ]
    assert all(entry.summary and "\n" not in entry.summary for entry in found)


@pytest.mark.parametrize("name", ["digits", "mnist", "fashion-mnist"])
def test_info(name: str) -> None:
    """A description tells shape, classes, sizes, licence, source, files and checksums."""
    found = info(name)

    assert found.classes == 10
    assert found.train > found.test > 0
    assert found.licence
    assert found.source
    assert all(len(file.sha256) == 64 and file.size > 0 for file in found.files)
    assert bool(found.mirrors) == (name != "digits")


def test_unknown_name() -> None:
    """A misspelt name is an error with the right one."""
    with pytest.raises(DataError, match=r"no data set is called 'mnits' \(known: digits, .*did you mean 'mnist'"):
        info("mnits")
    with pytest.raises(
        DataError, match=r"known: digits, mnist, fashion-mnist, nmnist, shd, yin-yang, randman\)$"
    ) as caught:
        load(Request("xyz"))
    assert caught.value.path == ("data", "name")
