"""The order of a graph's nodes, whatever order they are kept in."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnsim import InputError
from snnsim.nir_graph.graph import Graph

Edges = list[tuple[str, str]]

KINDS = {"in": "Input", "fc": "Affine", "lif": "LIF", "rec": "Linear", "fc2": "Linear", "li": "LI", "out": "Output"}
CHAIN: Edges = [("in", "fc"), ("fc", "lif"), ("lif", "fc2"), ("fc2", "li"), ("li", "out")]
CYCLE: Edges = [("lif", "rec"), ("rec", "lif")]


def tree(edges: Any, *names: str, **more: Any) -> dict[str, Any]:
    """Return a graph of the named nodes, and of ``more``."""
    nodes: dict[str, Any] = {name: {"type": KINDS[name]} for name in names} | more
    return {"type": "NIRGraph", "nodes": nodes, "edges": edges}


def order(graph: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Return the names of a graph's stages, and of their recurrent weights."""
    return [(node.name, None if back is None else back.name) for node, back in Graph.of(graph).stages()]


@given(st.permutations(sorted(KINDS)), st.permutations(CHAIN + CYCLE))
def test_edges_say_the_order(names: list[str], edges: Edges) -> None:
    """Nodes and edges in any order are the same chain; a cycle of neurons and weights is recurrence."""
    assert order(tree(edges, *names)) == [("fc", None), ("lif", "rec"), ("fc2", None), ("li", None)]


def test_ends_may_be_missing_and_edges_doubled() -> None:
    """Old files have neither ends nor single edges."""
    graph = tree([*CHAIN[1:3], CHAIN[1], (b"lif", b"rec"), (b"rec", b"lif")], "fc", "lif", "rec", "fc2")

    assert order(graph) == [("fc", None), ("lif", "rec"), ("fc2", None)]
    assert Graph.of(graph).start is None


def test_subgraphs_are_written_out() -> None:
    """A recurrent subgraph, and one that holds a part of the chain, in one another; names tell the way in."""
    inner = tree([("in", "lif"), ("lif", "rec"), ("rec", "lif"), ("lif", "out")], "in", "lif", "rec", "out")
    block = tree([("in", "fc"), ("fc", "r.1"), ("r.1", "out")], "in", "fc", "out", **{"r.1": inner})
    graph = tree([("in", "b"), ("b", "fc2"), ("fc2", "out")], "in", "fc2", "out", b=block)

    assert order(graph) == [("b.fc", None), ("b.r.1.lif", "b.r.1.rec"), ("fc2", None)]
    start = Graph.of(graph).start
    assert start is not None
    assert start.name == "in"


ALL = tuple(KINDS)
FAULTS: dict[str, tuple[Any, str]] = {
    "branch": (tree([*CHAIN, ("fc", "li")], "in", "fc", "lif", "fc2", "li", "out"), r"'fc' \(Affine\): leads to"),
    "join": (
        tree([*CHAIN[:3], ("rec", "fc2"), ("fc2", "out")], "in", "fc", "lif", "rec", "fc2", "out"),
        r"node 'fc2' \(Linear\): is reached from 'lif' and 'rec'; a network is one chain",
    ),
    "busy recurrence": (
        tree([*CHAIN, *CYCLE, ("rec", "li")], *ALL),
        r"node 'rec' \(Linear\): is in a cycle with 'lif' and also connected to 'li'",
    ),
    "longer cycle": (
        tree([*CHAIN[:3], ("fc2", "fc"), CHAIN[3], CHAIN[4]], "in", "fc", "lif", "fc2", "li", "out"),
        r"node 'fc2' \(Linear\): leads to 'fc' and 'li'",
    ),
    "cycle aside": (
        tree([CHAIN[0], ("fc", "out"), *CHAIN[2:4], ("li", "lif")], "in", "fc", "out", "lif", "fc2", "li"),
        r"'fc2' and 'li' and 'lif': not on the way from the input to the output",
    ),
    "own cycle": (
        tree([*CHAIN, ("lif", "lif")], "in", "fc", "lif", "fc2", "li", "out"),
        r"node 'lif' \(LIF\): leads to",
    ),
    "two inputs": (
        tree([*CHAIN, ("rec", "out")], *ALL),
        r"node 'out' \(Output\): is reached from 'li' and 'rec'",
    ),
    "loose node": (tree(CHAIN, *ALL), r"must have one node that nothing leads to, its input \(has 'in' and 'rec'\)"),
    "nothing but a cycle": (tree([("fc", "lif"), ("lif", "fc2"), ("fc2", "fc")], "fc", "lif", "fc2"), r"\(has none\)"),
    "unknown node": (tree([*CHAIN, ("fc", "fc3")], *ALL), r"the graph: has an edge with 'fc3', but no such node"),
    "no nodes": ({"type": "NIRGraph", "edges": CHAIN}, "the graph: has no nodes"),
    "no edges": (tree(None, "in", "fc", "out"), r"its input \(has 'fc' and 'in' and 'out'\)"),
    "edges of three": (tree([("in", "fc", "out")], "in", "fc", "out"), "edges must be pairs of node names"),
    "edges of numbers": (tree([(1, 2)], "in", "fc", "out"), "edges must be pairs of node names"),
    "edges of text": (tree("in-out", "in", "fc", "out"), "edges must be pairs of node names"),
    "no type": (tree(CHAIN, "in", x={"weight": 1}), "node 'x': has no type"),
    "no map": (tree(CHAIN, "in", x=3), "node 'x': has no type"),
    "subgraph without an end": (
        tree([("in", "s"), ("s", "out")], "in", "out", s=tree([("in", "fc")], "in", "fc")),
        r"subgraph 's': must have one Output node \(has 0\)",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_graph_that_is_no_chain_is_refused(case: str) -> None:
    """One message, which names the nodes."""
    graph, message = FAULTS[case]
    with pytest.raises(InputError, match=message):
        Graph.of(graph).stages()


def test_nesting_has_an_end() -> None:
    """Graphs in graphs in graphs are refused, not followed until the stack is full."""
    graph = tree([("in", "out")], "in", "out")
    for _ in range(2000):
        graph = tree([("in", "s"), ("s", "out")], "in", "out", s=graph)
    with pytest.raises(InputError, match="is nested too deeply"):
        Graph.of(graph)
