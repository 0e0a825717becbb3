"""Own arrays: from Python, or from an ``.npz`` file with ``x``, ``y`` and optionally ``x_test``, ``y_test``.

Accepted are x [N, F], [N, H, W] (one channel is added) or [N, C, H, W], of ``uint8`` or floats, and y [N] of
whole numbers 0..K-1, or for a regression numbers [N] or [N, K]. Floats become ``float32`` with scale 1; ``uint8``
stays, with scale 1/255.
"""

import math
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnsim.datasets.samples import Labels, RawSet, Targets, Values
from snnsim.errors import DataError

TargetKind = Literal["classes", "values"]

_CHUNK = 1 << 22  # values looked at together for NaN, so that the mask stays small
_LARGEST_LABEL = 2**31 - 1
_ARRAYS = ("x", "y", "x_test", "y_test")


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Read those of ``x``, ``y``, ``x_test``, ``y_test`` that a file has; ``x`` it must have.

    Raises
    ------
    DataError
        The file cannot be read, is damaged, has no ``x``, or holds Python objects (which are never loaded).
    """
    try:
        with path.open("rb") as file:
            return _read_members(file, path)
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # zipfile, zlib, lzma and numpy have no common error for a damaged archive
        raise DataError(f"{path}: damaged or not readable ({error or type(error).__name__})") from None


def _read_members(file: BinaryIO, path: Path) -> dict[str, NDArray[Any]]:
    if not zipfile.is_zipfile(file):
        raise DataError(f"{path}: not an .npz archive, or one that is cut short")
    file.seek(0)
    with np.load(file, allow_pickle=False) as archive:
        if "x" not in archive.files:
            found = ", ".join(archive.files[:8]) or "nothing"
            raise DataError(f"{path}: no array is called 'x' (found: {found}); write np.savez(file, x=..., y=...)")
        return {name: archive[name] for name in _ARRAYS if name in archive.files}


def labelled(arrays: dict[str, Any], source: str, name: str, kind: TargetKind | None = "classes") -> RawSet:
    """Check arrays and make a set of them.

    Parameters
    ----------
    arrays
        ``x`` and ``y``; ``x_test`` and ``y_test`` both or neither.
    source
        What messages begin with: ``"mine.npz: "``, or nothing.
    name
        Name of the set.
    kind
        What y holds: classes, or the values of a regression; None: values where it is of floats.

    Raises
    ------
    DataError
        An array is missing, has a wrong shape or type, or holds a value that is not finite or a label that is
        not a whole number from 0.
    """
    for one, other in (("x", "y"), ("x_test", "y_test"), ("y_test", "x_test")):
        if one in arrays and other not in arrays:
            raise DataError(f"{source}{one} is given without {other}")
    x = values(arrays["x"], f"{source}x")
    kind = kind or _kind_of(arrays["y"])
    y = targets(arrays["y"], len(x), f"{source}y", kind)
    classes = int(y.max()) + 1 if kind == "classes" else y.shape[1]
    x_test = y_test = None
    if "x_test" in arrays:
        x_test = values(arrays["x_test"], f"{source}x_test")
        y_test = targets(arrays["y_test"], len(x_test), f"{source}y_test", kind)
        _check_alike(x, x_test, source)
        if kind == "values" and y_test.shape[1] != classes:
            raise DataError(f"{source}y_test: has {y_test.shape[1]} values a sample, y has {classes}; must be alike")
        if kind == "classes" and y_test.max() >= classes:
            at = int(np.argmax(y_test >= classes))
            raise DataError(f"{source}y_test[{at}] is {y_test[at]}, but the labels in y go from 0 to {classes - 1}")
    return RawSet(name, x, y, x_test, y_test, classes, scale_of(x))


def scale_of(x: Values) -> float:
    """Give what own values are multiplied by."""
    return 1 / 255 if x.dtype == np.uint8 else 1.0


def values(given: ArrayLike, label: str) -> Values:
    """Check input values and bring them into the stored form, [N, F] or [N, C, H, W].

    Raises
    ------
    DataError
        Wrong shape or type, or a value that is not finite.
    """
    x = np.asarray(given)
    if x.ndim not in (2, 3, 4):
        raise DataError(f"{label}: must be [N, F], [N, H, W] or [N, C, H, W] (got shape {_shape(x.shape)})")
    if x.size == 0:
        raise DataError(f"{label}: holds no values (shape {_shape(x.shape)})")
    if x.ndim == 3:
        x = x[:, np.newaxis]
    if x.dtype == np.uint8:
        return x
    if not np.issubdtype(x.dtype, np.floating):
        raise DataError(f"{label}: must be uint8 or floats (got {x.dtype}); convert it with .astype('float32')")
    with np.errstate(over="ignore"):
        converted = x.astype(np.float32, copy=False)
    _check_finite(converted, np.asarray(given), label)
    return converted


def targets(given: ArrayLike, count: int, label: str, kind: TargetKind | None) -> Targets:
    """Check the targets of ``count`` samples: `labels`, or `target_values`; None: values where they are floats."""
    return labels(given, count, label) if (kind or _kind_of(given)) == "classes" else target_values(given, count, label)


def _kind_of(given: ArrayLike) -> TargetKind:
    return "values" if np.asarray(given).dtype.kind == "f" else "classes"


def target_values(given: ArrayLike, count: int, label: str) -> NDArray[np.float32]:
    """Check the values that a regression aims at, [N] or [N, K], and return them as float32 [N, K].

    Raises
    ------
    DataError
        Wrong shape, number or type, or a value that is not finite.
    """
    y = np.asarray(given)
    if y.ndim not in (1, 2) or y.size == 0:
        raise DataError(f"{label}: must be values [N] or [N, K] (got shape {_shape(y.shape)})")
    if len(y) != count:
        raise DataError(f"{label}: {len(y)} targets for {count} samples")
    if y.dtype.kind not in "fiub":
        raise DataError(f"{label}: must be numbers (got {y.dtype})")
    with np.errstate(over="ignore"):
        converted = y.astype(np.float32)
    _check_finite(converted, y, label)
    return converted.reshape(count, -1)


def labels(given: ArrayLike, count: int, label: str) -> Labels:
    """Check the labels of ``count`` samples.

    Raises
    ------
    DataError
        Wrong shape, number or type, or a label that is not a whole number from 0.
    """
    y = np.asarray(given)
    if y.ndim != 1:
        raise DataError(f"{label}: must be one class per sample, [N] (got shape {_shape(y.shape)}){_hint(y)}")
    if len(y) != count:
        raise DataError(f"{label}: {len(y)} labels for {count} samples")
    if not (np.issubdtype(y.dtype, np.number) or y.dtype == np.bool_) or np.iscomplexobj(y):
        raise DataError(f"{label}: must be whole numbers 0..K-1 (got {y.dtype})")
    wrong = ~((y >= 0) & (y <= _LARGEST_LABEL)) | (y != np.floor(y))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise DataError(f"{label}[{at}] is {y[at]}; labels must be whole numbers 0..K-1{_hint(y)}")
    return y.astype(np.int64)


def _hint(y: NDArray[Any]) -> str:
    return "; for a regression take train.loss=mse (in Python: targets='values')" if y.dtype.kind == "f" else ""


def _check_finite(x: Values, given: NDArray[Any], label: str) -> None:
    step = max(1, _CHUNK // math.prod(x.shape[1:]))
    for start in range(0, len(x), step):
        finite = np.isfinite(x[start : start + step])
        if not finite.all():
            row, *rest = np.argwhere(~finite.reshape(-1, *given.shape[1:]))[0]
            at = (int(row) + start, *map(int, rest))
            raise DataError(f"{label}[{', '.join(map(str, at))}] is {given[at]}; values must be finite 32-bit numbers")


def _check_alike(x: Values, x_test: Values, source: str) -> None:
    if x.shape[1:] != x_test.shape[1:]:
        shapes = f"{_shape(x_test.shape[1:])}, those of x {_shape(x.shape[1:])}"
        raise DataError(f"{source}x_test: samples have shape {shapes}; they must be alike")
    if x.dtype != x_test.dtype:
        raise DataError(f"{source}x_test: is {x_test.dtype} and x is {x.dtype}; both must be uint8 or both floats")


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
