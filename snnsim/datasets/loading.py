"""A data set for training, from a name, a file or arrays."""

from pathlib import Path
from typing import Protocol

from numpy.typing import ArrayLike

from snnsim.datasets.arrays import TargetKind, labelled, read_npz
from snnsim.datasets.catalog import CATALOG, describe
from snnsim.datasets.digits import read_digits
from snnsim.datasets.event_sets import labelled_set, read_event_set, read_named
from snnsim.datasets.mnist import read_mnist
from snnsim.datasets.randman import generate_randman
from snnsim.datasets.recordings import Binning
from snnsim.datasets.samples import Dataset, RawSet
from snnsim.datasets.splits import split
from snnsim.datasets.yin_yang import generate_yin_yang
from snnsim.errors import DataError
from snnsim.spec.data import Randman, YinYang

RECORDED = ("nmnist", "shd", "randman")
NEEDS_BINNING = (
    "recorded events need the encoder events, for example encoder: {events: {time_window: 1000}} (microseconds a step)"
)

VALUES_ALONE = "the encoder events takes recorded events; these data are values"


class DataRequest(Protocol):
    """What is asked for: one source of data, and how much of it at most."""

    @property
    def name(self) -> str | None:
        """Name of a set."""

    @property
    def npz(self) -> str | Path | None:
        """Own arrays."""

    @property
    def events(self) -> str | Path | None:
        """Own recordings."""

    @property
    def yin_yang(self) -> YinYang | None:
        """The generated set of this name, with options."""

    @property
    def randman(self) -> Randman | None:
        """The generated set of this name, with options."""

    @property
    def sensor(self) -> list[int] | None:
        """Size of the sensor of own recordings: [H, W] or [units]."""

    @property
    def classes(self) -> list[str] | None:
        """Names of the classes of own recordings."""

    @property
    def skip_bad(self) -> bool:
        """Leave damaged recordings out."""

    @property
    def limit(self) -> int | None:
        """At most so many samples for training (validation included) and so many for testing."""


def load(
    spec: DataRequest,
    data_dir: Path | None = None,
    binning: Binning | None = None,
    targets: TargetKind | None = "classes",
) -> Dataset:
    """Load and split a data set.

    Parameters
    ----------
    spec
        What is asked for.
    data_dir
        Where to look first for sets that do not ship.
    binning
        How the time of recorded events becomes steps; needed for recordings, and for them alone.
    targets
        What the y of own arrays holds: classes, or the values of a regression; None: values where it is of floats.

    Raises
    ------
    DataError
        Unknown, missing, damaged or unfit data; its ``path`` is the key of the configuration that named them.
    """
    try:
        return split(_read(spec, data_dir, binning, targets), spec.limit)
    except DataError as error:
        raise DataError(str(error), error.path or ("data", _source(spec))) from None


def from_arrays(
    x: ArrayLike,
    y: ArrayLike,
    x_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None,
    *,
    limit: int | None = None,
    name: str = "arrays",
    targets: TargetKind | None = "classes",
) -> Dataset:
    """Split own arrays into a data set.

    Parameters
    ----------
    x, y
        Values [N, F], [N, H, W] or [N, C, H, W], ``uint8`` or floats, and classes [N], whole numbers from 0, or
        numbers [N] or [N, K] to be found by regression.
    x_test, y_test
        The part for testing; without it, a fifth of ``x``, stratified by class, is set aside.
    limit
        At most so many samples for training (validation included) and so many for testing.
    name
        What the set is called in summaries.
    targets
        What y holds: ``"classes"``, ``"values"``, or None: values where it is of floats.

    Raises
    ------
    DataError
        The arrays do not fit; the text names the array and the first wrong entry.
    """
    given = {"x": x, "y": y, "x_test": x_test, "y_test": y_test}
    arrays = {key: array for key, array in given.items() if array is not None}
    return split(labelled(arrays, "", name, targets), limit)


def _source(spec: DataRequest) -> str:
    given = {"npz": spec.npz, "events": spec.events, "yin-yang": spec.yin_yang, "randman": spec.randman}
    return next((key for key, value in given.items() if value is not None), "name")


def check_binning(spec: DataRequest, binning: Binning | None) -> bool:
    """Check that recordings, and they alone, are to be binned; tell whether these are recordings.

    Raises
    ------
    DataError
        They are not.
    """
    recorded = spec.events is not None or spec.randman is not None or spec.name in RECORDED
    if recorded and binning is None:
        raise DataError(NEEDS_BINNING, ("encoder",))
    if binning is not None and not recorded:
        raise DataError(VALUES_ALONE, ("encoder",))
    return recorded


def known_sizes(spec: DataRequest) -> tuple[tuple[int, ...], int] | None:
    """Return the shape of a sample and the number of classes where they are known without the data."""
    if spec.randman is not None:
        return (spec.randman.units,), spec.randman.classes
    if spec.yin_yang is not None:
        return (spec.yin_yang.inputs,), CATALOG["yin-yang"].classes
    if spec.name is None:
        return None
    info = describe(spec.name)
    return info.shape, info.classes


def _read(spec: DataRequest, data_dir: Path | None, binning: Binning | None, targets: TargetKind | None) -> RawSet:
    if check_binning(spec, binning):
        assert binning is not None
        return _read_recorded(spec, data_dir, binning)
    if spec.npz is not None:
        path = Path(spec.npz)
        return labelled(read_npz(path), f"{path}: ", path.name, targets)
    if spec.yin_yang is not None or spec.name == "yin-yang":
        return generate_yin_yang(spec.yin_yang or YinYang())
    info = describe(spec.name or "")
    return read_mnist(info, data_dir) if info.kind == "idx" else read_digits()


def _read_recorded(spec: DataRequest, data_dir: Path | None, binning: Binning) -> RawSet:
    if spec.randman is not None or spec.name == "randman":
        return generate_randman(spec.randman or Randman(), binning)
    if spec.events is None:
        return read_named(describe(spec.name or ""), data_dir, binning, skip_bad=spec.skip_bad)
    path = Path(spec.events)
    sensor = None if spec.sensor is None else tuple(spec.sensor)
    shape = (2, *sensor) if sensor is not None and len(sensor) == 2 else sensor
    return labelled_set(path.name, read_event_set(path, binning, shape, skip_bad=spec.skip_bad), spec.classes)
