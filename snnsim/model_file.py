"""Model files: a network's parameters and what it takes to use it, as ``.npz`` with the spec as JSON bytes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnsim.errors import InputError
from snnsim.files import read_arrays, write_arrays

FORMAT = 1


@dataclass(frozen=True, eq=False)
class StoredModel:
    """What a model file holds.

    Attributes
    ----------
    layers : list
        The network in the network language.
    input_shape : list of int
    parameters : mapping
        Name to array.
    settings : dict
        Keys of a configuration that evaluation starts from (``data``, ``encoder``, ``train`` with its loss, ``seed``,
        ``energy``); empty for a network that was never in a run.
    origin : dict
        What the network was read from, and what was assumed; empty for one of our own.
    """

    layers: list[Any]
    input_shape: list[int]
    parameters: Mapping[str, NDArray[Any]]
    settings: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)


def write_model(path: Path, model: StoredModel) -> None:
    """Write a model file; equal models give equal bytes.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    header: dict[str, Any] = {
        "format": FORMAT,
        "input_shape": model.input_shape,
        "network": model.layers,
        "settings": model.settings,
    } | ({"origin": model.origin} if model.origin else {})
    text = json.dumps(header, sort_keys=True, separators=(",", ":"))
    arrays: dict[str, NDArray[Any]] = {"spec": np.frombuffer(text.encode(), np.uint8)}
    write_arrays(path, arrays | dict(model.parameters))


def is_model(path: Path) -> bool:
    """Whether a path is that of a model, by its name or its content, or of a run directory that holds one."""
    if path.is_dir():
        return (path / "model.npz").exists()
    if path.suffix == ".npz":
        return True
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\x03\x04"  # a zip, as .npz files are
    except OSError:
        return False


def read_model(path: Path) -> tuple[StoredModel, Path]:
    """Read a model file, or the model of a run directory; no code in it is executed.

    Returns
    -------
    StoredModel, Path
        The model, and the file that it is in.

    Raises
    ------
    InputError
        No such file, damaged, or of another format.
    """
    file = _model_path(path)
    arrays = read_arrays(file)
    try:
        header = json.loads(arrays.pop("spec").tobytes())
        found = header["format"]
        stored = StoredModel(
            header["network"], header["input_shape"], arrays, header["settings"], header.get("origin", {})
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: not a model of snnsim, or damaged ({error})") from None
    if found != FORMAT:
        raise InputError(f"{file}: a model of format {found}, this version reads {FORMAT}")
    kinds = ((stored.layers, list), (stored.settings, dict), (stored.origin, dict))
    if not all(isinstance(value, kind) for value, kind in kinds):
        raise InputError(f"{file}: not a model of snnsim, or damaged (network, settings or origin of another kind)")
    return stored, file


def _model_path(path: Path) -> Path:
    """Return the model file that a path names: itself, or that of a run directory."""
    if path.is_dir():
        file = path / "model.npz"
        if not file.is_file():
            hint = "; the run is not finished: go on with --resume" if (path / "config.yaml").exists() else ""
            raise InputError(f"{path}: holds no model.npz{hint}")
        return file
    if not path.exists():
        raise InputError(f"{path}: no such file or run directory")
    return path
