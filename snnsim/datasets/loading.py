"""A data set for training, from a name, a file or arrays."""

from pathlib import Path
from typing import Protocol

from numpy.typing import ArrayLike

from snnsim.datasets.arrays import labelled, read_npz
from snnsim.datasets.catalog import describe
from snnsim.datasets.digits import read_digits
from snnsim.datasets.mnist import read_mnist
from snnsim.datasets.samples import Dataset, RawSet
from snnsim.datasets.splits import split
from snnsim.errors import DataError


class DataRequest(Protocol):
    """What is asked for: a set's name or an ``.npz`` file, and how much of it at most."""

    @property
    def name(self) -> str | None:
        """Name of a set."""

    @property
    def npz(self) -> str | Path | None:
        """Own arrays."""

    @property
    def limit(self) -> int | None:
        """At most so many samples for training (validation included) and so many for testing."""


def load(spec: DataRequest, data_dir: Path | None = None) -> Dataset:
    """Load and split a data set.

    Parameters
    ----------
    spec
        What is asked for.
    data_dir
        Where to look first for sets that do not ship.

    Raises
    ------
    DataError
        Unknown, missing, damaged or unfit data; its ``path`` is the key of the configuration that named them.
    """
    key = "npz" if spec.npz is not None else "name"
    try:
        return split(_read(spec, data_dir), spec.limit)
    except DataError as error:
        raise DataError(str(error), error.path or ("data", key)) from None


def from_arrays(
    x: ArrayLike,
    y: ArrayLike,
    x_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None,
    *,
    limit: int | None = None,
    name: str = "arrays",
) -> Dataset:
    """Split own arrays into a data set.

    Parameters
    ----------
    x, y
        Values [N, F], [N, H, W] or [N, C, H, W], ``uint8`` or floats, and classes [N], whole numbers from 0.
    x_test, y_test
        The part for testing; without it, a stratified fifth of ``x`` is set aside.
    limit
        At most so many samples for training (validation included) and so many for testing.
    name
        What the set is called in summaries.

    Raises
    ------
    DataError
        The arrays do not fit; the text names the array and the first wrong entry.
    """
    given = {"x": x, "y": y, "x_test": x_test, "y_test": y_test}
    arrays = {key: array for key, array in given.items() if array is not None}
    return split(labelled(arrays, "", name), limit)


def _read(spec: DataRequest, data_dir: Path | None) -> RawSet:
    if spec.npz is not None:
        path = Path(spec.npz)
        return labelled(read_npz(path), f"{path}: ", path.name)
    info = describe(spec.name or "")
    return read_mnist(info, data_dir) if info.mirrors else read_digits()
