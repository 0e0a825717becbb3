"""The IDX format of MNIST, plain or gzipped.

A file is: two zero bytes, a code of the values' type, the number of dimensions, each dimension as a
big-endian 32-bit number, then the values in row-major order, big-endian.
"""

import gzip
import hashlib
import io
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnsim.datasets.catalog import DataFile
from snnsim.errors import DataError

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CHUNK = 1 << 20


def read_idx(path: Path) -> NDArray[Any]:
    """Read the array of an IDX file.

    Raises
    ------
    DataError
        The file cannot be read, is no IDX file, or is longer or shorter than its header says.
    """
    return _parse(*_read_file(path), path)


def read_verified(path: Path, expected: DataFile, set_name: str) -> NDArray[Any]:
    """Read a file of a set known by name, whose uncompressed content must be exactly the published one.

    Raises
    ------
    DataError
        As `read_idx`; or the content differs.
    """
    content, fault = _read_file(path)
    array = _parse(content, fault, path)
    difference = _difference(content, expected)
    if difference:
        raise DataError(
            f"{path}: the content is not that of {set_name} ({difference}); the file is damaged or of "
            f"another set: replace it, or run `snnsim data fetch {set_name}`"
        )
    return array


def content_fault(packed: bytes, expected: DataFile) -> str:
    """Tell what is wrong with a file's bytes, plain or gzipped; empty where the content is right."""
    content, fault = _read_stream(io.BytesIO(packed))
    if fault:
        return f"damaged, {fault}"
    difference = _difference(content, expected)
    return f"wrong content ({difference})" if difference else ""


def dimensions(path: Path) -> int:
    """Tell the number of dimensions of an IDX file from its first bytes; 0 if it is not one.

    Raises
    ------
    DataError
        The file cannot be read.
    """
    try:
        with path.open("rb") as file, _plain(file) as stream:
            head = stream.read(4)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return 0
    except OSError as error:
        raise _unreadable(path, error) from None
    return head[3] if _is_magic(head) else 0


def _difference(content: bytearray, expected: DataFile) -> str:
    found = hashlib.sha256(content).hexdigest()
    if found == expected.sha256:
        return ""
    return (
        f"uncompressed: {len(content)} bytes with sha256 {found}; "
        f"expected: {expected.size} bytes with sha256 {expected.sha256}"
    )


def _is_magic(head: bytes) -> bool:
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in _TYPES and head[3] > 0


def _plain(file: io.BufferedIOBase) -> io.BufferedIOBase:
    """Unpack on the fly if the file is gzipped."""
    gzipped = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if gzipped else file


def _read_file(path: Path) -> tuple[bytearray, str]:
    try:
        with path.open("rb") as file:
            return _read_stream(file)
    except OSError as error:
        raise _unreadable(path, error) from None


def _read_stream(file: io.BufferedIOBase) -> tuple[bytearray, str]:
    """Read the uncompressed content as far as it goes, and what stopped it, if anything."""
    content = bytearray()
    try:
        with _plain(file) as stream:
            while chunk := stream.read1(_CHUNK):  # read() would drop what precedes a fault
                content += chunk
    except EOFError:
        return content, "the compressed data end early"
    except (zlib.error, gzip.BadGzipFile) as error:
        return content, f"the compressed data are corrupt ({error})"
    return content, ""


def _parse(content: bytearray, fault: str, path: Path) -> NDArray[Any]:
    if not _is_magic(bytes(content[:4])):
        reason = fault or (f"it begins with {content[:4].hex(' ')}" if content else "it is empty")
        raise DataError(f"{path}: not an IDX file: {reason} (an image file begins with 00 00 08 03)")
    dtype, ndim = np.dtype(_TYPES[content[2]]), content[3]
    start = 4 + 4 * ndim
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    expected = start + math.prod(shape) * dtype.itemsize
    if fault or len(content) != expected or len(content) < start:
        size = "x".join(map(str, shape))
        raise DataError(
            f"{path}: damaged{', ' * bool(fault)}{fault}: {expected} bytes expected (uncompressed, "
            f"for {size} values), {len(content)} found; fetch or copy the file again"
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape)


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path}: cannot be read ({error.strerror or error})")
