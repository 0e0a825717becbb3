import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from datasets.builders import Request
from snnsim.datasets import from_arrays, load
from snnsim.errors import DataError

X = np.linspace(0, 1, 40 * 6, dtype=np.float32).reshape(40, 6)
Y = np.arange(40) % 4


def saved(tmp_path: Path, **arrays: Any) -> Path:
    path = tmp_path / "own.npz"
    np.savez(path, **arrays)
    return path


def test_npz(tmp_path: Path) -> None:
    """A file with x and y is split; floats are kept as float32 and seen unscaled."""
    found = load(Request(npz=saved(tmp_path, x=X.astype(np.float64), y=Y)))

    assert (found.name, found.classes, found.input_shape, found.scale) == ("own.npz", 4, (6,), 1.0)
    assert [len(found.train), len(found.valid), len(found.test)] == [29, 3, 8]
    assert found.train.values.dtype == np.float32
    assert found.train.y.dtype == np.int64
    np.testing.assert_array_equal(found.test.x, X[found.test.index])


def test_npz_with_test_part(tmp_path: Path) -> None:
    """A test part in the file is used as it is."""
    path = saved(tmp_path, x=X, y=Y, x_test=X[:5] / 2, y_test=Y[:5])

    found = load(Request(npz=str(path)))

    assert len(found.train) + len(found.valid) == 40
    np.testing.assert_array_equal(found.test.x, X[:5] / 2)


def test_npz_and_arrays_agree(tmp_path: Path) -> None:
    """The same arrays give the same parts from Python and from a file."""
    file = load(Request(npz=saved(tmp_path, x=X, y=Y), limit=20))
    arrays = from_arrays(X, Y, limit=20)

    for part in ("train", "valid", "test"):
        np.testing.assert_array_equal(getattr(file, part).index, getattr(arrays, part).index)
        np.testing.assert_array_equal(getattr(file, part).x, getattr(arrays, part).x)


@pytest.mark.parametrize("y", [X[:, 0], X[:, :1], X[:, :3], X[:, :3].astype(np.float64)], ids=lambda y: str(y.shape))
def test_values_as_targets(y: Any) -> None:
    """Values [N] or [N, K] are kept as float32 [N, K]; they have no classes, and the split is that of one class."""
    found = from_arrays(X, y, targets="values")
    like = from_arrays(X, np.zeros(40, int))

    assert found.classes == y.size // 40
    for part in ("train", "valid", "test"):
        samples = getattr(found, part)
        assert samples.is_regression
        assert samples.y.dtype == np.float32
        np.testing.assert_array_equal(samples.index, getattr(like, part).index)
        np.testing.assert_array_equal(samples.y, y.reshape(40, -1).astype(np.float32)[samples.index])


def test_what_targets_are() -> None:
    """By default classes; None tells by the type; integers can be values where that is said."""
    assert not from_arrays(X, Y.astype(np.float64)).train.is_regression
    assert from_arrays(X, Y.astype(np.float64), targets=None).train.is_regression
    assert not from_arrays(X, Y, targets=None).train.is_regression
    assert from_arrays(X, Y, targets="values").train.is_regression
    with pytest.raises(DataError, match=r"^y\[0\] is 0.*; for a regression take train.loss=mse"):
        from_arrays(X, X[:, 1])


def test_bytes_stay_bytes() -> None:
    """uint8 values are neither copied into floats nor changed; their scale is 1/255."""
    found = from_arrays(np.arange(240, dtype=np.uint8).reshape(40, 6), Y)

    assert found.train.values.dtype == np.uint8
    assert found.scale == 1 / 255


@pytest.mark.parametrize(("given", "kept"), [((40, 6), (6,)), ((40, 2, 3), (1, 2, 3)), ((40, 3, 1, 2), (3, 1, 2))])
def test_shapes(given: tuple[int, ...], kept: tuple[int, ...]) -> None:
    """Flat samples stay flat, images without channels get one."""
    assert from_arrays(X.reshape(given), Y).input_shape == kept


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.uint64, np.float32, object])
def test_label_types(dtype: type) -> None:
    """Labels may be of any numeric type, as long as they are whole numbers; objects are refused."""
    y: NDArray[Any] = (np.arange(40) % 2).astype(dtype)
    if dtype is object:
        with pytest.raises(DataError, match=r"^y: must be whole numbers 0..K-1 \(got object\)"):
            from_arrays(X, y)
    else:
        assert from_arrays(X, y).classes == 2


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(dtype: type, value: float) -> None:
    """NaN and infinity are refused, with the array and the first place that has one."""
    x: NDArray[Any] = X.astype(dtype)
    x[7, 3] = x[9, 0] = value

    with pytest.raises(DataError, match=rf"^x\[7, 3\] is {value}; values must be finite"):
        from_arrays(x, Y)


def test_not_finite_in_a_large_array(monkeypatch: pytest.MonkeyPatch) -> None:
    """The place is right also where the array is looked at piece by piece; a channel added is not counted."""
    monkeypatch.setattr("snnsim.datasets.arrays._CHUNK", 10)
    x = X.reshape(40, 2, 3).copy()
    x[33, 1, 2] = np.nan

    with pytest.raises(DataError, match=r"^x\[33, 1, 2\] is nan"):
        from_arrays(x, Y)


def test_too_large_for_float32() -> None:
    """A double that would become infinite is refused with its value."""
    x = X.astype(np.float64)
    x[0, 1] = 1e300

    with pytest.raises(DataError, match=r"^x\[0, 1\] is 1e\+300; values must be finite 32-bit numbers"):
        from_arrays(x, Y)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X.astype(np.int32), r"^x: must be uint8 or floats \(got int32\)"),
        (X.astype(complex), r"^x: must be uint8 or floats \(got complex128\)"),
        (X.astype(str), r"^x: must be uint8 or floats"),
        (X[:, 0], r"^x: must be \[N, F\], .* \(got shape \[40\]\)"),
        (X.reshape(40, 1, 1, 2, 3), r"^x: must be \[N, F\]"),
        (X[:, :0], r"^x: holds no values"),
        (X[:0], r"^x: holds no values"),
        (X[:39], r"^y: 40 labels for 39 samples"),
    ],
)
def test_unfit_values(x: Any, message: str) -> None:
    """Values of a wrong type, shape or number are refused with what was found."""
    with pytest.raises(DataError, match=message):
        from_arrays(x, Y)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (-1, r"^y\[5\] is -1.0; labels must be whole numbers 0..K-1"),
        (0.5, r"^y\[5\] is 0.5; labels"),
        (np.nan, r"^y\[5\] is nan; labels"),
        (np.inf, r"^y\[5\] is inf; labels"),
        (2.0**40, r"^y\[5\] is 10"),
    ],
)
def test_wrong_label(wrong: float, message: str) -> None:
    """The first label that is no whole number from 0 is named."""
    y = Y.astype(np.float64)
    y[5] = y[8] = wrong

    with pytest.raises(DataError, match=message):
        from_arrays(X, y)


@pytest.mark.parametrize("y", [np.eye(4)[Y], np.array(0)])
def test_labels_of_wrong_shape(y: Any) -> None:
    """One-hot labels and a single number are refused."""
    with pytest.raises(DataError, match=r"^y: must be one class per sample, \[N\]"):
        from_arrays(X, y)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ({"x_test": X}, "^x_test is given without y_test"),
        ({"y_test": Y}, "^y_test is given without x_test"),
        ({"x_test": X[:, :5], "y_test": Y}, r"^x_test: samples have shape \[5\], those of x \[6\]"),
        ({"x_test": X.astype(np.uint8), "y_test": Y}, "^x_test: is uint8 and x is float32"),
        ({"x_test": X, "y_test": Y + 3}, r"^y_test\[1\] is 4, but the labels in y go from 0 to 3"),
        ({"x_test": X * np.nan, "y_test": Y}, r"^x_test\[0, 0\] is nan"),
    ],
)
def test_unfit_test_part(test: dict[str, Any], message: str) -> None:
    """A test part must be whole and like the rest."""
    with pytest.raises(DataError, match=message):
        from_arrays(X, Y, **test)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": X, "y": Y}, r"own.npz: no array is called 'x' \(found: x_train, y\)"),
        ({"x": X}, "own.npz: x is given without y"),
        ({"x": X * np.nan, "y": Y}, r"own.npz: x\[0, 0\] is nan"),
        ({"x": X, "y": Y.astype(object)}, "own.npz: damaged or not readable .*allow_pickle=False"),
    ],
)
def test_unfit_file(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    """Faults of a file begin with its name and carry the key of the configuration that named it."""
    with pytest.raises(DataError, match=message) as caught:
        load(Request(npz=saved(tmp_path, **arrays)))

    assert caught.value.path == ("data", "npz")


def test_other_arrays_are_never_read(tmp_path: Path) -> None:
    """What else a file holds, even Python objects, does not matter."""
    assert load(Request(npz=saved(tmp_path, x=X, y=Y, notes=np.array({"a": 1})))).classes == 4


def test_file_that_is_no_archive(tmp_path: Path) -> None:
    """A missing file, a folder, text, a bare array and a foreign archive are each told apart."""
    bare, text, foreign = tmp_path / "bare.npy", tmp_path / "text.npz", tmp_path / "foreign.zip"
    np.save(bare, X)
    text.write_text("x,y\n1,2\n")
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("Train/0/1.bin", b"12345")

    for path, message in (
        (tmp_path / "none.npz", r"none.npz: cannot be read \(No such file"),
        (tmp_path, "cannot be read"),
        (bare, "bare.npy: not an .npz archive"),
        (text, "text.npz: not an .npz archive"),
        (foreign, r"foreign.zip: no array is called 'x' \(found: Train/0/1.bin\)"),
    ):
        with pytest.raises(DataError, match=message):
            load(Request(npz=path))


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    """An archive that is cut short anywhere is refused with its name."""
    whole = saved(tmp_path, x=X[:10], y=Y[:10]).read_bytes()
    path = tmp_path / "cut.npz"

    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut\.npz: "):
            load(Request(npz=path))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_flipped_bits_never_give_other_values(tmp_path: Path, save: Any) -> None:
    """A flipped bit gives a clear error or, in a part of the archive that does not matter, the same data."""
    save(tmp_path / "own.npz", x=X[:10], y=Y[:10])
    whole = (tmp_path / "own.npz").read_bytes()
    expected = load(Request(npz=tmp_path / "own.npz")).train
    path = tmp_path / "flipped.npz"

    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        try:
            found = load(Request(npz=path)).train
        except DataError as error:
            assert "flipped.npz: " in str(error)  # noqa: PT017
        else:
            np.testing.assert_array_equal(found.x, expected.x)
            np.testing.assert_array_equal(found.y, expected.y)
