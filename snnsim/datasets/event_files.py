"""Where recordings lie: files in folders and zip archives, their labels and parts, recognised by content.

- The label of a recording is the name of its folder; an HDF5 file holds the labels of its recordings itself.
- Recordings are for testing that lie below a folder called ``Test``, or in a zip or HDF5 file with ``test`` as a word
  of its name (``Test.zip``, ``shd_test.h5``); all others are for training.
- Order: by path, as text.
"""

import hashlib
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from snnsim.datasets.event_hdf5 import MAGIC as HDF5
from snnsim.errors import DataError

KINDS = {".bin": "bin", ".npz": "npz", ".csv": "csv", ".aedat4": "aedat4", ".h5": "hdf5", ".hdf5": "hdf5"}
AEDAT4 = b"#!AER-DAT4.0\r\n"
ZIP = b"PK\x03\x04"

_TEST = re.compile(r"(^|[^a-z])test(ing)?([^a-z]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class EventFile:
    """One file of recordings.

    Attributes
    ----------
    path, member
        The file; with ``member``, a member of that zip archive.
    kind
        ``bin``, ``npz``, ``csv``, ``aedat4`` or ``hdf5``.
    label
        Name of its folder; None for HDF5, and for a file that has no folder of its own.
    testing
        Whether it belongs to the part for testing.
    """

    path: Path
    member: str | None
    kind: str
    label: str | None
    testing: bool

    @property
    def title(self) -> str:
        """What messages call it."""
        return str(self.path) if self.member is None else f"{self.path}: {self.member}"


def find_event_files(path: Path) -> list[EventFile]:
    """Find the recordings of a file, a folder or a zip archive; an empty list where it holds none.

    Raises
    ------
    DataError
        It cannot be read, or recordings of several kinds lie together.
    """
    try:
        if path.is_dir():
            found = [file for entry in sorted(path.rglob("*")) for file in _in_folder(path, entry)]
        else:
            found = _single(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    kinds = sorted({file.kind for file in found})
    if len(kinds) > 1:
        raise DataError(f"{path}: holds recordings of several kinds ({', '.join(kinds)}); keep one kind in a folder")
    return found


def contents(files: list[EventFile]) -> Iterator[tuple[EventFile, bytes | DataError]]:
    """Read files one after another; of one that cannot be read, what is wrong with it."""
    archive: zipfile.ZipFile | None = None
    opened: Path | None = None
    try:
        for file in files:
            try:
                if file.member is None:
                    yield file, file.path.read_bytes()
                    continue
                if opened != file.path:
                    if archive is not None:
                        archive.close()
                    archive, opened = zipfile.ZipFile(file.path), file.path
                assert archive is not None
                yield file, archive.read(file.member)
            except (OSError, RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile, zlib.error) as error:
                yield file, DataError(f"{file.title}: cannot be read ({error})")
    finally:
        if archive is not None:
            archive.close()


def content_hash(path: Path, files: list[EventFile]) -> str:
    """Return the SHA-256 of everything that recordings are read from: names and bytes.

    Raises
    ------
    DataError
        A file cannot be read.
    """
    digest = hashlib.sha256()
    for container in dict.fromkeys(file.path for file in files):
        name = "" if container == path else container.relative_to(path).as_posix()
        try:
            with container.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"{container}: cannot be read ({error.strerror or error})") from None
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()


def _single(path: Path) -> list[EventFile]:
    head = _head(path)
    if head.startswith(HDF5):
        return [EventFile(path, None, "hdf5", None, testing=False)]
    if head.startswith(AEDAT4):
        return [EventFile(path, None, "aedat4", _folder(path), testing=False)]
    if head.startswith(ZIP):
        return _in_zip(path, testing=False)
    kind = KINDS.get(path.suffix.lower())
    # Without a signature of its own, a file is what its name says.
    header = {name.strip() for name in head.split(b"\n")[0].split(b",")}
    is_recording = kind == "bin" or (kind == "csv" and {b"t", b"x"} <= header)
    return [EventFile(path, None, kind, _folder(path), testing=False)] if kind and is_recording else []


def _head(path: Path) -> bytes:
    """Return so much of a file as tells its kind."""
    with path.open("rb") as file:
        return file.read(1000).removeprefix(b"\xef\xbb\xbf")


def _folder(path: Path) -> str | None:
    return path.absolute().parent.name or None


def _in_folder(root: Path, entry: Path) -> list[EventFile]:
    relative = PurePosixPath(entry.relative_to(root).as_posix())
    if _hidden(relative) or not entry.is_file():
        return []
    suffix = entry.suffix.lower()
    if suffix == ".zip" and _head(entry).startswith(ZIP):
        return _in_zip(entry, testing=_in_test_part(relative))
    kind = KINDS.get(suffix)
    if kind is None:
        return []
    if kind == "hdf5":
        return [EventFile(entry, None, kind, None, _in_test_part(relative))]
    if kind == "npz" and _is_arrays(entry):
        return []
    return [EventFile(entry, None, kind, _folder(entry), _in_test_part(relative.parent / "_"))]


def _in_zip(path: Path, *, testing: bool) -> list[EventFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(name for name in archive.namelist() if not name.endswith("/"))
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise DataError(f"{path}: damaged or not a zip archive ({error})") from None
    if names and all(name.endswith(".npy") for name in names):
        is_recording = "t.npy" in names or (len(names) == 1 and not _is_arrays(path))
        return [EventFile(path, None, "npz", _folder(path), testing)] if is_recording else []
    found = []
    for name in names:
        member = PurePosixPath(name)
        kind = KINDS.get(member.suffix.lower())
        if kind is None or _hidden(member):
            continue
        if kind == "hdf5":
            raise DataError(f"{path}: holds the HDF5 file {name}; unpack it and name the file")
        label = member.parent.name or None
        found.append(EventFile(path, name, kind, label, testing or _in_test_part(member.parent / "_")))
    return found


def _is_arrays(path: Path) -> bool:
    """Tell an archive of samples (``x``, but neither ``t`` nor ``p``) from a recording, whole or not."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        return False
    return "x.npy" in names and not names & {"t.npy", "p.npy"}


def _in_test_part(relative: PurePosixPath) -> bool:
    """Tell by a folder called ``test``, or by that word in the name of the file itself."""
    return any(folder.lower() in ("test", "testing") for folder in relative.parts[:-1]) or bool(
        _TEST.search(relative.stem)
    )


def _hidden(relative: PurePosixPath) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in relative.parts)
