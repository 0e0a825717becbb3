"""What snnsim finds on this machine: processor and threads, compiled kernels, BLAS, data sets, optional packages."""

import importlib
import os
import pkgutil
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

# What a machine calls its processor in /proc/cpuinfo; on other architectures there may be no such line.
_MODEL_NAME = re.compile(r"(?m)^model name\s*:\s*(.+?)\s*$")
_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[([\w,. -]+)\])?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([\w.-]+)["']""")


@dataclass(frozen=True)
class KernelCache:
    """Where compiled kernels are kept: ``compiled`` of ``kernels`` are there, ``size`` in bytes.

    ``folder`` is None where compilation is switched off.
    """

    folder: str | None
    writable: bool
    compiled: int
    kernels: int
    size: int


@dataclass(frozen=True)
class Blas:
    """A library of matrix products that is loaded, and how many threads it takes outside of snnsim's workers."""

    name: str
    version: str
    threads: int
    file: str


@dataclass(frozen=True)
class DataSet:
    """A set known by name: its folder or file, ``generated``, or None where it is missing."""

    name: str
    location: str | None


@dataclass(frozen=True)
class Extra:
    """A group of optional packages: the versions of those that are there, and the names of those that are missing."""

    name: str
    present: dict[str, str]
    missing: list[str]


@dataclass(frozen=True)
class Diagnosis:
    """What was found."""

    versions: dict[str, str]
    platform: str
    cpu: str
    cores: int
    threads: int
    cache: KernelCache
    blas: list[Blas]
    data_folders: list[str]
    data: list[DataSet]
    extras: list[Extra]


def examine(data_dir: Path | None = None) -> Diagnosis:
    """Look at everything; nothing is compiled, written or downloaded."""
    from snnsim.datasets import list_datasets, places
    from snnsim.execution import thread_count

    found = [
        DataSet(entry.name, "generated" if entry.kind == "generated" else _text(entry.location))
        for entry in list_datasets(data_dir)
    ]
    return Diagnosis(
        versions=versions(),
        platform=platform.platform(),
        cpu=cpu_name(),
        cores=os.cpu_count() or 1,
        threads=thread_count(None),
        cache=kernel_cache(),
        blas=list(_blas()),
        data_folders=[f"{folder} ({origin})" for folder, origin in places(data_dir)],
        data=found,
        extras=extras(),
    )


def versions() -> dict[str, str]:
    """Return the versions that results can depend on."""
    packages = ("snnsim", "numpy", "numba", "llvmlite")
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in packages}


def cpu_name() -> str:
    """Return what the processor is called, or its architecture."""
    try:
        match = _MODEL_NAME.search(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        match = None
    return match[1] if match else platform.processor() or platform.machine()


def kernel_cache() -> KernelCache:
    """Look for the compiled kernels, without compiling any."""
    package = importlib.import_module("snnsim.kernels")
    names = [name for _, name, _ in pkgutil.iter_modules(package.__path__, "snnsim.kernels.")]
    kernels = [
        (Path(value.stats.cache_path), f"{name.rpartition('.')[2]}.{value.py_func.__qualname__}-")
        for name in names
        for value in vars(importlib.import_module(name)).values()
        if hasattr(value, "py_func") and value.py_func.__module__ == name
    ]
    if not kernels:
        return KernelCache(None, False, 0, 0, 0)
    folder = kernels[0][0]
    files = [path for path in folder.iterdir() if path.suffix in (".nbi", ".nbc")] if folder.is_dir() else []
    compiled = sum(any(path.name.startswith(start) and path.suffix == ".nbi" for path in files) for _, start in kernels)
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    size = sum(path.stat().st_size for path in files)
    return KernelCache(str(folder), os.access(existing, os.W_OK), compiled, len(kernels), size)


def extras() -> list[Extra]:
    """Return every extra of the package with what is installed of it."""
    wanted: dict[str, list[str]] = {}
    for requirement in metadata.requires("snnsim") or []:
        extra, package = _EXTRA.search(requirement), _REQUIREMENT.match(requirement)
        if extra and package and package[1] != "snnsim":  # an extra that names others has no packages of its own
            wanted.setdefault(extra[1], []).append(package[1])
    return [_extra(name, packages) for name, packages in wanted.items()]


def _extra(name: str, packages: list[str]) -> Extra:
    present = {package: version for package in packages if (version := _version(package))}
    return Extra(name, present, [package for package in packages if package not in present])


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _blas() -> Iterator[Blas]:
    importlib.import_module("numpy")  # what is loaded can be found
    from threadpoolctl import threadpool_info

    for library in threadpool_info():
        if library["user_api"] == "blas":
            version = library.get("version") or "unknown version"
            kind = f"{version}, {library['architecture']}" if library.get("architecture") else version
            yield Blas(library["internal_api"], kind, library["num_threads"], library["filepath"])


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
