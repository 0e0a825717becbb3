"""The ``digits`` set, which ships with snnsim."""

from importlib.resources import files

import numpy as np

from snnsim.datasets.catalog import CATALOG
from snnsim.datasets.samples import RawSet


def read_digits() -> RawSet:
    """Read the 1,797 images, [1797, 1, 8, 8] with values 0..16."""
    info = CATALOG["digits"]
    with (
        (files("snnsim.data") / "digits.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as archive,
    ):
        x = archive["x"][:, np.newaxis]
        y = archive["y"].astype(np.int64)
    return RawSet("digits", x, y, None, None, info.classes, info.scale)
