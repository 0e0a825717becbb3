"""What is found on a machine."""

import importlib.metadata
import os
from pathlib import Path
from typing import Any

import pytest

from snnsim import doctor


def test_kernels_are_found_without_compiling() -> None:
    """There are dozens; what is compiled of them lies in one folder."""
    cache = doctor.kernel_cache()
    assert cache.kernels >= 40
    assert 0 <= cache.compiled <= cache.kernels
    assert (cache.size > 0) == (cache.compiled > 0)
    assert cache.folder is not None
    assert doctor.kernel_cache() == cache


def test_an_empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is compiled, and the folder that is not there yet can be made."""
    from snnsim.kernels import update

    kernels = [value for value in vars(update).values() if hasattr(value, "py_func")]
    assert kernels
    monkeypatch.setattr("pkgutil.iter_modules", lambda path, prefix: [(None, f"{prefix}update", False)])
    for kernel in kernels:
        monkeypatch.setattr(type(kernel._cache), "cache_path", property(lambda self: str(tmp_path / "not-yet")))
    assert doctor.kernel_cache() == doctor.KernelCache(str(tmp_path / "not-yet"), True, 0, len(kernels), 0)


def test_compilation_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain functions have no cache."""
    monkeypatch.setattr("pkgutil.iter_modules", lambda path, prefix: [(None, f"{prefix}codes", False)])
    assert doctor.kernel_cache() == doctor.KernelCache(None, False, 0, 0, 0)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz \nmodel name\t: Some CPU\n", "Some CPU @ 2.00GHz"),
        ("Processor\t: ARMv7\n", "arch"),
    ],
)
def test_the_processor(monkeypatch: pytest.MonkeyPatch, text: str, name: str) -> None:
    """Its name as the system says it; where it says none, the architecture."""
    monkeypatch.setattr(Path, "read_text", lambda self, **options: text)
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "arch")
    assert doctor.cpu_name() == name


def test_extras_are_present_or_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the requirements of the package itself."""
    required = [
        "numpy>=2.0",
        'numpy>=2.0; extra == "there"',
        'surely-not-installed>=1; extra == "gone"',
        'numpy>=2.0; extra == "gone"',
        'snnsim[there]; extra == "all"',
    ]
    real = importlib.metadata.requires

    def requires(name: str) -> Any:
        return required if name == "snnsim" else real(name)

    monkeypatch.setattr("importlib.metadata.requires", requires)
    version = importlib.metadata.version("numpy")
    assert doctor.extras() == [
        doctor.Extra("there", {"numpy": version}, []),
        doctor.Extra("gone", {"numpy": version}, ["surely-not-installed"]),
    ]


def test_threads_and_cores() -> None:
    """As many threads as cores that this process may use."""
    found = doctor.examine()
    assert found.threads <= found.cores == os.cpu_count()
    assert found.blas
