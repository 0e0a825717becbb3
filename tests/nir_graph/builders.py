"""Graphs for the tests: chains of nodes of the library ``nir``, and files of them by hand."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np


def chain(*nodes: nir.NIRNode, shape: tuple[int, ...] | None = None) -> nir.NIRGraph:
    """Return a graph of nodes in a row, between an input of a shape (that of the first node) and an output."""
    first = np.array(shape) if shape is not None else nodes[0].input_type["input"]
    names = ["input", *(f"n{k}" for k in range(len(nodes))), "output"]
    ends = nir.Input(input_type=first), nir.Output(output_type=next(iter(nodes[-1].output_type.values())))
    return nir.NIRGraph(
        nodes=dict(zip(names, (ends[0], *nodes, ends[1]), strict=True)),
        edges=list(pairwise(names)),
        type_check=False,
    )


def affine(weight: Any, bias: Any = None) -> nir.NIRNode:
    """Return weights with or without a bias."""
    array = np.array(weight, np.float32)
    return nir.Linear(weight=array) if bias is None else nir.Affine(weight=array, bias=np.array(bias, np.float32))


def lif(n: int, **values: float) -> nir.LIF:
    """Return n neurons of beta 0.5 at steps of 1e-4 s (euler), gain 1, threshold 1."""
    usual = {"tau": 2e-4, "r": 2.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    return nir.LIF(**{key: np.full(n, value) for key, value in (usual | values).items()})


def write_tree(path: Path, tree: Mapping[str, Any], version: str | None = "0.1.1") -> Path:
    """Write nested maps as a NIR file, as any version of the library might have."""

    def fill(group: Any, values: Mapping[str, Any]) -> None:
        for key, value in values.items():
            if isinstance(value, Mapping):
                fill(group.create_group(key), value)
            else:
                group.create_dataset(key, data=value, dtype=h5py.string_dtype() if key == "edges" else None)

    with h5py.File(path, "w") as file:
        if version is not None:
            file.create_dataset("version", data=version, dtype=h5py.string_dtype())
        fill(file.create_group("node"), tree)
    return path


def tree_of(nodes: Mapping[str, Mapping[str, Any]], edges: list[tuple[str, str]]) -> dict[str, Any]:
    """Return the nested maps of a graph."""
    return {"type": "NIRGraph", "nodes": nodes, "edges": edges}
