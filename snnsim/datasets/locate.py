"""Where data lie: ``--data-dir``, then ``SNNSIM_DATA``, then the user's cache; in each a folder per set."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from snnsim.datasets.catalog import CATALOG, DatasetInfo, describe
from snnsim.errors import DataError


def list_datasets(data_dir: Path | None = None) -> tuple[DatasetInfo, ...]:
    """Describe every set known by name, with its location where it is on this machine."""
    return tuple(info(name, data_dir) for name in CATALOG)


def info(name: str, data_dir: Path | None = None) -> DatasetInfo:
    """Describe a set known by name, with its location where it is on this machine.

    Raises
    ------
    DataError
        There is no such set.
    """
    entry = describe(name)
    if entry.kind == "generated":
        return entry
    if entry.kind == "shipped":
        return replace(entry, location=shipped())
    if entry.kind == "recordings":
        return replace(entry, location=next(recordings_of(entry.name, data_dir), None))
    wanted = [file.name for file in entry.files]
    folders = (root / name for root, _ in places(data_dir))
    return replace(entry, location=next((folder for folder in folders if not _missing(folder, wanted)), None))


def shipped() -> Path:
    """Give the folder of the data that ships with snnsim."""
    return Path(str(files("snnsim.data")))


def cache_dir() -> Path | None:
    """Give the user's cache folder for snnsim, whether it exists or not; None where the user has no home."""
    try:
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "snnsim" / "Cache"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "snnsim"
        chosen = os.environ.get("XDG_CACHE_HOME", "")
        return (Path(chosen) if os.path.isabs(chosen) else Path.home() / ".cache") / "snnsim"
    except RuntimeError:
        return None


def places(data_dir: Path | None) -> list[tuple[Path, str]]:
    """List the folders in which sets are looked for, in order, each with where its name comes from."""
    named = (
        (data_dir, "--data-dir"),
        (os.environ.get("SNNSIM_DATA") or None, "SNNSIM_DATA"),
        (cache_dir(), "user cache"),
    )
    return [(Path(root).expanduser(), origin) for root, origin in named if root is not None]


def file_in(folder: Path, name: str) -> Path:
    """Give the path of a file that lies in a folder plain or gzipped, the plain one first."""
    plain = folder / name
    return plain if plain.is_file() else folder / f"{name}.gz"


def folder_of(entry: DatasetInfo, data_dir: Path | None, wanted: Sequence[str]) -> Path:
    """Find the folder that holds all the wanted files of a set.

    Raises
    ------
    DataError
        No place has them; the text lists every place, what it lacks, and what to do.
    """
    looked = []
    for root, origin in places(data_dir):
        folder = root / entry.name
        missing = _missing(folder, wanted)
        if not missing:
            return folder
        lacks = f"lacks {', '.join(missing)}" if folder.is_dir() else "no such folder"
        looked.append(f"{folder} ({origin}: {lacks})")
    raise DataError(
        f"the data set {entry.name!r} is not on this machine; looked in {'; '.join(looked) or 'no folder'}. "
        f"Run `snnsim data fetch {entry.name}`, or put {', '.join(wanted)} (plain or gzipped, .gz) into one "
        f"of these folders: `snnsim data info {entry.name}` says where they come from and their checksums"
    )


def recordings_of(name: str, data_dir: Path | None) -> Iterator[Path]:
    """Find a set of recordings: a folder or zip archive whose name begins with the set's, in any of the places.

    The one that bears the name itself comes first: ``nmnist``, ``nmnist.zip``, ``nmnist-1000``.
    """
    for root, _ in places(data_dir):
        try:
            entries = [entry for entry in root.iterdir() if _plain(entry.stem).startswith(name)]
        except OSError:
            continue
        for entry in sorted(entries, key=lambda entry: (_plain(entry.stem) != name, entry.name)):
            if entry.is_dir() or entry.suffix.lower() == ".zip":
                yield entry


def recordings_folder(entry: DatasetInfo, data_dir: Path | None) -> Path:
    """Find the folder or archive that holds a set of recordings.

    Raises
    ------
    DataError
        No place has one; the text lists them and says what to do.
    """
    found = next(recordings_of(entry.name, data_dir), None)
    if found is None:
        looked = "; ".join(f"{root} ({origin})" for root, origin in places(data_dir)) or "no folder"
        raise DataError(
            f"the data set {entry.name!r} is not on this machine: no folder or .zip called {entry.name}... in "
            f"{looked}. It cannot be fetched by a command; get it from {entry.source.split(',')[0]}"
        )
    return found


def _plain(name: str) -> str:
    """Write a name without capitals and hyphens: N-MNIST is nmnist."""
    return name.lower().replace("-", "").replace("_", "")


def _missing(folder: Path, wanted: Sequence[str]) -> list[str]:
    return [name for name in wanted if not file_in(folder, name).is_file()]
