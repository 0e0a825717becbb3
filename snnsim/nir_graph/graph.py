"""A NIR graph as plain data, and the order of its nodes.

Nodes come in any order (files keep them alphabetically); the edges alone say what follows what.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snnsim.errors import InputError

NEURONS = frozenset({"IF", "LIF", "CubaLIF"})
WEIGHTS = frozenset({"Affine", "Linear"})
ENDS = frozenset({"Input", "Output"})
# NIR's own subgraphs nest once; a file that nests deeper than this is not one of a network.
DEEPEST = 8


@dataclass(frozen=True, eq=False)
class Node:
    """A node: its name, its type, its values as they are stored, and what snnsim noted in its metadata."""

    name: str
    kind: str
    values: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def fault(self, text: str) -> InputError:
        """Return the error that says what is wrong with this node."""
        return InputError(f"node {self.name!r} ({self.kind}): {text}")

    def numbers(self, key: str, default: float | None = None) -> NDArray[np.float64]:
        """Return an array of finite numbers.

        Raises
        ------
        InputError
            There is none and no default, or it holds something else.
        """
        value = self.values.get(key, default)
        if value is None:
            raise self.fault(f"has no {key}")
        array = np.asarray(value)
        if array.dtype.kind not in "fiub" or array.size == 0:
            raise self.fault(f"{key} must be numbers")
        array = array.astype(np.float64)
        if not np.isfinite(array).all():
            raise self.fault(f"{key} holds NaN or infinite values")
        return array

    def sizes(self, key: str, default: int | None = None, *, least: int = 1) -> list[int]:
        """Return two whole numbers, for rows and columns; one stands for both."""
        array = self.numbers(key, default).reshape(-1)
        if array.size not in (1, 2) or (array != np.rint(array)).any() or (array < least).any():
            raise self.fault(f"{key} must be one or two whole numbers of at least {least} (got {array.tolist()})")
        rows, columns = np.broadcast_to(array, 2)
        return [int(rows), int(columns)]


class Stage(NamedTuple):
    """A node of the chain from input to output, and for recurrent neurons the node of their recurrent weights."""

    node: Node
    recurrent: Node | None


@dataclass(frozen=True)
class Graph:
    """Nodes by name, and edges from node to node; subgraphs are written out, their nodes called ``outer.inner``.

    ``start`` is the graph's own input node, where it has one; the ends of subgraphs are nodes among the others.
    ``metadata`` are empty unless snnsim wrote the graph: NIR leaves their meaning open.
    """

    nodes: Mapping[str, Node]
    edges: frozenset[tuple[str, str]]
    start: Node | None
    metadata: Mapping[str, Any]

    @classmethod
    def of(cls, tree: Mapping[str, Any]) -> "Graph":
        """Make a graph of nested maps as NIR files hold them.

        Raises
        ------
        InputError
            The maps are not those of a graph; names the node.
        """
        metadata = _map(tree.get("metadata"))
        ours = "snnsim" in metadata
        nodes, edges, doors = _written_out(tree, "", 0, ours=ours)
        inputs = doors["Input"]
        start = nodes[inputs[0]] if len(inputs) == 1 else None
        return cls(nodes, frozenset(edges), start, metadata if ours else {})

    def stages(self) -> list[Stage]:
        """Return the nodes from input to output, without the ends.

        Raises
        ------
        InputError
            The graph is not one chain, recurrent pairs of a neuron and a weight node aside; names the nodes.
        """
        recurrent = dict(self._recurrent_pairs())
        loops = {pair for neuron, weight in recurrent.items() for pair in ((neuron, weight), (weight, neuron))}
        after: dict[str, list[str]] = {}
        before: dict[str, list[str]] = {}
        for source, target in sorted(self.edges - loops):
            after.setdefault(source, []).append(target)
            before.setdefault(target, []).append(source)
        for way, beside in (("leads to", after), ("is reached from", before)):
            for name, others in beside.items():
                if len(others) > 1:
                    raise self.nodes[name].fault(
                        f"{way} {_listed(others)}; a network is one chain of layers, without branches"
                    )
        order = list(self._walk(after, before, set(recurrent.values())))
        left = sorted(self.nodes.keys() - set(order) - set(recurrent.values()))
        if left:
            raise InputError(
                f"{_listed(left)}: not on the way from the input to the output; a network is one chain of layers, "
                "recurrent weights from a neuron node to itself aside"
            )
        steps = [name for name in order if self.nodes[name].kind not in ENDS]
        return [Stage(self.nodes[name], self.nodes.get(recurrent.get(name, ""))) for name in steps]

    def _recurrent_pairs(self) -> Iterator[tuple[str, str]]:
        """Yield the pairs of a neuron and its recurrent weights: a cycle of two nodes."""
        for neuron, weight in sorted(self.edges):
            if (weight, neuron) not in self.edges:
                continue
            if self.nodes[neuron].kind not in NEURONS or self.nodes[weight].kind not in WEIGHTS:
                continue
            others = {name for edge in self.edges if weight in edge for name in edge} - {weight, neuron}
            if others:
                raise self.nodes[weight].fault(
                    f"is in a cycle with {neuron!r} and also connected to {_listed(sorted(others))}"
                )
            yield neuron, weight

    def _walk(self, after: Mapping[str, list[str]], before: Mapping[str, list[str]], aside: set[str]) -> Iterator[str]:
        heads = sorted(name for name in self.nodes if name not in before and name not in aside)
        if len(heads) != 1:
            found = _listed(heads) if heads else "none"
            raise InputError(f"must have one node that nothing leads to, its input (has {found})")
        name: str | None = heads[0]
        while name is not None:
            yield name
            (name,) = after.get(name, [None])


def _written_out(
    tree: Mapping[str, Any], prefix: str, depth: int, *, ours: bool
) -> tuple[dict[str, Node], set[tuple[str, str]], dict[str, list[str]]]:
    """Return the nodes and edges of a graph, those of its subgraphs among them, and the names of its own ends."""
    called = f"subgraph {prefix.removesuffix('.')!r}" if prefix else "the graph"
    inner = tree.get("nodes")
    if not isinstance(inner, Mapping) or not inner or depth > DEEPEST:
        raise InputError(f"{called}: {'has no nodes' if depth <= DEEPEST else 'is nested too deeply'}")
    nodes: dict[str, Node] = {}
    edges: set[tuple[str, str]] = set()
    doors: dict[str, list[str]] = {kind: [] for kind in ENDS}
    inside: dict[str, dict[str, list[str]]] = {}
    for key, values in inner.items():
        name = f"{prefix}{key}"
        kind = values.get("type") if isinstance(values, Mapping) else None
        if not isinstance(kind, str):
            raise InputError(f"node {name!r}: has no type")
        if kind == "NIRGraph":
            below, between, inside[name] = _written_out(values, f"{name}.", depth + 1, ours=ours)
            nodes |= below
            edges |= between
            continue
        nodes[name] = Node(name, kind, values, _map(values.get("metadata")) if ours else {})
        if kind in ENDS:
            doors[kind].append(name)
    for source, target in _pairs(tree.get("edges"), called):
        edge = (_door(inside, f"{prefix}{source}", "Output"), _door(inside, f"{prefix}{target}", "Input"))
        for end, given in zip(edge, (source, target), strict=True):
            if end not in nodes:
                raise InputError(f"{called}: has an edge with {given!r}, but no such node")
        edges.add(edge)
    return nodes, edges, doors


def _door(inside: Mapping[str, Mapping[str, list[str]]], name: str, kind: str) -> str:
    """Return the node that an edge with ``name`` means: of a subgraph, the end by which it is entered or left."""
    if name not in inside:
        return name
    found = inside[name][kind]
    if len(found) != 1:
        raise InputError(f"subgraph {name!r}: must have one {kind} node (has {len(found)})")
    return found[0]


def _pairs(value: object, called: str) -> list[tuple[str, str]]:
    """Return edges as pairs of names."""
    rows: Any = [] if value is None else np.asarray(value, object).tolist()
    pairs = []
    for row in rows if isinstance(rows, list) else [rows]:
        ends = row if isinstance(row, (list, tuple)) else ()
        names = [end.decode(errors="replace") if isinstance(end, bytes) else end for end in ends]
        if len(names) != 2 or not all(isinstance(name, str) for name in names):
            raise InputError(f"{called}: its edges must be pairs of node names")
        pairs.append((names[0], names[1]))
    return pairs


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listed(names: list[str]) -> str:
    return " and ".join(map(repr, names)) if len(names) < 4 else f"{', '.join(map(repr, names[:3]))} and others"
