"""MNIST and its drop-in replacement Fashion-MNIST: four IDX files each, verified when they are read."""

from pathlib import Path
from typing import cast

import numpy as np

from snnsim.datasets.catalog import TEST_FILES, TRAIN_FILES, DatasetInfo
from snnsim.datasets.idx import read_verified
from snnsim.datasets.locate import file_in, folder_of
from snnsim.datasets.samples import Labels, RawSet, Values


def read_mnist(info: DatasetInfo, data_dir: Path | None) -> RawSet:
    """Read a whole set; ``x`` is [60000, 1, 28, 28], ``x_test`` [10000, 1, 28, 28].

    Raises
    ------
    DataError
        It is missing, damaged, or not the published content.
    """
    folder = folder_of(info, data_dir, TRAIN_FILES + TEST_FILES)
    x, y = _read_pair(info, folder, TRAIN_FILES)
    x_test, y_test = _read_pair(info, folder, TEST_FILES)
    return RawSet(info.name, x, y, x_test, y_test, info.classes, info.scale)


def read_mnist_test(info: DatasetInfo, data_dir: Path | None) -> tuple[Values, Labels]:
    """Read the test part alone; errors as `read_mnist`."""
    return _read_pair(info, folder_of(info, data_dir, TEST_FILES), TEST_FILES)


def _read_pair(info: DatasetInfo, folder: Path, names: tuple[str, str]) -> tuple[Values, Labels]:
    expected = {file.name: file for file in info.files}
    images, labels = (read_verified(file_in(folder, name), expected[name], info.name) for name in names)
    return cast(Values, images[:, np.newaxis]), labels.astype(np.int64)
