"""The formats of single recordings: N-MNIST's records, AEDAT4, and columns in ``.npz`` or CSV files."""

import csv
import io
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnsim.datasets.recordings import Numbers
from snnsim.errors import DataError

RECORD = 5  # bytes of an event in N-MNIST's files
COLUMNS = ("t", "x", "y", "p")
LATEST = 2**40  # microseconds, 12 days: later times are clock times, and would overflow when they are binned


@dataclass(frozen=True, eq=False)
class RawEvents:
    """Events of one recording, as recorded: times in microseconds, columns x, rows y and polarity bits p.

    ``y`` and ``p`` are None where units are numbered along x alone; ``sensor`` is what the file itself says about its
    sensor, (H, W).
    """

    t: Numbers
    x: Numbers
    y: Numbers | None
    p: Numbers | None
    sensor: tuple[int, int] | None = None


def parse_bin(content: bytes, title: str) -> RawEvents:
    """Read records of 5 bytes: x, y, then polarity in the top bit and 23 bits of microseconds, big-endian.

    Raises
    ------
    DataError
        The last record is cut short.
    """
    whole, rest = divmod(len(content), RECORD)
    if rest:
        raise DataError(
            f"{title}: record {whole} is truncated ({rest} of {RECORD} bytes); the file has {len(content)} bytes, "
            f"which must be a multiple of {RECORD}"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD).astype(np.int64)
    t = (records[:, 2] & 0x7F) << 16 | records[:, 3] << 8 | records[:, 4]
    return RawEvents(t, records[:, 0], records[:, 1], records[:, 2] >> 7)


def parse_npz(content: bytes, title: str) -> RawEvents:
    """Read arrays ``t``, ``x``, ``y``, ``p``, or the one structured array that has these fields; never Python objects.

    Raises
    ------
    DataError
        Damaged, or fields are missing.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays: dict[str, NDArray[Any]] = {name: archive[name] for name in archive.files}
    except Exception as error:  # damaged archives raise nearly anything
        raise DataError(f"{title}: not a readable .npz archive ({error})") from None
    structured = [array for array in arrays.values() if array.dtype.names and "t" in array.dtype.names]
    if "t" not in arrays and len(structured) == 1:
        (table,) = structured
        arrays = {name: table[name] for name in table.dtype.names or ()}
    return _from_columns(arrays, title)


def parse_csv(content: bytes, title: str) -> RawEvents:
    """Read comma-separated values under a header that names the columns ``t``, ``x``, ``y``, ``p`` in any order.

    Raises
    ------
    DataError
        Not text, columns are missing, or a value that is no number.
    """
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig")), strict=True)
        header = [name.strip() for name in next(lines, [])]
        wanted = {name: header.index(name) for name in COLUMNS if name in header}
        _require(wanted, header, title)
        rows = [[float(line[k]) for k in wanted.values()] for line in lines if line]
    except UnicodeDecodeError:
        raise DataError(f"{title}: not a text file in UTF-8") from None
    except (ValueError, IndexError, csv.Error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{title}: line {lines.line_num}: {_said(error)}") from None
    table = np.array(rows, np.float64).reshape(-1, len(wanted))
    return _from_columns({name: table[:, k] for k, name in enumerate(wanted)}, title)


def parse_aedat4(content: bytes, title: str) -> RawEvents:
    """Read an AEDAT4 file of a DV camera; its first event is time 0.

    Raises
    ------
    DataError
        The reader is not installed, or the file is damaged.
    """
    try:
        import aedat
    except ImportError:
        raise DataError(f"{title}: AEDAT4 files need the extra 'events': pip install 'snnsim[events]'") from None
    try:
        with tempfile.TemporaryDirectory() as folder:  # the reader takes paths alone
            path = Path(folder) / "recording.aedat4"
            path.write_bytes(content)
            decoder = aedat.Decoder(path)
            streams = [stream for stream in decoder.id_to_stream().values() if stream["type"] == "events"]
            packets = [packet["events"] for packet in decoder if "events" in packet]
    except Exception as error:  # the reader's errors have no common class
        raise DataError(f"{title}: damaged or not an AEDAT4 file ({error})") from None
    if not packets:
        raise DataError(f"{title}: holds no events")
    table = np.concatenate(packets)
    t = table["t"].astype(np.int64)
    sensor = (int(streams[0]["height"]), int(streams[0]["width"])) if streams else None
    x, y, on = (table[name].astype(np.int64) for name in ("x", "y", "on"))
    return RawEvents(t - t[0], x, y, on, sensor)


def addressed(raw: RawEvents, sensor: tuple[int, ...], title: str) -> tuple[Numbers, Numbers]:
    """Check a recording and return the times of its events and their addresses, row-major in ``sensor``.

    Raises
    ------
    DataError
        No events, times that are negative or go backwards, or coordinates outside the sensor; names the record.
    """
    check_times(raw.t, title)
    if raw.y is None or raw.p is None:
        if len(sensor) != 1:
            raise DataError(f"{title}: has units along x alone, the sensor {_shape(sensor)} has pixels")
        inside = (raw.x >= 0) & (raw.x < sensor[0])
        _require_inside(inside, title, lambda k: f"unit {raw.x[k]}", f"{sensor[0]} units")
        return raw.t, raw.x
    if len(sensor) != 3 or sensor[0] != 2:
        raise DataError(f"{title}: has pixels of two polarities, which make [2, H, W]; {_shape(sensor)} is wanted")
    _, height, width = sensor
    x, y = raw.x, raw.y
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    _require_inside(inside, title, lambda k: f"x {x[k]}, y {y[k]}", f"{width} x {height} pixels")
    p = (raw.p + 1) >> 1 if raw.p.min() == -1 and not (raw.p == 0).any() else raw.p
    bits = (p == 0) | (p == 1)
    if not bits.all():
        at = int(np.argmin(bits))
        raise DataError(f"{title}: record {at} has polarity {p[at]}; polarities must be 0 and 1, or -1 and 1")
    return raw.t, (p * height + y) * width + x


def check_times(t: Numbers, title: str) -> None:
    """Check that there are events, in the order of time, from 0.

    Raises
    ------
    DataError
        There are none, or a time is negative, absurdly late, or before that of the event before.
    """
    if not t.size:
        raise DataError(f"{title}: holds no events")
    falling = t[1:] < t[:-1]
    if falling.any():
        at = int(np.argmax(falling)) + 1
        raise DataError(
            f"{title}: record {at} goes backwards in time: {t[at]} microseconds after {t[at - 1]} of the record before"
        )
    if t[0] < 0 or t[-1] > LATEST:
        at = 0 if t[0] < 0 else int(np.argmax(t > LATEST))
        raise DataError(f"{title}: record {at} has the time {t[at]}; times are microseconds from the recording's start")


def _require_inside(inside: NDArray[np.bool_], title: str, say: Any, sensor: str) -> None:
    if not inside.all():
        at = int(np.argmin(inside))
        raise DataError(f"{title}: record {at} lies outside the sensor: {say(at)}, but the sensor has {sensor}")


def _from_columns(arrays: dict[str, NDArray[Any]], title: str) -> RawEvents:
    _require(arrays, arrays, title)
    columns = {name: _whole(arrays[name], name, title) for name in COLUMNS if name in arrays}
    lengths = {column.size for column in columns.values()}
    if len(lengths) > 1:
        raise DataError(f"{title}: its columns differ in length ({', '.join(map(str, sorted(lengths)))})")
    return RawEvents(columns["t"], columns["x"], columns.get("y"), columns.get("p"))


def _require(found: Iterable[str], names: Iterable[str], title: str) -> None:
    present = set(found)
    missing = [name for name in COLUMNS if name not in present]
    if missing and missing != ["y", "p"]:
        said = ", ".join(list(names)[:8]) or "nothing"
        raise DataError(
            f"{title}: has no {' and no '.join(missing)} (found: {said}); recordings have columns t (microseconds), x, "
            "y and p (polarity), or t and x"
        )


def _whole(column: NDArray[Any], name: str, title: str) -> Numbers:
    """Return a column as whole numbers."""
    if column.ndim != 1 or column.dtype.kind not in "biuf":
        raise DataError(
            f"{title}: {name} must be a column of numbers (got shape {_shape(column.shape)}, {column.dtype})"
        )
    if column.dtype.kind == "f":
        wrong = ~np.isfinite(column) | (np.abs(column) >= 2.0**53)
    else:
        wrong = column > np.iinfo(np.int64).max
    if column.dtype.kind == "f" and name != "t":
        wrong |= column != np.floor(column)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise DataError(f"{title}: record {at} has {name} = {column[at]}, which must be a whole number")
    return np.floor(column).astype(np.int64) if column.dtype.kind == "f" else column.astype(np.int64)


def _said(error: Exception) -> str:
    return "a column is missing" if isinstance(error, IndexError) else str(error)


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
