"""What a NIR graph computes, by the definitions of NIR alone: plain NumPy, float64, a step at a time.

Nothing is shared with snnsim: nodes are those of the library ``nir``, followed along the edges.
"""

from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from reference.convolution import convolve, geometry, pool

Array = NDArray[np.float64]
State = dict[str, Array]


def run(graph: nir.NIRGraph, x: NDArray[Any], *, dt: float = 1e-4, exact: bool = False) -> dict[str, Array]:
    """Run a graph on x [T, B, ...]; return what each node puts out, [T, B, ...], nodes of subgraphs as outer.inner."""
    state: State = {}
    steps = [_step(graph, x_t.astype(np.float64), state, "", dt, exact) for x_t in x]
    return {name: np.stack([outputs[name] for outputs in steps]) for name in steps[0]}


def _step(graph: nir.NIRGraph, x: Array, state: State, prefix: str, dt: float, exact: bool) -> dict[str, Array]:
    """Run one step: nodes in the order of the edges, what comes back around a cycle from the step before."""
    (first,) = (name for name, node in graph.nodes.items() if isinstance(node, nir.Input))
    outputs: dict[str, Array] = {prefix + first: x}
    todo = [name for name in graph.nodes if name != first]
    while todo:
        for name in todo:
            node, called = graph.nodes[name], prefix + name
            before = [a for a, b in graph.edges if b == name]
            late = [a for a in before if (name, a) in graph.edges and _is_neuron(node)]
            if all(prefix + a in outputs for a in before if a not in late):
                signal = sum(outputs[prefix + a] for a in before if a not in late)
                for a in late:
                    shape = (len(x), len(graph.nodes[a].weight))
                    signal = signal + state.get(f"{prefix}{a}: before", _affine(graph.nodes[a], np.zeros(shape)))
                if isinstance(node, nir.NIRGraph):
                    inner = _step(node, np.asarray(signal), state, f"{called}.", dt, exact)
                    (last,) = (key for key, below in node.nodes.items() if isinstance(below, nir.Output))
                    outputs |= inner | {called: inner[f"{called}.{last}"]}
                else:
                    outputs[called] = _node(node, np.asarray(signal), state, called, dt, exact)
                todo.remove(name)
                break
        else:
            raise AssertionError(f"cannot be ordered: {todo}")
    for a, b in graph.edges:
        if (b, a) in graph.edges and not _is_neuron(graph.nodes[a]):
            state[f"{prefix}{a}: before"] = outputs[prefix + a]
    return outputs


def _is_neuron(node: nir.NIRNode) -> bool:
    return isinstance(node, nir.IF | nir.LIF | nir.CubaLIF)


def _node(node: nir.NIRNode, x: Array, state: State, name: str, dt: float, exact: bool) -> Array:
    match node:
        case nir.Affine() | nir.Linear():
            return _affine(node, x)
        case nir.Conv2d() | nir.SumPool2d() | nir.AvgPool2d():
            return _image(node, x)
        case nir.Flatten():
            return np.asarray(x.reshape(len(x), *np.ravel(node.output_type["output"])), np.float64)
        case nir.Output():
            return x
    return _neuron(node, x, state, name, dt, exact)


def _affine(node: nir.NIRNode, x: Array) -> Array:
    bias = node.bias if isinstance(node, nir.Affine) else np.zeros(len(node.weight))
    current: Array = x @ node.weight.T.astype(np.float64) + bias
    return current


def _image(node: nir.NIRNode, x: Array) -> Array:
    if isinstance(node, nir.Conv2d):
        given = node.padding
        padding = ("same" if given == "same" else 0) if isinstance(given, str) else [int(n) for n in given]
        options = {
            "out": len(node.weight),
            "kernel": list(node.weight.shape[2:]),
            "stride": [int(n) for n in node.stride],
            "dilation": [int(n) for n in node.dilation],
            "padding": padding,
        }
        at = geometry("conv2d", options, x.shape[1:])
        return np.asarray(convolve(x, node.weight.astype(np.float64), node.bias, at, int(node.groups)))
    assert not np.any(node.padding)
    name = "sum_pool2d" if isinstance(node, nir.SumPool2d) else "avg_pool2d"
    sizes = {"kernel": [int(n) for n in node.kernel_size], "stride": [int(n) for n in node.stride]}
    return np.asarray(pool(name, x, geometry(name, sizes, x.shape[1:])))


def _neuron(node: nir.NIRNode, x: Array, state: State, name: str, dt: float, exact: bool) -> Array:
    """``tau dv/dt = (v_leak - v) + r I`` over a step, its input held; v > threshold: a spike, and v = v_reset."""

    def share(tau: Array) -> Array:
        return np.asarray(-np.expm1(-dt / tau) if exact else dt / tau)

    if isinstance(node, nir.CubaLIF | nir.CubaLI):
        i = state.get(f"{name}: i", np.zeros_like(x))
        x = state[f"{name}: i"] = i + share(node.tau_syn) * (node.w_in * x - i)
    v: Array = state.get(f"{name}: v", np.zeros_like(x))
    if isinstance(node, nir.IF | nir.I):
        v = v + node.r * x
    else:
        tau = node.tau_mem if isinstance(node, nir.CubaLIF | nir.CubaLI) else node.tau
        v = v + share(tau) * (node.v_leak - v + node.r * x)
    state[f"{name}: v"] = v
    if not _is_neuron(node):
        return v
    spikes: Array = np.asarray(v > node.v_threshold, np.float64)
    state[f"{name}: v"] = np.where(spikes > 0, node.v_reset, v)
    return spikes
