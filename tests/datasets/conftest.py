import os
from pathlib import Path

import pytest

from datasets.builders import small_set
from snnsim.datasets.catalog import CATALOG

REAL_DATA = os.environ.get("SNNSIM_DATA")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is found on this machine but what a test puts there; gives the user's cache, which is empty."""
    monkeypatch.delenv("SNNSIM_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("snnsim.datasets.locate.sys.platform", "linux")
    return tmp_path / "cache" / "snnsim"


@pytest.fixture
def small_mnist(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Put a set of 50 + 20 images of 4x4 in the place of MNIST; gives the content of its files."""
    info, contents = small_set()
    monkeypatch.setitem(CATALOG, "mnist", info)
    return contents


@pytest.fixture
def real_data() -> Path:
    """Give the folder with the genuine MNIST and Fashion-MNIST; tests without it are skipped."""
    if not (REAL_DATA and (Path(REAL_DATA) / "mnist").is_dir() and (Path(REAL_DATA) / "fashion-mnist").is_dir()):
        pytest.skip("SNNSIM_DATA does not hold the genuine mnist and fashion-mnist")
    return Path(REAL_DATA)
