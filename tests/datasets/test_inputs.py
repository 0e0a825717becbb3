from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets.builders import IMAGES, LABELS, Request, idx_bytes, images_and_labels, write_files
from snnsim.datasets import load, load_inputs, load_test
from snnsim.errors import DataError

X, Y = images_and_labels(20)
FILES = {IMAGES: idx_bytes(X), LABELS: idx_bytes(Y)}
FLAT = (16,)
IMAGE = (1, 4, 4)


def saved(path: Path, **arrays: Any) -> str:
    with path.open("wb") as file:
        np.savez(file, **arrays)
    return str(path)


def test_digits_by_name() -> None:
    """A set's name means its test part, with the same rows, values and scale as in training."""
    expected = load(Request("digits"))

    samples, scale = load_test("digits", None, (1, 8, 8))

    np.testing.assert_array_equal(samples.x, expected.test.x)
    np.testing.assert_array_equal(samples.y, expected.test.y)
    np.testing.assert_array_equal(samples.index, expected.test.index)
    assert scale == expected.scale


def test_limit_by_name() -> None:
    """A limit chooses the samples that a configuration with that limit would test on."""
    samples, _ = load_test("digits", None, (64,), limit=50)

    np.testing.assert_array_equal(samples.index, load(Request("digits", limit=50)).test.index)
    assert samples.x.shape == (50, 64)


def test_mnist_by_name_needs_its_test_files_only(tmp_path: Path, small_mnist: dict[str, bytes]) -> None:
    """The test part is read without the training files."""
    write_files(tmp_path / "mnist", {name: small_mnist[name] for name in (IMAGES, LABELS)})

    samples, scale = load_test("mnist", tmp_path, IMAGE)

    assert samples.values.tobytes() == small_mnist[IMAGES][16:]
    assert samples.index.tolist() == list(range(20))
    assert scale == 1 / 255


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("whole_folder", [False, True])
def test_idx(tmp_path: Path, gzipped: bool, whole_folder: bool) -> None:
    """IDX images are taken with the labels beside them, whether the file or its folder is named."""
    write_files(tmp_path, FILES, gzipped=gzipped)
    where = tmp_path if whole_folder else tmp_path / (f"{IMAGES}.gz" if gzipped else IMAGES)

    samples, scale = load_test(str(where), None, IMAGE)

    np.testing.assert_array_equal(samples.values[:, 0], X)
    np.testing.assert_array_equal(samples.y, Y)
    assert scale == 1 / 255


def test_whole_folder_of_a_set(tmp_path: Path, small_mnist: dict[str, bytes]) -> None:
    """In a folder with training and test files the test part is meant; plain and gzipped copies are one file."""
    write_files(tmp_path, small_mnist)
    write_files(tmp_path, small_mnist, gzipped=False)

    samples, _ = load_test(str(tmp_path), None, IMAGE)

    assert samples.values.tobytes() == small_mnist[IMAGES][16:]


def test_content_counts_not_names(tmp_path: Path) -> None:
    """Files are recognised by what is in them, whatever they are called."""
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    (folder / "pictures.zip").write_bytes(idx_bytes(X))
    (folder / "answers.txt").write_bytes(idx_bytes(Y))
    (folder / "notes").write_text("none")
    archive = saved(tmp_path / "archive.gz", x=X, y=Y)

    for where in (str(folder), archive):
        samples, _ = load_test(where, None, IMAGE)
        np.testing.assert_array_equal(samples.values[:, 0], X)
        np.testing.assert_array_equal(samples.y, Y)


def test_npz_is_all_of_it(tmp_path: Path) -> None:
    """All rows of x are taken, in their order; a test part in the file goes before."""
    samples, scale = load_test(saved(tmp_path / "a.npz", x=X / 255, y=Y), None, IMAGE)
    assert samples.index.tolist() == list(range(20))
    assert samples.values.dtype == np.float32
    assert scale == 1.0

    samples, _ = load_test(saved(tmp_path / "b.npz", x=X, y=Y, x_test=X[:7], y_test=Y[:7]), None, IMAGE)
    np.testing.assert_array_equal(samples.values[:, 0], X[:7])


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((20, 16), IMAGE),
        ((20, 4, 4), FLAT),
        ((20, 4, 4), IMAGE),
        ((20, 1, 4, 4), FLAT),
        ((20, 4, 2, 2), FLAT),
        ((20, 16), FLAT),
    ],
)
def test_shape_is_fitted(tmp_path: Path, given: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Flat samples and images of the same size are brought into the network's shape, row-major."""
    found = load_inputs(saved(tmp_path / "x.npz", x=X.reshape(given)), None, wanted)

    assert found.x.shape == (20, *wanted)
    assert found.values.tobytes() == X.tobytes()


@pytest.mark.parametrize(("given", "wanted"), [((20, 4, 4), (15,)), ((20, 4, 4), (4, 2, 2)), ((20, 16), (1, 4, 5))])
def test_shape_that_does_not_fit(tmp_path: Path, given: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Another number of values, or images of another form, are refused with both shapes."""
    with pytest.raises(DataError, match=rf"x.npz: samples have shape .*, the network takes \[{wanted[0]}"):
        load_inputs(saved(tmp_path / "x.npz", x=X.reshape(given)), None, wanted)


def test_without_labels(tmp_path: Path) -> None:
    """Predictions need no labels; a test does."""
    (tmp_path / "pictures").write_bytes(idx_bytes(X))

    for where in (saved(tmp_path / "x.npz", x=X), str(tmp_path / "pictures")):
        assert load_inputs(where, None, FLAT).y is None
        with pytest.raises(DataError, match="has no labels"):
            load_test(where, None, FLAT)


def test_labels_in_place_of_images(tmp_path: Path) -> None:
    """The file of the labels is not taken for images."""
    write_files(tmp_path, FILES)

    with pytest.raises(DataError, match=r"labels-idx1-ubyte.gz: holds labels .*name the file of the images"):
        load_inputs(str(tmp_path / f"{LABELS}.gz"), None, IMAGE)


def test_labels_that_do_not_fit(tmp_path: Path) -> None:
    """Labels of another number than the images are refused."""
    write_files(tmp_path, {**FILES, LABELS: idx_bytes(Y[:-1])})

    with pytest.raises(DataError, match="19 labels for 20 samples"):
        load_test(str(tmp_path), None, IMAGE)


def test_damaged_images(tmp_path: Path) -> None:
    """A damaged file is told as such, not as one of unknown kind."""
    (tmp_path / IMAGES).write_bytes(FILES[IMAGES][:-1])

    with pytest.raises(DataError, match=f"{IMAGES}: damaged: 336 bytes expected"):
        load_inputs(str(tmp_path / IMAGES), None, IMAGE)


def test_folder_without_clear_images(tmp_path: Path) -> None:
    """A folder with no images, or with several of equal right, is refused with what it holds."""
    with pytest.raises(DataError, match=r"must hold one IDX file of images.*\(found: none\)"):
        load_inputs(str(tmp_path), None, IMAGE)

    write_files(tmp_path, {"a": idx_bytes(X), "b": idx_bytes(X)})
    with pytest.raises(DataError, match=r"\(found: a.gz, b.gz\)"):
        load_inputs(str(tmp_path), None, IMAGE)


def test_unknown(tmp_path: Path) -> None:
    """Neither a name nor a path, and a file of another kind, are refused."""
    text = tmp_path / "x.csv"
    text.write_text("1,2,3\n")

    with pytest.raises(DataError, match=r"mnits: neither a file or folder, nor a data set \(digits, mnist"):
        load_inputs("mnits", None, IMAGE)
    with pytest.raises(DataError, match=r"x\.csv: neither recordings, nor an \.npz archive, nor an IDX file"):
        load_inputs(str(text), None, IMAGE)


def test_genuine_file(real_data: Path) -> None:
    """MNIST's own test files give the same samples by name, by file and by folder."""
    by_name, scale = load_test("mnist", real_data, (784,))

    assert scale == 1 / 255
    for where in (real_data / "mnist", real_data / "mnist" / "t10k-images-idx3-ubyte.gz"):
        samples, _ = load_test(str(where), None, (784,))
        np.testing.assert_array_equal(samples.x, by_name.x)
        np.testing.assert_array_equal(samples.y, by_name.y)
        np.testing.assert_array_equal(samples.index, by_name.index)
