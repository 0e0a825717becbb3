"""Small files and sets for the tests, made from scratch."""

import gzip
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnsim.datasets.catalog import CATALOG, TEST_FILES, TRAIN_FILES, DataFile, DatasetInfo
from snnsim.spec.data import Randman, YinYang

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
IMAGES, LABELS = TEST_FILES


@dataclass(frozen=True)
class Request:
    """What a configuration asks for under ``data:``."""

    name: str | None = None
    npz: str | Path | None = None
    events: str | Path | None = None
    yin_yang: YinYang | None = None
    randman: Randman | None = None
    sensor: list[int] | None = None
    classes: list[str] | None = None
    skip_bad: bool = False
    limit: int | None = None


def idx_bytes(array: NDArray[Any]) -> bytes:
    """Write an array in the IDX format, straight from the format's description."""
    head = bytes([0, 0, CODES[array.dtype.str[1:]], array.ndim])
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return head + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


def images_and_labels(count: int, seed: int = 0, side: int = 4) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Make random images [count, side, side] with balanced labels of 10 classes, in random order."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(count) % 10).astype(np.uint8)
    return rng.integers(0, 256, (count, side, side), dtype=np.uint8), y


def small_set(name: str = "mnist") -> tuple[DatasetInfo, dict[str, bytes]]:
    """Make a set of 50 + 20 images under a known name: its description, and the content of its files."""
    x, y = images_and_labels(50)
    x_test, y_test = images_and_labels(20, seed=1)
    contents = dict(zip(TRAIN_FILES + TEST_FILES, map(idx_bytes, (x, y, x_test, y_test)), strict=True))
    files = tuple(
        DataFile(file, len(content), hashlib.sha256(content).hexdigest()) for file, content in contents.items()
    )
    return replace(CATALOG[name], shape=(1, 4, 4), train=50, test=20, files=files), contents


def write_files(folder: Path, contents: dict[str, bytes], *, gzipped: bool = True) -> None:
    """Write files into a folder, each under its own name or gzipped with ``.gz`` added."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        if gzipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
