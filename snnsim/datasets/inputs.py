"""Data for a network that is trained already: to test it, or to have it predict.

They are named by a set's name (its test part is meant), or by a file or folder, whose kind is recognised by
its content: an ``.npz`` archive (``x_test`` where it has one, else all of ``x``), an IDX file of images
(labels are found beside it by the usual naming), or a folder of IDX files (its test images if there are
several).
"""

import math
import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snnsim.datasets.arrays import labels, read_npz, scale_of, values
from snnsim.datasets.catalog import CATALOG, describe
from snnsim.datasets.digits import read_digits
from snnsim.datasets.idx import dimensions, read_idx
from snnsim.datasets.mnist import read_mnist_test
from snnsim.datasets.samples import Labels, Rows, Samples, Values
from snnsim.datasets.splits import held_out, limited_rows, take
from snnsim.errors import DataError


@dataclass(frozen=True, eq=False)
class Inputs:
    """Samples of which the labels may be unknown.

    Attributes
    ----------
    x
        [N, *input_shape], ``uint8`` or ``float32``; ``x * scale`` is what a network sees.
    y
        [N], or None where there are no labels.
    index
        [N]: as in `Samples`.
    scale
        What values are multiplied by.
    """

    x: Values
    y: Labels | None
    index: Rows
    scale: float


def load_test(
    where: str, data_dir: Path | None, input_shape: tuple[int, ...], limit: int | None = None
) -> tuple[Samples, float]:
    """Load labelled samples to test a network on, and their scale.

    Parameters
    ----------
    where
        Name of a set, or path of a file or folder (``./digits`` where a folder is called like a set).
    data_dir
        Where to look first for sets that do not ship.
    input_shape
        What the network takes: flat samples are brought into this shape and images are flattened to it, but
        the number of values must be the same.
    limit
        At most so many samples.

    Raises
    ------
    DataError
        Data that are missing, damaged, without labels, or of another shape.
    """
    found = load_inputs(where, data_dir, input_shape)
    if found.y is None:
        raise DataError(f"{where}: has no labels, so nothing can be tested")
    rows = limited_rows(len(found.y), limit)
    chosen = take(found.x, found.y, rows)
    return Samples(chosen.x, chosen.y, found.index[rows]), found.scale


def load_inputs(where: str, data_dir: Path | None, input_shape: tuple[int, ...]) -> Inputs:
    """Load samples, with their labels if they have any; parameters and errors as `load_test`."""
    if where in CATALOG:
        found = _from_name(where, data_dir)
    elif os.path.exists(where):
        found = _from_path(Path(where))
    else:
        raise DataError(f"{where}: neither a file or folder, nor a data set ({', '.join(CATALOG)})")
    return Inputs(_fitted(found.x, input_shape, where), found.y, found.index, found.scale)


def _from_name(name: str, data_dir: Path | None) -> Inputs:
    info = describe(name)
    if info.mirrors:
        x, y = read_mnist_test(info, data_dir)
        return Inputs(x, y, np.arange(len(y)), info.scale)
    test = held_out(read_digits())
    return Inputs(test.x, test.y, test.index, info.scale)


def _from_path(path: Path) -> Inputs:
    if path.is_dir():
        return _from_idx(*_choose(path))
    if dimensions(path) > 0:
        return _from_idx(path, _labels_beside(path))
    if zipfile.is_zipfile(path):
        return _from_npz(path)
    raise DataError(f"{path}: neither an .npz archive nor an IDX file, or damaged at its beginning or end")


def _from_npz(path: Path) -> Inputs:
    arrays = read_npz(path)
    part = "_test" if "x_test" in arrays else ""
    x = values(arrays[f"x{part}"], f"{path}: x{part}")
    given = arrays.get(f"y{part}")
    y = None if given is None else labels(given, len(x), f"{path}: y{part}")
    return Inputs(x, y, np.arange(len(x)), scale_of(x))


def _from_idx(images: Path, labelling: Path | None) -> Inputs:
    if dimensions(images) == 1:
        raise DataError(f"{images}: holds labels (one number per sample), not images; name the file of the images")
    x = values(read_idx(images), str(images))
    y = None if labelling is None else labels(read_idx(labelling), len(x), str(labelling))
    return Inputs(x, y, np.arange(len(x)), scale_of(x))


def _labels_beside(images: Path) -> Path | None:
    """Find ``t10k-labels-idx1-ubyte``, plain or gzipped, beside ``t10k-images-idx3-ubyte``, and the like."""
    stem = images.name.removesuffix(".gz")
    wanted = re.sub(r"idx\d", "idx1", stem.replace("images", "labels"))
    candidates = (images.with_name(wanted), images.with_name(f"{wanted}.gz"))
    return next((path for path in candidates if wanted != stem and path.is_file()), None)


def _choose(folder: Path) -> tuple[Path, Path | None]:
    """Choose a folder's images, and their labels: its only ones, or those that are named as a test part."""
    found = {path.name.removesuffix(".gz"): path for path in sorted(folder.iterdir(), reverse=True) if path.is_file()}
    kinds = {path: dimensions(path) for path in found.values()}
    images = [path for path, ndim in kinds.items() if ndim > 1]
    labellings = [path for path, ndim in kinds.items() if ndim == 1]
    if len(images) > 1:
        images = [path for path in images if path.name.startswith(("t10k", "test"))] or images
    if len(images) != 1:
        names = ", ".join(sorted(path.name for path in images)) or "none"
        raise DataError(
            f"{folder}: must hold one IDX file of images, or one whose name begins with t10k or test (found: {names})"
        )
    only = labellings[0] if len(labellings) == 1 else None
    return images[0], _labels_beside(images[0]) or only


def _fitted(x: Values, input_shape: tuple[int, ...], where: str) -> Values:
    """Give samples the shape that the network takes, if only the arrangement differs."""
    shape = x.shape[1:]
    flat = len(shape) == 1 or len(input_shape) == 1
    if shape == input_shape:
        return x
    if flat and math.prod(shape) == math.prod(input_shape):
        return x.reshape(len(x), *input_shape)
    raise DataError(f"{where}: samples have shape {list(shape)}, the network takes {list(input_shape)}")
