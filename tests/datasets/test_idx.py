import gzip
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from datasets.builders import CODES, idx_bytes
from snnsim.datasets.catalog import DataFile
from snnsim.datasets.idx import dimensions, read_idx, read_verified
from snnsim.errors import DataError

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)  # in IDX: 16 bytes of header, 24 of values


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "images"
    path.write_bytes(content)
    return path


@settings(deadline=None)
@given(
    st.sampled_from(sorted(CODES)).flatmap(
        lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
    ),
    st.booleans(),
)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, array: NDArray[Any], gzipped: bool) -> None:
    """Whatever the format can hold comes back with its type, shape and bits, plain or gzipped."""
    content = idx_bytes(array)
    path = written(tmp_path_factory.mktemp("idx"), gzip.compress(content) if gzipped else content)

    found = read_idx(path)

    assert found.shape == array.shape
    assert found.dtype.newbyteorder("=") == array.dtype
    assert found.astype(array.dtype).tobytes() == array.tobytes()
    assert dimensions(path) == array.ndim


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize(("change", "found"), [(slice(0, -1), 39), (slice(0, 16), 16), (slice(0, 9), 9)])
def test_too_short(tmp_path: Path, gzipped: bool, change: slice, found: int) -> None:
    """A file that lacks bytes is named, with the sizes expected and found."""
    content = idx_bytes(IMAGES)[change]
    path = written(tmp_path, gzip.compress(content) if gzipped else content)

    with pytest.raises(DataError, match=rf"images: damaged: \d+ bytes expected .*, {found} found"):
        read_idx(path)


@pytest.mark.parametrize("gzipped", [False, True])
def test_trailing_bytes(tmp_path: Path, gzipped: bool) -> None:
    """A file with more bytes than its header says is refused."""
    content = idx_bytes(IMAGES) + b"\0"
    path = written(tmp_path, gzip.compress(content) if gzipped else content)

    with pytest.raises(DataError, match=r"40 bytes expected \(uncompressed, for 2x3x4 values\), 41 found"):
        read_idx(path)


def test_every_truncation_of_a_gzipped_file(tmp_path: Path) -> None:
    """Wherever a gzipped file is cut off, the message names it; from the header on, with both sizes."""
    rng = np.random.default_rng(0)
    packed = gzip.compress(idx_bytes(rng.integers(0, 256, (5, 6, 7), dtype=np.uint8)))

    for length in range(len(packed)):
        with pytest.raises(DataError, match="images: ") as caught:
            read_idx(written(tmp_path, packed[:length]))
        if length > 100:
            assert "end early: 226 bytes expected" in str(caught.value)


def test_bytes_after_a_gzipped_file(tmp_path: Path) -> None:
    """Garbage after the compressed data is refused."""
    path = written(tmp_path, gzip.compress(idx_bytes(IMAGES)) + b"garbage")

    with pytest.raises(DataError, match="the compressed data are corrupt"):
        read_idx(path)


@pytest.mark.parametrize("gzipped", [False, True])
def test_no_flipped_bit_goes_unnoticed(tmp_path: Path, gzipped: bool) -> None:
    """A set's file with any one bit flipped gives an error or, where gzip does not care, the right values."""
    content = idx_bytes(IMAGES)
    expected = DataFile("images", len(content), hashlib.sha256(content).hexdigest())
    stored = gzip.compress(content) if gzipped else content
    assert (read_verified(written(tmp_path, stored), expected, "mnist") == IMAGES).all()

    for bit in range(8 * len(stored)):
        flipped = bytearray(stored)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            assert (read_verified(written(tmp_path, bytes(flipped)), expected, "mnist") == IMAGES).all()
        except DataError as error:
            assert str(tmp_path / "images") in str(error)  # noqa: PT017


def test_wrong_content_says_what_differs(tmp_path: Path) -> None:
    """A whole file with other content is told by its checksum, with the command that mends it."""
    path = written(tmp_path, idx_bytes(IMAGES))

    with pytest.raises(DataError, match=r"not that of mnist .*sha256 .*expected: 40 .*snnsim data fetch mnist"):
        read_verified(path, DataFile("images", 40, "0" * 64), "mnist")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file: it is empty"),
        (b"\x89PNG\r\n", "not an IDX file: it begins with 89 50 4e 47"),
        (b"\0\0\x08", "not an IDX file: it begins with 00 00 08"),
        (b"\0\0\x07\x03" + bytes(12), "not an IDX file"),
        (b"\0\0\x08\0", "not an IDX file"),
        (b"\x1f\x8b\x08\0", "not an IDX file: the compressed data end early"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "bytes expected"),
    ],
)
def test_not_an_idx_file(tmp_path: Path, content: bytes, message: str) -> None:
    """What does not begin as the format asks, or announces absurd sizes, is refused at once."""
    path = written(tmp_path, content)

    with pytest.raises(DataError, match=message):
        read_idx(path)


def test_unreadable(tmp_path: Path) -> None:
    """A file that is missing, and a folder in its place, are named."""
    with pytest.raises(DataError, match=r"nothing: cannot be read \(No such file"):
        read_idx(tmp_path / "nothing")
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        dimensions(tmp_path / "nothing")
