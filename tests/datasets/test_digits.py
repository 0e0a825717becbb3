import hashlib
from pathlib import Path

import numpy as np
import pytest

from datasets.builders import Request
from snnsim.datasets import info, load
from snnsim.datasets.digits import read_digits
from snnsim.datasets.locate import shipped
from snnsim.datasets.samples import as_values
from snnsim.errors import DataError


def test_sizes() -> None:
    """The 1,797 images are split into 1,437 (143 of them for validation) and 360, with 35 to 37 of each class."""
    digits = load(Request("digits"))

    assert (len(digits.train), len(digits.valid), len(digits.test)) == (1294, 143, 360)
    assert (digits.input_shape, digits.classes, digits.scale) == ((1, 8, 8), 10, 1 / 16)
    assert set(np.bincount(digits.test.y)) <= {35, 36, 37}
    assert sorted(np.concatenate([digits.train.index, digits.valid.index, digits.test.index])) == list(range(1797))


def test_values() -> None:
    """Pixels are whole numbers 0..16; the first rows are the published ones."""
    raw = read_digits()
    x = as_values(raw.x)

    assert raw.x.shape == (1797, 1, 8, 8)
    assert x.dtype == np.uint8
    assert (int(x.min()), int(x.max())) == (0, 16)
    assert x[0, 0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert raw.y[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert np.bincount(raw.y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_split_never_changes() -> None:
    """The rows of each part are those of the first release."""
    digits = load(Request("digits"))

    assert digits.test.index[:8].tolist() == [0, 1, 10, 11, 14, 16, 18, 21]
    assert digits.train.index[:8].tolist() == [663, 1765, 1310, 322, 640, 904, 1712, 926]
    assert digits.valid.index[:8].tolist() == [1466, 1046, 1474, 437, 405, 28, 1409, 1153]


def test_limit() -> None:
    """A limit holds for training and validation together, and for testing."""
    digits = load(Request("digits", limit=200))

    assert (len(digits.train), len(digits.valid), len(digits.test)) == (180, 20, 200)
    assert len(np.unique(digits.train.y)) == 10


def test_limit_of_one() -> None:
    """A limit that is too small is blamed on its key."""
    with pytest.raises(DataError) as caught:
        load(Request("digits", limit=1))

    assert caught.value.path == ("data", "limit")


def test_file_is_the_described_one() -> None:
    """The file that ships has the size and checksum that are told of it, and is small."""
    (described,) = info("digits").files
    content = (shipped() / described.name).read_bytes()

    assert (len(content), hashlib.sha256(content).hexdigest()) == (described.size, described.sha256)
    assert len(content) < 50_000


def test_note_names_origin_and_licence() -> None:
    """The note that ships beside the file names authors, licence and checksum."""
    note = Path(shipped() / "README.md").read_text(encoding="utf-8")

    for words in ("Alpaydin", "Kaynak", "CC BY 4.0", info("digits").files[0].sha256):
        assert words in note
