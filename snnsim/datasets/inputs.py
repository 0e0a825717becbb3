"""Data for a network that is trained already: to test it, or to have it predict.

They are named by a set's name (its test part is meant), or by a file or folder, whose kind is recognised by
its content: recordings (a file, a folder or a zip archive, ``.../<label>/<id>.bin`` and the other formats; all of
them), an ``.npz`` archive of samples (``x_test`` where it has one, else all of ``x``), an IDX file of images
(labels are found beside it by the usual naming), or a folder of IDX files (its test images if there are
several).
"""

import math
import os
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snnsim.datasets.arrays import TargetKind, labels, read_npz, scale_of, targets, values
from snnsim.datasets.catalog import CATALOG, describe
from snnsim.datasets.digits import read_digits
from snnsim.datasets.event_files import find_event_files
from snnsim.datasets.event_sets import numbered, read_event_set, read_named
from snnsim.datasets.idx import dimensions, read_idx
from snnsim.datasets.loading import NEEDS_BINNING, VALUES_ALONE
from snnsim.datasets.mnist import read_mnist_test
from snnsim.datasets.randman import generate_randman
from snnsim.datasets.recordings import Binning, Recordings
from snnsim.datasets.samples import Labels, RawSet, Rows, Samples, Stored, Targets, Values, as_values
from snnsim.datasets.splits import held_out, limited_rows, take
from snnsim.datasets.yin_yang import generate_yin_yang
from snnsim.errors import DataError
from snnsim.spec.data import Randman, YinYang


@dataclass(frozen=True, eq=False)
class Inputs:
    """Samples of which the labels may be unknown.

    Attributes
    ----------
    x
        [N, *input_shape], ``uint8`` or ``float32``; ``x * scale`` is what a network sees; or N recordings.
    y
        [N], or [N, K] of values, as in `Samples`; None where there are none.
    index
        [N]: as in `Samples`.
    scale
        What values are multiplied by.
    skipped
        What is wrong with each recording that was left out.
    """

    x: Stored
    y: Targets | None
    index: Rows
    scale: float
    skipped: tuple[str, ...] = ()

    @property
    def values(self) -> Values:
        """``x`` where it is an array, not recordings."""
        return as_values(self.x)

    def labelled(self, where: str, limit: int | None = None) -> Samples:
        """Return the samples, at most ``limit`` of them.

        Raises
        ------
        DataError
            They have no labels; ``where`` is what the message calls them.
        """
        if self.y is None:
            raise DataError(f"{where}: has no labels, so nothing can be tested")
        rows = limited_rows(len(self.y), limit)
        chosen = take(self.x, self.y, rows)
        return Samples(chosen.x, chosen.y, self.index[rows])


@dataclass(frozen=True)
class Wanted:
    """What a trained network takes.

    Attributes
    ----------
    shape
        Shape of a sample; None: as it comes. Flat samples are brought into this shape and images are flattened to it,
        but the number of values must be the same. For recordings it is the size of the sensor.
    binning
        How the time of recorded events becomes steps; None: the network takes values.
    skip_bad
        Leave damaged recordings out.
    classes
        Names of the classes of recordings; None: they are numbers.
    targets
        What the y of own arrays holds: classes, or the values of a regression.
    """

    shape: tuple[int, ...] | None
    binning: Binning | None = None
    skip_bad: bool = False
    classes: Sequence[str] | None = None
    targets: TargetKind = "classes"


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
        What the network takes; see `Wanted`.
    limit
        At most so many samples.

    Raises
    ------
    DataError
        Data that are missing, damaged, without labels, or of another shape.
    """
    found = load_inputs(where, data_dir, input_shape)
    return found.labelled(where, limit), found.scale


def load_inputs(where: str, data_dir: Path | None, wanted: Wanted | tuple[int, ...]) -> Inputs:
    """Load samples, with their labels if they have any; parameters and errors as `load_test`."""
    if isinstance(wanted, tuple):
        wanted = Wanted(wanted)
    if where in CATALOG:
        found = _from_name(where, data_dir, wanted)
    elif os.path.exists(where):
        found = _from_path(Path(where), wanted)
    else:
        raise DataError(f"{where}: neither a file or folder, nor a data set ({', '.join(CATALOG)})")
    if wanted.binning is not None and not isinstance(found.x, Recordings):
        raise DataError(f"{where}: {VALUES_ALONE}", ("encoder",))
    return Inputs(_fitted(found.x, wanted.shape, where), found.y, found.index, found.scale, found.skipped)


def _from_name(name: str, data_dir: Path | None, wanted: Wanted) -> Inputs:
    info = describe(name)
    if info.kind == "idx":
        x, y = read_mnist_test(info, data_dir)
        return Inputs(x, y, np.arange(len(y)), info.scale)
    raw = _whole_set(name, data_dir, wanted)
    test = held_out(raw)
    return Inputs(test.x, test.y, test.index, info.scale, raw.skipped)


def _whole_set(name: str, data_dir: Path | None, wanted: Wanted) -> RawSet:
    """Read a set of which nothing smaller can be read."""
    if name == "digits":
        return read_digits()
    if name == "yin-yang":
        return generate_yin_yang(YinYang())
    if wanted.binning is None:
        raise DataError(f"{name}: {NEEDS_BINNING}", ("encoder",))
    if name == "randman":
        return generate_randman(Randman(), wanted.binning)
    return read_named(describe(name), data_dir, wanted.binning, skip_bad=wanted.skip_bad)


def _from_path(path: Path, wanted: Wanted) -> Inputs:
    kinds = {file.kind for file in find_event_files(path)}
    if kinds:
        return _from_recordings(path, kinds.pop(), wanted)
    if path.is_dir():
        return _from_idx(*_choose(path))
    if dimensions(path) > 0:
        return _from_idx(path, _labels_beside(path))
    if zipfile.is_zipfile(path):
        return _from_npz(path, wanted.targets)
    raise DataError(
        f"{path}: neither recordings, nor an .npz archive, nor an IDX file, or damaged at its beginning or end"
    )


def _from_recordings(path: Path, kind: str, wanted: Wanted) -> Inputs:
    if wanted.binning is None:
        raise DataError(f"{path}: {NEEDS_BINNING}", ("encoder",))
    shape = wanted.shape
    is_flat = shape is None or len(shape) == 1
    sensor = None if shape is None or (kind == "bin" and is_flat) else shape
    found = read_event_set(path, wanted.binning, sensor, skip_bad=wanted.skip_bad)
    y = _labels_of(found.labels, wanted.classes, str(path))
    return Inputs(found.x, y, np.arange(len(found.x)), 1.0, found.skipped)


def _labels_of(labels: Sequence[str | int | None], classes: Sequence[str] | None, where: str) -> Labels | None:
    """Return the classes of recordings; None where no recording lies in a folder that names one."""

    def is_class(label: str | int | None) -> bool:
        return isinstance(label, int) or (label is not None and (label in classes if classes else label.isdecimal()))

    return numbered(labels, classes, where) if any(map(is_class, labels)) else None


def _from_npz(path: Path, kind: TargetKind) -> Inputs:
    arrays = read_npz(path)
    part = "_test" if "x_test" in arrays else ""
    x = values(arrays[f"x{part}"], f"{path}: x{part}")
    given = arrays.get(f"y{part}")
    y = None if given is None else targets(given, len(x), f"{path}: y{part}", kind)
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


def _fitted(x: Stored, input_shape: tuple[int, ...] | None, where: str) -> Stored:
    """Give samples the shape that the network takes, if only the arrangement differs."""
    shape = x.shape[1:]
    if input_shape is None or shape == input_shape:
        return x
    flat = len(shape) == 1 or len(input_shape) == 1
    if flat and math.prod(shape) == math.prod(input_shape):
        return x.arranged(input_shape) if isinstance(x, Recordings) else x.reshape(len(x), *input_shape)
    raise DataError(f"{where}: samples have shape {list(shape)}, the network takes {list(input_shape)}")
