"""What a data set is made of: N samples, each of one shape ([C, H, W] for images, [F] for flat data)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.uint8] | NDArray[np.float32]
Labels = NDArray[np.int64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Samples:
    """Labelled samples.

    Attributes
    ----------
    x
        [N, *shape], ``uint8`` or ``float32``: the values as stored, to be multiplied by the set's ``scale``.
    y
        [N]: the class of each sample, 0..K-1.
    index
        [N]: the row of each sample in the array or file that it comes from. It names the sample's random
        stream, so a sample is encoded alike whichever part or subset it is met in.
    """

    x: Values
    y: Labels
    index: Rows

    def __len__(self) -> int:
        return len(self.y)


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
        Number of classes K.
    scale
        What values are multiplied by: 1/16 for digits, 1/255 for other ``uint8``, 1 for floats.
    """

    name: str
    train: Samples
    valid: Samples
    test: Samples
    input_shape: tuple[int, ...]
    classes: int
    scale: float


@dataclass(frozen=True, eq=False)
class RawSet:
    """A data set as read, before it is split; ``x_test`` is None where no part is set aside for testing."""

    name: str
    x: Values
    y: Labels
    x_test: Values | None
    y_test: Labels | None
    classes: int
    scale: float
