"""A sweep's folder: who may write to it."""

from pathlib import Path

import pytest

from snnsim.errors import InputError
from snnsim.sweeps.folder import SweepFolder


def test_one_sweep_at_a_time(tmp_path: Path) -> None:
    """A second process is told that another one is at work in the folder; afterwards it may."""
    with SweepFolder(tmp_path).begin("first"):
        with (
            pytest.raises(
                InputError, match=r"another sweep is at work here; wait for its end, or choose another --out"
            ),
            SweepFolder(tmp_path).begin("second"),
        ):
            pass
        assert (tmp_path / "sweep.yaml").read_text(encoding="utf-8") == "first"
    with SweepFolder(tmp_path).begin("second"):
        assert (tmp_path / "sweep.yaml").read_text(encoding="utf-8") == "second"


def test_a_sweep_that_died_at_once_leaves_the_folder_usable(tmp_path: Path) -> None:
    """Of a sweep that was killed before it wrote anything there is the lock, which nobody holds any more."""
    (tmp_path / "sweep.lock").touch()
    with SweepFolder(tmp_path).begin("text"):
        pass


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """A file in the folder's place is left alone."""
    file = tmp_path / "file"
    file.write_text("keep", encoding="utf-8")
    with pytest.raises(InputError, match="exists and holds no sweep"):
        SweepFolder(file)
    with pytest.raises(InputError, match=r"cannot be created \(Not a directory\); choose another --out"):
        SweepFolder(file / "below").begin("text").__enter__()
