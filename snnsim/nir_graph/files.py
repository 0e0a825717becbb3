"""NIR files: HDF5 with nested groups, read as nested maps without the library `nir`, written with it.

Reading by itself is what lets files of every version load: `nir` builds its own node classes from what it finds, and
fails where an older version wrote other fields, or where scalars stand beside arrays. No code in a file is executed.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snnsim.errors import InputError
from snnsim.files import write_bytes
from snnsim.memory import require_memory

if TYPE_CHECKING:
    import nir

MISSING = "NIR graphs need the extra 'nir': pip install 'snnsim[nir]'"
DEEPEST = 32


def read_tree(path: Path) -> tuple[Mapping[str, Any], str]:
    """Read a NIR file.

    Returns
    -------
    tree : mapping
        The graph: maps of maps, arrays and text.
    version : str
        What wrote it says of itself; empty in files that say nothing.

    Raises
    ------
    InputError
        No such file, damaged, no NIR graph, or the extra is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise InputError(f"{path}: {MISSING}") from None
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    try:
        with h5py.File(path, "r") as file:
            if not isinstance(file.get("node"), h5py.Group):
                raise InputError(f"not a NIR file (it has no group 'node', found: {', '.join(file) or 'nothing'})")
            tree = _tree(file["node"], "node", 0)
            version = _value(file["version"], "version") if "version" in file else ""
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # damaged HDF5 raises nearly anything: OSError, RuntimeError, KeyError, ValueError, ...
        raise InputError(f"{path}: damaged, or not an HDF5 file as NIR graphs are ({error})") from None
    if tree.get("type") != "NIRGraph":
        raise InputError(f"{path}: holds no NIR graph (its root is of type {tree.get('type')!r})")
    return tree, version if isinstance(version, str) else ""


def write_graph(path: Path, graph: "nir.NIRGraph") -> None:
    """Write a graph; what stood there before is replaced in one step, or untouched."""
    import nir

    content = io.BytesIO()
    nir.write(content, graph)
    write_bytes(path, content.getvalue())


def _tree(group: Any, where: str, depth: int) -> dict[str, Any]:
    import h5py

    if depth > DEEPEST:
        raise InputError(f"{where}: nested too deeply")
    tree: dict[str, Any] = {}
    for name in group:
        inside = f"{where}/{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise InputError(f"{inside}: is a link to elsewhere, which is not followed")
        item = group[name]
        tree[name] = _tree(item, inside, depth + 1) if isinstance(item, h5py.Group) else _value(item, inside)
    return tree


def _value(item: Any, where: str) -> Any:
    """Return what a data set holds: text, or an array."""
    import h5py

    if not isinstance(item, h5py.Dataset) or item.shape is None:
        return None
    try:
        require_memory(int(np.prod(item.shape, dtype=object)) * item.dtype.itemsize, ())
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    value = item[()]
    return value.decode() if isinstance(value, bytes) else np.asarray(value)
