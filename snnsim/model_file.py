"""Model files: a trained network and what it takes to use it, as ``.npz`` with the spec as JSON bytes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnsim.errors import InputError
from snnsim.files import read_arrays, write_arrays
from snnsim.network import Network

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Model:
    """A network, and the settings of the run that made it.

    ``settings`` are keys of a configuration (``data``, ``encoder``, ``train`` with its loss, ``seed``, ``energy``)
    that evaluation starts from; empty for a network that was never in a run.
    """

    network: Network
    settings: dict[str, Any]


def write_model(path: Path, model: Model) -> None:
    """Write a model file; equal models give equal bytes.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    header = {
        "format": FORMAT,
        "input_shape": list(model.network.input_shape),
        "network": model.network.spec,
        "settings": model.settings,
    }
    text = json.dumps(header, sort_keys=True, separators=(",", ":"))
    arrays: dict[str, NDArray[np.generic]] = {"spec": np.frombuffer(text.encode(), np.uint8)}
    write_arrays(path, arrays | dict(model.network.parameters))


def read_model(path: Path) -> Model:
    """Read a model file, or the model of a run directory; no code in it is executed.

    Raises
    ------
    InputError
        No such file, damaged, or of another format.
    """
    file = model_path(path)
    arrays = read_arrays(file)
    try:
        header = json.loads(arrays.pop("spec").tobytes())
        found = header["format"]
        layers, shape, settings = header["network"], header["input_shape"], header["settings"]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: not a model of snnsim, or damaged ({error})") from None
    if found != FORMAT:
        raise InputError(f"{file}: a model of format {found}, this version reads {FORMAT}")
    network = Network.from_config(layers, input_shape=shape)
    network.load_parameters(arrays, str(file))
    return Model(network, settings)


def model_path(path: Path) -> Path:
    """Return the model file that a path names: itself, or that of a run directory.

    Raises
    ------
    InputError
        There is none.
    """
    if path.is_dir():
        file = path / "model.npz"
        if not file.is_file():
            hint = "; the run is not finished: go on with --resume" if (path / "config.yaml").exists() else ""
            raise InputError(f"{path}: holds no model.npz{hint}")
        return file
    if not path.exists():
        raise InputError(f"{path}: no such file or run directory")
    return path
