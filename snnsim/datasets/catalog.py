"""The data sets known by name: what they are, where they come from, and how their files are recognised."""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from snnsim.errors import DataError
from snnsim.spec.data import Randman, YinYang


@dataclass(frozen=True)
class DataFile:
    """One file of a set; ``size`` in bytes and ``sha256`` are those of the uncompressed content."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class DatasetInfo:
    """A set known by name.

    Attributes
    ----------
    summary
        What it is, in one line.
    shape, classes, train, test
        Shape of a sample; numbers of classes, of training samples (validation included), of test samples.
    scale
        What the stored values are multiplied by.
    files
        Its files, uncompressed; they may lie there gzipped (``.gz``) as well.
    kind
        How it comes here: ``shipped`` with snnsim, as ``idx`` files, as ``recordings``, or ``generated``.
    mirrors
        Folders of the web that hold the gzipped files; empty where nothing can be fetched.
    location
        Where it lies on this machine; None where it is missing, and for generated sets.
    """

    name: str
    summary: str
    shape: tuple[int, ...]
    classes: int
    train: int
    test: int
    scale: float
    licence: str
    source: str
    files: tuple[DataFile, ...]
    kind: Literal["shipped", "idx", "recordings", "generated"] = "idx"
    mirrors: tuple[str, ...] = ()
    location: Path | None = None

    @property
    def present(self) -> bool:
        """Whether it is on this machine."""
        return self.location is not None or self.kind == "generated"


TRAIN_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST_FILES = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_SIZES = (47040016, 60008, 7840016, 10008)


def _idx_files(*checksums: str) -> tuple[DataFile, ...]:
    return tuple(map(DataFile, TRAIN_FILES + TEST_FILES, _SIZES, checksums))


CATALOG = {
    "digits": DatasetInfo(
        name="digits",
        summary="8x8 images of handwritten digits (UCI); ships with snnsim",
        shape=(1, 8, 8),
        classes=10,
        train=1437,
        test=360,
        scale=1 / 16,
        licence="CC BY 4.0 (E. Alpaydin, C. Kaynak)",
        source="UCI Machine Learning Repository, Optical Recognition of Handwritten Digits, test part, "
        "doi:10.24432/C50P49",
        kind="shipped",
        files=(DataFile("digits.npz", 45374, "6f801551877abf69fbf3711373bb642a18dc933430a3385cd6febc235225ea6f"),),
    ),
    "mnist": DatasetInfo(
        name="mnist",
        summary="28x28 images of handwritten digits",
        shape=(1, 28, 28),
        classes=10,
        train=60000,
        test=10000,
        scale=1 / 255,
        licence="CC BY-SA 3.0 (Y. LeCun, C. Cortes, C. J. C. Burges)",
        source="http://yann.lecun.com/exdb/mnist/",
        files=_idx_files(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
    "fashion-mnist": DatasetInfo(
        name="fashion-mnist",
        summary="28x28 images of clothes and shoes",
        shape=(1, 28, 28),
        classes=10,
        train=60000,
        test=10000,
        scale=1 / 255,
        licence="MIT (Zalando SE)",
        source="https://github.com/zalandoresearch/fashion-mnist",
        files=_idx_files(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
    ),
    "nmnist": DatasetInfo(
        name="nmnist",
        summary="MNIST seen by a moving event camera: recordings of 300 ms, 34x34 pixels, 2 polarities",
        shape=(2, 34, 34),
        classes=10,
        train=60000,
        test=10000,
        scale=1,
        licence="Creative Commons (G. Orchard, A. Jayawant, G. Cohen, N. Thakor)",
        source="https://www.garrickorchard.com/datasets/n-mnist, doi:10.3389/fnins.2015.00437",
        files=(),
        kind="recordings",
    ),
    "shd": DatasetInfo(
        name="shd",
        summary="Spiking Heidelberg Digits: spoken digits in English and German as spikes of an artificial cochlea",
        shape=(700,),
        classes=20,
        train=8156,
        test=2264,
        scale=1,
        licence="CC BY 4.0 (B. Cramer, Y. Stradmann, J. Schemmel, F. Zenke)",
        source="https://zenkelab.org/datasets (shd_train.h5 and shd_test.h5, unpacked), doi:10.1109/TNNLS.2020.3044364",
        files=(),
        kind="recordings",
    ),
    "yin-yang": DatasetInfo(
        name="yin-yang",
        summary="points in the yin, the yang or a dot of the sign; generated",
        shape=(YinYang().inputs,),
        classes=3,
        train=YinYang().train,
        test=YinYang().test,
        scale=1,
        licence="none needed",
        source="Kriener, Göltz & Petrovici 2022, doi:10.1145/3517343.3517380",
        files=(),
        kind="generated",
    ),
    "randman": DatasetInfo(
        name="randman",
        summary="spike times on smooth random manifolds, recorded events; generated",
        shape=(Randman().units,),
        classes=Randman().classes,
        train=Randman().classes * Randman().samples * 4 // 5,
        test=Randman().classes * Randman().samples // 5,
        scale=1,
        licence="none needed",
        source="Zenke & Vogels 2021, doi:10.1162/neco_a_01367",
        files=(),
        kind="generated",
    ),
}


def describe(name: str) -> DatasetInfo:
    """Look a set up by its name.

    Raises
    ------
    DataError
        There is no such set.
    """
    if name not in CATALOG:
        close = difflib.get_close_matches(name, CATALOG, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise DataError(f"no data set is called {name!r} (known: {', '.join(CATALOG)}){hint}")
    return CATALOG[name]
