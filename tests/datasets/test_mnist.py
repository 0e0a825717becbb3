from pathlib import Path

import numpy as np
import pytest

from datasets.builders import IMAGES, LABELS, Request, small_set, write_files
from snnsim.datasets import load
from snnsim.errors import DataError


@pytest.mark.parametrize("gzipped", [False, True])
def test_small_set(tmp_path: Path, small_mnist: dict[str, bytes], gzipped: bool) -> None:
    """The four files, plain or gzipped, become a data set whose values are the bytes of the files."""
    write_files(tmp_path / "mnist", small_mnist, gzipped=gzipped)

    found = load(Request("mnist"), tmp_path)

    assert (found.name, found.input_shape, found.classes, found.scale) == ("mnist", (1, 4, 4), 10, 1 / 255)
    assert [len(found.train), len(found.valid), len(found.test)] == [45, 5, 20]
    assert found.test.values.tobytes() == small_mnist[IMAGES][16:]
    assert found.test.y.tolist() == list(small_mnist[LABELS][8:])
    assert found.test.index.tolist() == list(range(20))


def test_plain_and_gzipped_mixed(tmp_path: Path, small_mnist: dict[str, bytes]) -> None:
    """Each file may be plain or gzipped on its own."""
    write_files(tmp_path / "mnist", {IMAGES: small_mnist.pop(IMAGES)}, gzipped=False)
    write_files(tmp_path / "mnist", small_mnist)

    assert len(load(Request("mnist"), tmp_path).test) == 20


def test_other_set_under_the_name(tmp_path: Path, small_mnist: dict[str, bytes]) -> None:
    """A file that is whole but of another set is refused by its checksum."""
    write_files(tmp_path / "mnist", small_mnist)
    changed = bytearray(small_mnist[LABELS])
    changed[-1] ^= 1
    write_files(tmp_path / "mnist", {LABELS: bytes(changed)})

    with pytest.raises(DataError, match=rf"{LABELS}.gz: the content is not that of mnist") as caught:
        load(Request("mnist"), tmp_path)

    assert caught.value.path == ("data", "name")


def test_truncated_file(tmp_path: Path, small_mnist: dict[str, bytes]) -> None:
    """A file that is cut short is named, with the sizes expected and found."""
    write_files(tmp_path / "mnist", small_mnist)
    path = tmp_path / "mnist" / f"{IMAGES}.gz"
    path.write_bytes(path.read_bytes()[:-40])

    with pytest.raises(DataError, match=rf"{IMAGES}.gz: damaged, .*336 bytes expected .*for 20x4x4 values"):
        load(Request("mnist"), tmp_path)


def test_fashion_mnist_has_a_folder_of_its_own(tmp_path: Path, small_mnist: dict[str, bytes]) -> None:
    """MNIST's folder is never taken for that of Fashion-MNIST."""
    write_files(tmp_path / "mnist", small_mnist)

    with pytest.raises(DataError, match="the data set 'fashion-mnist' is not on this machine"):
        load(Request("fashion-mnist"), tmp_path)


def test_small_set_is_like_the_real_one() -> None:
    """The set made for tests keeps the names of the genuine files."""
    assert list(small_set()[1]) == [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ]


@pytest.mark.parametrize(("name", "mean"), [("mnist", 0.1307), ("fashion-mnist", 0.2860)])
def test_genuine_sets(real_data: Path, name: str, mean: float) -> None:
    """The genuine sets have the published sizes, and the published mean over all training pixels."""
    found = load(Request(name), real_data)

    assert [len(found.train), len(found.valid), len(found.test)] == [54000, 6000, 10000]
    assert found.train.x.shape[1:] == found.input_shape == (1, 28, 28)
    assert found.train.values.dtype == np.uint8
    total = int(found.train.values.sum(dtype=np.int64)) + int(found.valid.values.sum(dtype=np.int64))
    assert round(total * found.scale / (60000 * 784), 4) == mean
    assert np.bincount(found.test.y, minlength=10).sum() == 10000
