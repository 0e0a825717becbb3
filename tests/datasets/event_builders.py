"""Small recordings of every format, made from scratch."""

import struct
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

Event = tuple[int, int, int, int]  # t, x, y, p


def bin_bytes(events: Iterable[Event]) -> bytes:
    """Write N-MNIST's records, straight from their description."""
    return b"".join(bytes([x, y, p << 7 | t >> 16]) + (t & 0xFFFF).to_bytes(2, "big") for t, x, y, p in events)


def some_events(seed: int, count: int = 30, side: int = 34, duration: int = 5000) -> list[Event]:
    """Draw events at random, in the order of time."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, duration, count))
    x, y, p = rng.integers(0, side, count), rng.integers(0, side, count), rng.integers(0, 2, count)
    return [(int(a), int(b), int(c), int(d)) for a, b, c, d in zip(t, x, y, p, strict=True)]


def bin_members(labels: int = 2, each: int = 10, part: str = "Train") -> dict[str, bytes]:
    """Make recordings ``Train/<label>/<id>.bin``; those of a label keep to columns of their own."""
    members = {}
    for label in range(labels):
        for k in range(each):
            events = [(t, 5 * label + x % 5, y, p) for t, x, y, p in some_events(100 * label + k)]
            members[f"{part}/{label}/{k:05}.bin"] = bin_bytes(events)
    return members


def write_members(folder: Path, members: Mapping[str, bytes]) -> Path:
    """Write files below a folder."""
    for name, content in members.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_zip(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write files into a zip archive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_hdf5(
    path: Path,
    times: Sequence[Sequence[float]],
    units: Sequence[Sequence[int]],
    labels: Sequence[int],
    leave_out: Sequence[str] = (),
) -> Path:
    """Write a file as the Heidelberg sets have them: ragged times (float16, seconds) and units, and labels."""
    import h5py

    columns = (("spikes/times", times, np.float16), ("spikes/units", units, np.uint16))
    with h5py.File(path, "w") as file:
        for name, rows, dtype in columns:
            if name not in leave_out:
                field = file.create_dataset(name, (len(rows),), h5py.vlen_dtype(dtype))
                for k, row in enumerate(rows):
                    field[k] = np.array(row, dtype)
        if "labels" not in leave_out:
            file["labels"] = np.array(labels, np.uint16)
    return path


def some_hdf5(path: Path, labels: int = 2, each: int = 10, units: int = 700) -> Path:
    """Write recordings of which the label can be told by their units."""
    rng = np.random.default_rng(0)
    y = [k % labels for k in range(labels * each)]
    times = [np.sort(rng.integers(0, 800, 20)) / 1000 for _ in y]
    drawn = [rng.integers(0, units // labels, 20) + label * (units // labels) for label in y]
    return write_hdf5(path, [row.tolist() for row in times], [row.tolist() for row in drawn], y)


_DESCRIPTION = """<dv version="2.0"><node name="outInfo"><node name="0">
<attr key="typeIdentifier" type="string">EVTS</attr><node name="info">
<attr key="sizeX" type="int">{width}</attr><attr key="sizeY" type="int">{height}</attr>
</node></node></node></dv>"""


def aedat4_bytes(events: Sequence[Event], width: int, height: int) -> bytes:
    """Write an uncompressed AEDAT4 file of one packet: flatbuffers, laid out by hand."""
    text = _DESCRIPTION.format(width=width, height=height).encode()
    # root offset, identifier, vtable (sizes, then offsets of three fields), table (to vtable, to string), string
    header = struct.pack("<I4s5H2xiI", 20, b"IOHE", 10, 8, 0, 0, 4, 12, 4) + struct.pack("<I", len(text)) + text + b"\0"
    rows = b"".join(struct.pack("<qhh?3x", t, x, y, bool(p)) for t, x, y, p in events)
    # root offset, identifier, vtable of one field, table (to vtable, to vector), vector
    packet = struct.pack("<I4s3H2xiI", 16, b"EVTS", 6, 8, 4, 8, 4) + struct.pack("<I", len(events)) + rows
    sized = struct.pack("<I", len(packet)) + packet
    return b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(header)) + header + struct.pack("<II", 0, len(sized)) + sized
