"""Download of the sets that do not ship, from their usual public mirrors.

A file is written only after its content has been verified, and in one step: nothing half-written ever stands
in the data folder, and an interrupted fetch goes on with the files that are still missing.
"""

import os
from collections.abc import Callable
from pathlib import Path

from snnsim.datasets.catalog import DataFile, DatasetInfo, describe
from snnsim.datasets.idx import content_fault
from snnsim.datasets.locate import file_in, places, recordings_folder, shipped
from snnsim.errors import DataError
from snnsim.files import write_bytes

Progress = Callable[[str, int, int | None], None]

_TIMEOUT = 30  # seconds without a byte
_CHUNK = 1 << 16


def fetch(name: str, data_dir: Path | None = None, progress: Progress | None = None) -> Path:
    """Download a set, unless it is there already, and say where it is.

    Parameters
    ----------
    name
        Name of the set.
    data_dir
        The folder to put it in, under the set's name; by default ``SNNSIM_DATA``, else the user's cache.
    progress
        Called as ``progress(file, bytes so far, bytes in all or None)`` while a file arrives.

    Returns
    -------
    Path
        The folder with the set's files.

    Raises
    ------
    DataError
        No mirror gave the right content; the text says what to do by hand.
    InputError
        The folder cannot be written.
    """
    entry = describe(name)
    if entry.kind == "shipped":
        return shipped()
    if entry.kind == "generated":
        raise DataError(f"{name} is generated when a run asks for it; there is nothing to fetch")
    if entry.kind == "recordings":
        return recordings_folder(entry, data_dir)
    roots = places(data_dir)
    if not roots:
        raise DataError(f"no folder to put {name} in: give --data-dir DIR")
    folder = roots[0][0] / name
    missing = [file for file in entry.files if not _is_good(file_in(folder, file.name), file)]
    if missing:
        _require_writable(folder)
    for file in missing:
        content = _download(entry, file, folder, progress)
        _make(folder)
        write_bytes(folder / f"{file.name}.gz", content)
        (folder / file.name).unlink(missing_ok=True)  # a plain file that is there is a wrong one
    return folder


def _require_writable(folder: Path) -> None:
    """Refuse a folder that cannot be written before anything is downloaded."""
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise DataError(f"{folder}: cannot be written; name another folder with --data-dir DIR")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made ({error.strerror or error})") from None


def _is_good(path: Path, expected: DataFile) -> bool:
    return path.is_file() and not content_fault(path.read_bytes(), expected)


def _download(entry: DatasetInfo, file: DataFile, folder: Path, progress: Progress | None) -> bytes:
    """Get one gzipped file from the first mirror that has the right content."""
    from http.client import HTTPException  # imported where needed: they cost a run 60 ms
    from urllib.error import URLError

    faults = []
    for mirror in entry.mirrors:
        url = f"{mirror}{file.name}.gz"
        try:
            content = _read_url(url, file.name, progress)
            fault = content_fault(content, file)
        except URLError as error:
            fault = str(error.reason)
        except (OSError, HTTPException) as error:
            fault = str(error) or type(error).__name__
        if not fault:
            return content
        faults.append(f"{url}: {fault}")
    checksums = "".join(f"\n  {file.sha256}  {file.name}" for file in entry.files)
    raise DataError(
        f"{file.name} could not be downloaded ({'; '.join(faults)}). "
        f"Try again later, or put these files, plain or gzipped (.gz), into {folder} by hand, "
        f"from {' or '.join(entry.mirrors)}; sha256 of the uncompressed files:{checksums}"
    )


def _read_url(url: str, name: str, progress: Progress | None) -> bytes:
    from urllib.request import urlopen

    content = bytearray()
    with urlopen(url, timeout=_TIMEOUT) as response:
        announced = response.headers.get("Content-Length", "")
        total = int(announced) if announced.isdecimal() else None
        while chunk := response.read(_CHUNK):
            content += chunk
            if progress:
                progress(name, len(content), total)
    if total is not None and len(content) != total:
        raise OSError(f"the connection broke after {len(content)} of {total} bytes")
    return bytes(content)
