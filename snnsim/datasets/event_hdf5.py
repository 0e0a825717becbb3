"""Spiking Heidelberg Digits and Spiking Speech Commands: HDF5 files of spike times and units.

A file holds ``spikes/times`` (seconds, one array of its own length per recording), ``spikes/units`` (0 to 699) and
``labels`` [1]_. Times are rounded to microseconds.

References
----------
.. [1] Cramer, Stradmann, Schemmel & Zenke, The Heidelberg spiking data sets for the systematic evaluation of spiking
   neural networks, IEEE TNNLS 2020. doi:10.1109/TNNLS.2020.3044364
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from snnsim.datasets.event_formats import RawEvents
from snnsim.errors import DataError

UNITS = 700
FIELDS = ("spikes/times", "spikes/units", "labels")
MAGIC = b"\x89HDF\r\n\x1a\n"


def read_hdf5(path: Path) -> Iterator[tuple[str, int, RawEvents | DataError]]:
    """Read the recordings of a file one after another: title, label, and the events or what is wrong with them.

    Raises
    ------
    DataError
        The reader is not installed, the file is damaged, or fields are missing or differ in length.
    """
    try:
        import h5py
    except ImportError:
        raise DataError(f"{path}: HDF5 files need the extra 'events': pip install 'snnsim[events]'") from None
    try:
        with h5py.File(path, "r") as file:
            times, units, labels = (_field(file, name, path) for name in FIELDS)
            counts = [len(times), len(units), len(labels)]
            if len(set(counts)) > 1:
                said = ", ".join(f"{count} {name}" for count, name in zip(counts, FIELDS, strict=True))
                raise DataError(f"{path}: its fields differ in length ({said})")
            for row, label in enumerate(_labels(labels, path)):
                title = f"{path}: recording {row}"
                yield title, label, _recording(times, units, row, title)
    except OSError as error:
        raise DataError(f"{path}: damaged or not an HDF5 file ({error})") from None


def _field(file: Any, name: str, path: Path) -> Any:
    import h5py

    if not isinstance(file.get(name), h5py.Dataset):
        missing = [wanted for wanted in FIELDS if not isinstance(file.get(wanted), h5py.Dataset)]
        raise DataError(
            f"{path}: has no {' and no '.join(missing)} (found: {', '.join(file) or 'nothing'}); an SHD or SSC file "
            f"holds {', '.join(FIELDS)}"
        )
    return file[name]


def _labels(field: Any, path: Path) -> list[int]:
    labels = np.asarray(field[()])
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or (labels.size and labels.min() < 0):
        raise DataError(f"{path}: labels must be whole numbers from 0, one per recording")
    return [int(label) for label in labels]


def _recording(times: Any, units: Any, row: int, title: str) -> RawEvents | DataError:
    try:
        seconds, unit = np.asarray(times[row]), np.asarray(units[row])
    except (OSError, ValueError) as error:
        return DataError(f"{title}: cannot be read ({error})")
    if seconds.ndim != 1 or unit.shape != seconds.shape:
        return DataError(f"{title}: has {seconds.size} times for {unit.size} units")
    if seconds.dtype.kind not in "fiu" or unit.dtype.kind not in "iu":
        return DataError(f"{title}: times must be seconds and units whole numbers (got {seconds.dtype}, {unit.dtype})")
    if not np.isfinite(seconds).all():
        return DataError(f"{title}: record {int(np.argmin(np.isfinite(seconds)))} has a time that is not finite")
    microseconds = np.rint(seconds.astype(np.float64) * 1e6).astype(np.int64)
    return RawEvents(microseconds, unit.astype(np.int64), None, None)
