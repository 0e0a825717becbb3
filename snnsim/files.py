"""Files written whole or not at all: into a temporary file beside the target, then renamed."""

import io
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snnsim.errors import InputError


def write_bytes(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` in one step.

    Raises
    ------
    InputError
        The file cannot be written (no permission, disk full); what stood there before is untouched.
    """
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); what stood there before is unchanged"
        ) from None
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def write_text(path: Path, content: str) -> None:
    """Replace ``path`` by a text in UTF-8; see `write_bytes`."""
    write_bytes(path, content.encode("utf-8"))


def write_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Replace ``path`` by an ``.npz`` archive; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asanyarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue())
    write_bytes(path, buffer.getvalue())


def read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read every array of an ``.npz`` archive; code in it is never executed.

    Raises
    ------
    InputError
        No such file, or it is damaged.
    """
    try:
        if path.is_file() and not zipfile.is_zipfile(path):
            raise InputError(f"{path}: not an .npz archive, or cut off")
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:  # damaged archives raise nearly anything: zlib, struct, NotImplementedError, ...
        raise InputError(f"{path}: not a readable .npz archive ({error})") from None
