"""What a data set is made of: N samples, each of one shape ([C, H, W] for images, [F] for flat data).

Samples are kept as an array, or as recorded events (`Recordings`), which are indexed by rows and have a ``shape`` like
an array; what turns samples into a network's input (`snnsim.evaluation.batch_input`) tells them apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snnsim.datasets.recordings import Recordings

Values = NDArray[np.uint8] | NDArray[np.float32]
Stored = Values | Recordings
Labels = NDArray[np.int64]
Targets = Labels | NDArray[np.float32]
Rows = NDArray[np.int64]


def as_values(x: Stored) -> Values:
    """Return what is known to be an array, not recordings."""
    assert not isinstance(x, Recordings)
    return x


@dataclass(frozen=True, eq=False)
class Samples:
    """Labelled samples.

    Attributes
    ----------
    x
        [N, *shape], ``uint8`` or ``float32``: the values as stored, to be multiplied by the set's ``scale``; or N
        recordings.
    y
        [N]: the class of each sample, 0..K-1, ``int64``; or [N, K]: the values that a regression aims at, ``float32``.
    index
        [N]: the row of each sample in the array or file that it comes from. It names the sample's random
        stream, so a sample is encoded alike whichever part or subset it is met in.
    """

    x: Stored
    y: Targets
    index: Rows

    @property
    def is_regression(self) -> bool:
        """Whether targets are values, not classes."""
        return self.y.ndim == 2

    @property
    def values(self) -> Values:
        """``x`` where it is an array, not recordings."""
        return as_values(self.x)

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        return f"Samples({len(self)} of shape {list(self.x.shape[1:])})"


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set, split.

    Attributes
    ----------
    name
        Name of the set, or file name of own arrays.
    train, valid, test
        The three parts; none is empty.
    input_shape
        Shape of one sample.
    classes
        Number of classes K, or of values per sample.
    scale
        What values are multiplied by: 1/16 for digits, 1/255 for other ``uint8``, 1 for floats.
    skipped
        What is wrong with each recording that was left out.
    class_names
        Names of the classes where labels are not numbers.
    """

    name: str
    train: Samples
    valid: Samples
    test: Samples
    input_shape: tuple[int, ...]
    classes: int
    scale: float
    skipped: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None

    @property
    def is_recorded(self) -> bool:
        """Whether samples are recorded events, not arrays."""
        return isinstance(self.train.x, Recordings)

    def __repr__(self) -> str:
        what = "values a sample" if self.train.is_regression else "classes"
        return (
            f"Dataset({self.name!r}: {len(self.train)} train, {len(self.valid)} valid, {len(self.test)} test; samples "
            f"{list(self.input_shape)}, {self.classes} {what})"
        )


@dataclass(frozen=True, eq=False)
class RawSet:
    """A data set as read, before it is split; ``x_test`` is None where no part is set aside for testing."""

    name: str
    x: Stored
    y: Targets
    x_test: Stored | None
    y_test: Targets | None
    classes: int
    scale: float
    skipped: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None
