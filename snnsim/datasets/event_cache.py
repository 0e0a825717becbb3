"""Binned recordings kept on disk, in the user's cache folder under ``encoded/``.

An entry is a folder of ``.npy`` files, named by the SHA-256 of everything that made it: the content of the files, the
binning, the sensor, and the version of this form. It is written under another name and renamed when it is whole, so
that a reader never sees a part of one, whoever else writes or is killed. Entries are only ever added; the folder may
be deleted at any time.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnsim.datasets.locate import cache_dir

FORMAT = 1
_STALE = 24 * 3600  # seconds after which an unfinished entry is taken for that of a killed writer

Arrays = dict[str, NDArray[Any]]


def cache_key(described: Mapping[str, Any]) -> str:
    """Return the name of the entry for what is described, in plain data."""
    text = json.dumps({"format": FORMAT, **described}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read_entry(key: str) -> tuple[dict[str, Any], Arrays] | None:
    """Return an entry's description and arrays (mapped from the files); None where there is none that is whole."""
    folder = _folder(key)
    if folder is None or not folder.is_dir():
        return None
    try:
        described = json.loads((folder / "entry.json").read_text(encoding="utf-8"))
        arrays = {}
        for name in described["arrays"]:
            mapped = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            arrays[name] = np.asarray(mapped)
    except (OSError, ValueError, KeyError, TypeError):  # damaged from outside: as if it were not there
        return None
    return described, arrays


def write_entry(key: str, described: Mapping[str, Any], arrays: Arrays) -> None:
    """Keep arrays under a key; where the cache cannot be written, nothing is kept."""
    folder = _folder(key)
    if folder is None:
        return
    unfinished: str | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder.parent)
        unfinished = tempfile.mkdtemp(prefix=".unfinished-", dir=folder.parent)
        for name, array in arrays.items():
            with open(Path(unfinished) / f"{name}.npy", "wb") as file:
                np.save(file, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
        text = json.dumps({**described, "arrays": list(arrays)})
        (Path(unfinished) / "entry.json").write_text(text, encoding="utf-8")
        if folder.is_dir() and read_entry(key) is None:
            shutil.rmtree(folder, ignore_errors=True)
        os.rename(unfinished, folder)
    except OSError:  # another writer was first, or there is no room: both are well
        if unfinished is not None:
            shutil.rmtree(unfinished, ignore_errors=True)


def _folder(key: str) -> Path | None:
    cache = cache_dir()
    return None if cache is None else cache / "encoded" / key


def _sweep(folder: Path) -> None:
    """Remove what killed writers left."""
    for left in folder.glob(".unfinished-*"):
        if time.time() - left.stat().st_mtime > _STALE:
            shutil.rmtree(left, ignore_errors=True)
