"""Checkpoints: all that training needs to go on with the same bits, in one ``.npz`` file."""

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
class Checkpoint:
    """The state at the end of an epoch.

    Random streams need no state: they are keyed by seed, epoch and sample.

    Attributes
    ----------
    epoch : int
        Epochs that are done.
    parameters, optimizer : dict
        Name to array.
    rows : list of dict
        One row per epoch, as in ``metrics.csv``.
    seconds : float
        Time spent in training so far.
    regressors : dict
        What learns beside the network and is no part of it, name to array.
    """

    epoch: int
    parameters: Mapping[str, NDArray[np.generic]]
    optimizer: Mapping[str, NDArray[np.generic]]
    rows: list[dict[str, Any]]
    seconds: float
    regressors: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole or not at all.

    Raises
    ------
    InputError
        The disk is full or the folder cannot be written; the file that stood there is unchanged.
    """
    header = {
        "format": FORMAT,
        "epoch": checkpoint.epoch,
        "rows": checkpoint.rows,
        "seconds": checkpoint.seconds,
    }
    arrays: dict[str, NDArray[np.generic]] = {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)}
    arrays |= {f"parameters/{name}": array for name, array in checkpoint.parameters.items()}
    arrays |= {f"optimizer/{name}": array for name, array in checkpoint.optimizer.items()}
    arrays |= {f"regressors/{name}": array for name, array in checkpoint.regressors.items()}
    write_arrays(path, arrays)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises
    ------
    InputError
        No such file, or it is damaged or of another format.
    """
    arrays = read_arrays(path)
    try:
        header = json.loads(arrays["header"].tobytes())
        if header["format"] != FORMAT:
            raise InputError(f"{path}: a checkpoint of format {header['format']}, this version reads {FORMAT}")
        return Checkpoint(
            epoch=int(header["epoch"]),
            parameters=_with_prefix(arrays, "parameters/"),
            optimizer=_with_prefix(arrays, "optimizer/"),
            rows=list(header["rows"]),
            seconds=float(header["seconds"]),
            regressors=_with_prefix(arrays, "regressors/"),
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a checkpoint of snnsim, or damaged ({error})") from None


def _with_prefix(arrays: Mapping[str, NDArray[np.generic]], prefix: str) -> dict[str, NDArray[np.generic]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
