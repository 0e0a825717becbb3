"""Sets of recordings: found, read, checked, binned, and kept in the cache."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from snnsim.datasets.catalog import DatasetInfo
from snnsim.datasets.event_cache import cache_key, read_entry, write_entry
from snnsim.datasets.event_files import EventFile, content_hash, contents, find_event_files
from snnsim.datasets.event_formats import RawEvents, addressed, parse_aedat4, parse_bin, parse_csv, parse_npz
from snnsim.datasets.event_hdf5 import UNITS, read_hdf5
from snnsim.datasets.locate import recordings_folder
from snnsim.datasets.recordings import Binning, Numbers, Recordings, bin_recordings
from snnsim.datasets.samples import Labels, RawSet
from snnsim.errors import DataError

NMNIST_SENSOR = (2, 34, 34)

_PARSERS = {"bin": parse_bin, "npz": parse_npz, "csv": parse_csv, "aedat4": parse_aedat4}
_SENSORS: dict[str, tuple[int, ...]] = {"bin": NMNIST_SENSOR, "hdf5": (UNITS,)}


@dataclass(frozen=True, eq=False)
class EventSet:
    """All recordings of a file or folder.

    Attributes
    ----------
    x
        The binned recordings, N of them.
    labels
        Of each the name of its class, or its number in an HDF5 file; None where it has none.
    testing
        Whether it belongs to the part for testing, bool [N].
    skipped
        What is wrong with each recording that was left out.
    """

    x: Recordings
    labels: Sequence[str | int | None]
    testing: np.ndarray[Any, np.dtype[np.bool_]]
    skipped: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Found:
    """One recording as read: where from, and the events or the fault."""

    title: str
    label: str | int | None
    testing: bool
    raw: RawEvents | DataError


def read_event_set(path: Path, binning: Binning, sensor: tuple[int, ...] | None, *, skip_bad: bool) -> EventSet:
    """Read and bin all recordings of a file, a folder or a zip archive.

    Parameters
    ----------
    path
        Where they are.
    binning
        How time becomes steps.
    sensor
        Shape of a sample, (2, H, W) or (units,); None for what the format or the recordings say.
    skip_bad
        Leave recordings out that are damaged, instead of refusing them all.

    Raises
    ------
    DataError
        There are none, or one is damaged; names the file and the record.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    files = find_event_files(path)
    if not files:
        raise DataError(
            f"{path}: holds no recordings (.bin of N-MNIST, .h5 of SHD, .aedat4, .npz or .csv with t, x, y, p)"
        )
    sensor = sensor or _SENSORS.get(files[0].kind)
    key = cache_key(
        {
            "content": content_hash(path, files),
            "binning": binning.key(),
            "sensor": sensor,
            "files": [[file.member, file.kind, file.label, file.testing] for file in files],
        }
    )
    entry = read_entry(key)
    found = _from_entry(*entry) if entry is not None else None
    if found is None or (found.skipped and not skip_bad):
        found = _read(path, files, binning, sensor, skip_bad=skip_bad)
        described = {"sensor": found.x.sensor, "labels": list(found.labels), "skipped": found.skipped}
        columns = {name: getattr(found.x, name) for name in ("starts", "stops", "steps", "addresses", "repeats")}
        write_entry(key, described, {**columns, "testing": found.testing})
    return found


def _from_entry(described: dict[str, Any], arrays: dict[str, Any]) -> EventSet | None:
    try:
        testing = arrays.pop("testing")
        x = Recordings(**arrays, sensor=tuple(described["sensor"]))
        return EventSet(x, described["labels"], testing, tuple(described["skipped"]))
    except (KeyError, TypeError):
        return None


def _read(
    path: Path, files: list[EventFile], binning: Binning, sensor: tuple[int, ...] | None, *, skip_bad: bool
) -> EventSet:
    shape = sensor or _measured(files)
    kept: list[_Found] = []
    skipped: list[str] = []

    def sound() -> Iterator[tuple[str, Numbers, Numbers]]:
        for found in _recordings(files):
            try:
                if isinstance(found.raw, DataError):
                    raise found.raw
                t, address = addressed(found.raw, shape, found.title)
            except DataError as error:
                if not skip_bad:
                    raise
                skipped.append(str(error))
                continue
            kept.append(found)
            yield found.title, t, address

    x = bin_recordings(sound(), binning, shape)
    if not kept:
        raise DataError(f"{path}: none of {len(skipped)} recordings can be used; the first: {skipped[0]}")
    testing = np.array([found.testing for found in kept])
    return EventSet(x, [found.label for found in kept], testing, tuple(skipped))


def _recordings(files: list[EventFile]) -> Iterator[_Found]:
    raw: RawEvents | DataError
    if files[0].kind == "hdf5":
        for file in files:
            for title, label, raw in read_hdf5(file.path):
                yield _Found(title, label, file.testing, raw)
        return
    for file, content in contents(files):
        try:
            raw = content if isinstance(content, DataError) else _PARSERS[file.kind](content, file.title)
        except DataError as error:
            raw = error
        yield _Found(file.title, file.label, file.testing, raw)


def _measured(files: list[EventFile]) -> tuple[int, ...]:
    """Find the smallest sensor that all recordings fit; a file that knows its camera's decides."""
    height = width = units = 0
    for found in _recordings(files):
        raw = found.raw
        if isinstance(raw, DataError) or not raw.t.size:
            continue  # complained about when it is read
        if raw.y is None:
            units = max(units, int(raw.x.max()) + 1)
            continue
        own = raw.sensor or (int(raw.y.max()) + 1, int(raw.x.max()) + 1)
        height, width = max(height, own[0]), max(width, own[1])
    return (units,) if units else (2, max(height, 1), max(width, 1))


def read_named(info: DatasetInfo, data_dir: Path | None, binning: Binning, *, skip_bad: bool) -> RawSet:
    """Read a set of recordings known by name.

    Raises
    ------
    DataError
        It is missing or damaged, or holds another class than the set has.
    """
    path = recordings_folder(info, data_dir)
    raw = labelled_set(info.name, read_event_set(path, binning, info.shape, skip_bad=skip_bad), None)
    if raw.classes > info.classes:
        raise DataError(f"{path}: holds a class {raw.classes - 1}; {info.name} has {info.classes} classes, from 0")
    return replace(raw, classes=info.classes)


def labelled_set(name: str, found: EventSet, classes: Sequence[str] | None) -> RawSet:
    """Make a set for training of recordings, every one of which has a label.

    Parameters
    ----------
    name
        What the set is called.
    found
        The recordings.
    classes
        Names of the classes in order; None: labels that are whole numbers are the classes, others are sorted.

    Raises
    ------
    DataError
        A recording without a label, or with one that is none of the classes.
    """
    names = classes if classes is not None else class_names(found.labels)
    y = numbered(found.labels, names, name)
    count = len(names) if names is not None else int(y.max()) + 1
    if y.max() >= count:
        raise DataError(f"{name}: a recording has the class {y.max()}, but {count} classes are named, from 0")
    train, test = np.flatnonzero(~found.testing), np.flatnonzero(found.testing)
    if not len(train) or not len(test):
        return RawSet(name, found.x, y, None, None, count, 1.0, found.skipped, _tuple(names))
    return RawSet(name, found.x[train], y[train], found.x[test], y[test], count, 1.0, found.skipped, _tuple(names))


def class_names(labels: Sequence[str | int | None]) -> list[str] | None:
    """Return the names of the classes, sorted; None where labels are numbers."""
    texts = {label for label in labels if isinstance(label, str)}
    return None if all(text.isascii() and text.isdecimal() for text in texts) else sorted(texts)


def numbered(labels: Sequence[str | int | None], names: Sequence[str] | None, where: str) -> Labels:
    """Return the numbers of labels among the classes; see `labelled_set`."""
    places = {name: number for number, name in enumerate(names or ())}
    numbers = []
    for label in labels:
        if label is None:
            raise DataError(f"{where}: a recording lies in no folder that names its class")
        if isinstance(label, str) and places:
            if label not in places:
                close = difflib.get_close_matches(label, places, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise DataError(f"{where}: {label!r} is none of the classes ({', '.join(places)}){hint}")
            numbers.append(places[label])
        else:
            numbers.append(_number(label, where))
    return np.array(numbers, np.int64)


def _number(label: str | int, where: str) -> int:
    if isinstance(label, str) and not (label.isascii() and label.isdecimal() and len(label) < 10):
        raise DataError(f"{where}: the folder {label!r} names no class; classes are whole numbers there")
    return int(label)


def _tuple(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)
