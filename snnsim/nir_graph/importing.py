"""NIR graphs read as networks."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snnsim.errors import InputError, key_name
from snnsim.layers import Shape
from snnsim.layers.window import Window
from snnsim.network import Network
from snnsim.nir_graph.building import Builder, Weights
from snnsim.nir_graph.files import read_tree
from snnsim.nir_graph.graph import Graph, Node, Stage
from snnsim.nir_graph.neurons import LAYERS, checked_reset, read_neuron
from snnsim.nir_graph.steps import DT, Step

if TYPE_CHECKING:
    import nir

PORTABLE = "Affine, Linear, Conv2d, SumPool2d, AvgPool2d, Flatten, IF, LIF, CubaLIF, I, LI and CubaLI"


def from_nir(
    source: "str | Path | nir.NIRGraph",
    *,
    dt: float | None = None,
    discretization: str | None = None,
    reset: str | None = None,
) -> Network:
    """Make a network of a NIR graph; what was assumed is in the network's ``origin``.

    Parameters
    ----------
    source
        A file, or a graph of the library ``nir``.
    dt
        Length of a step, in the unit of the graph's time constants (seconds, in NIR). By default 1e-4, or what
        snnsim wrote into the graph.
    discretization
        ``"euler"``: a membrane keeps ``1 - dt/tau`` a step, its input counts ``r dt/tau``; ``"exp"``:
        ``exp(-dt/tau)`` and ``r (1 - exp(-dt/tau))``. By default euler, or what snnsim wrote into the graph.
    reset
        ``"zero"``: to ``v_reset``, as NIR defines it; ``"subtract"``: neurons subtract their threshold, for graphs
        whose writer meant that, which NIR cannot say. By default zero, or what snnsim wrote into the graph.

    Raises
    ------
    InputError
        No such file, damaged, or a graph with something that a network cannot hold; names the node.

    Notes
    -----
    A node without a time constant (IF, I) has a step for its unit of time: its input counts r, whatever ``dt`` is.

    References
    ----------
    .. [1] Pedersen et al., Neuromorphic intermediate representation: a unified instruction set for interoperable
       brain-inspired computing, Nature Communications 15 (2024). doi:10.1038/s41467-024-52259-9
    """
    if isinstance(source, (str, Path)):
        tree, version = read_tree(Path(source))
        called = f"{source}: "
    else:
        tree, version, called = _plain(source), "", ""
    try:
        # What overflows is found where parameters must be finite.
        with np.errstate(over="ignore", invalid="ignore"):
            return _network(Graph.of(tree), version, dt, discretization, checked_reset(reset))
    except InputError as error:
        raise InputError(f"{called}{key_name(error.path)}{': ' if error.path else ''}{error}") from None


def _plain(graph: "nir.NIRGraph") -> Mapping[str, Any]:
    """Return a graph of the library as nested maps."""
    if not hasattr(graph, "to_dict") or not hasattr(graph, "nodes"):
        raise InputError(f"must be a file or a nir.NIRGraph (got {type(graph).__name__})")
    for name, node in graph.nodes.items():
        if node is None:  # as tools write what they have no node for
            raise InputError(f"node {name!r}: is empty; the tool that made the graph has no NIR node for it")
    plain: Mapping[str, Any] = graph.to_dict()
    return plain


def _network(graph: Graph, version: str, dt: float | None, discretization: str | None, reset: str | None) -> Network:
    written = Node("", "NIRGraph", graph.metadata)
    step = Step(
        float(written.numbers("dt", DT).reshape(-1)[0] if dt is None else dt),
        str(graph.metadata.get("discretization", "euler") if discretization is None else discretization),
    )
    stages = graph.stages()
    builder = Builder(_input_shape(graph, stages))
    input_shape = builder.shape
    for index, stage in enumerate(stages):
        _add(builder, stage, step, reset, last=index == len(stages) - 1)
    _end(builder, stages)
    parameters = builder.finish()
    network = Network.from_config(builder.layers, input_shape=input_shape)
    network.load_parameters(parameters, "the graph")
    network.origin = {
        "format": "NIR",
        "version": version,
        "dt": step.dt,
        "discretization": step.discretization,
        "assumed": builder.notes,
    }
    return network


def _input_shape(graph: Graph, stages: list[Stage]) -> Shape:
    """Return the shape of a sample: what the input node says, or what the first layer takes."""
    if not stages:
        raise InputError("the graph has no layers")
    first = stages[0].node
    if graph.start is not None and "shape" in graph.start.values:
        sizes = graph.start.numbers("shape")
    elif first.kind in ("Affine", "Linear"):
        sizes = np.array(first.numbers("weight").shape[-1:])
    elif first.kind == "Conv2d" and first.values.get("input_shape") is not None:
        channels = first.numbers("weight").shape[1:2] * first.numbers("groups", 1)
        sizes = np.concatenate([channels, first.numbers("input_shape").reshape(-1)])
    elif first.kind in LAYERS and first.numbers("r").ndim:
        sizes = np.array(first.numbers("r").shape)
    else:
        raise first.fault("is the first layer, and no input node says what shape it gets")
    sizes = sizes.reshape(-1)
    if (sizes != np.rint(sizes)).any() or (sizes < 1).any():
        raise InputError(f"the input's shape must be whole numbers of at least 1 (got {sizes.tolist()})")
    shape = tuple(int(size) for size in sizes)
    while len(shape) not in (1, 3) and shape[0] == 1:  # some writers leave the axis of the batch in
        shape = shape[1:]
    return shape


def _add(builder: Builder, stage: Stage, step: Step, reset: str | None, *, last: bool) -> None:
    """Add the layer of a node."""
    node = stage.node
    if node.kind in LAYERS:
        _add_neurons(builder, stage, step, reset, last=last)
    elif node.kind in _LAYERS_WITHOUT_STATE:
        _LAYERS_WITHOUT_STATE[node.kind](builder, node)
    else:
        raise node.fault(f"has no counterpart in the network language; it reads {PORTABLE}")


def _add_neurons(builder: Builder, stage: Stage, step: Step, reset: str | None, *, last: bool) -> None:
    node, written = stage.node, stage.node.metadata
    if reset is None and str(written.get("reset")) == "subtract":
        reset = "subtract"
    neuron = read_neuron(node, builder.shape, step, reset)
    options: dict[str, Any] = {}
    if neuron.reset is None and not last:
        raise node.fault("does not fire, which only the last layer of a network may")
    if neuron.reset is not None:
        options["reset"] = neuron.reset
        builder.notes.append(f"{node.name}: {_reset_note(node, neuron.reset)}")
    if neuron.rest.any():
        builder.notes.append(f"{node.name}: the membrane is counted from v_reset, and begins there")
    if last:
        usual, others = ("count", ("rate",)) if neuron.reset is not None else ("mean", ("sum", "max", "last"))
        noted = str(written.get("readout"))
        options["readout"] = noted if noted in others else usual
        builder.notes.append(f"{node.name}: readout {options['readout']}")
    builder.neurons(node, neuron, stage.recurrent, options)


def _reset_note(node: Node, reset: str) -> str:
    if reset == "subtract":
        return "a spike subtracts the threshold (NIR itself resets to v_reset)"
    has = "v_reset" in node.values
    return "a spike resets the membrane to v_reset" if has else "has no v_reset; a spike resets the membrane to 0"


def _add_dense(builder: Builder, node: Node) -> None:
    weight = node.numbers("weight")
    if weight.ndim != 2:
        raise node.fault(f"weight must have two axes (got shape {list(weight.shape)})")
    if weight.shape[1] != math.prod(builder.shape):
        raise node.fault(f"takes {weight.shape[1]} values, and gets shape {list(builder.shape)}")
    bias = _bias(node, len(weight)) if node.kind == "Affine" else None
    builder.weights("dense", {"out": len(weight)}, Weights(weight, bias), (len(weight),))


def _add_conv2d(builder: Builder, node: Node) -> None:
    weight = node.numbers("weight")
    if weight.ndim != 4:
        raise node.fault(f"weight must be [out, in, height, width] (got shape {list(weight.shape)})")
    groups, _ = node.sizes("groups", 1)
    if len(weight) % groups:
        raise node.fault(f"groups must divide its {len(weight)} outputs (got {groups})")
    if len(builder.shape) == 3 and weight.shape[1] * groups != builder.shape[0]:
        raise node.fault(f"takes {weight.shape[1] * groups} channels, and gets shape {list(builder.shape)}")
    padding = node.values.get("padding")
    if not isinstance(padding, str):
        padding = node.sizes("padding", 0, least=0)
    elif padding not in ("same", "valid"):
        raise node.fault(f"padding must be numbers, same or valid (got {padding!r})")
    options: dict[str, Any] = {
        "kernel": list(weight.shape[2:]),
        "stride": node.sizes("stride", 1),
        "padding": 0 if padding == "valid" else padding,
        "dilation": node.sizes("dilation", 1),
    }
    bias = None if node.values.get("bias") is None else _bias(node, len(weight))
    if bias is not None and not bias.any():
        bias = None  # NIR's convolution always has one
    shape = (len(weight), *_window(builder, node, options).out)
    builder.weights("conv2d", {"out": len(weight), "groups": groups} | options, Weights(weight, bias), shape)


def _add_pool(builder: Builder, node: Node) -> None:
    if any(node.sizes("padding", 0, least=0)):
        raise node.fault("has a padding, which pools of a network have not")
    kernel = node.sizes("kernel_size")
    options = {"kernel": kernel, "stride": node.sizes("stride") if "stride" in node.values else kernel}
    name = "sum_pool2d" if node.kind == "SumPool2d" else "avg_pool2d"
    shape = (builder.shape[0], *_window(builder, node, options).out)
    if builder.open is not None and name == "sum_pool2d":
        builder.open.area *= math.prod(kernel)
    builder.append(name, options, shape)


def _add_flatten(builder: Builder, node: Node) -> None:
    if not node.metadata.get("implied"):
        builder.append("flatten", {}, (math.prod(builder.shape),))


_LAYERS_WITHOUT_STATE: Mapping[str, Callable[[Builder, Node], None]] = {
    "Affine": _add_dense,
    "Linear": _add_dense,
    "Conv2d": _add_conv2d,
    "SumPool2d": _add_pool,
    "AvgPool2d": _add_pool,
    "Flatten": _add_flatten,
}


def _bias(node: Node, outputs: int) -> Any:
    bias = node.numbers("bias").reshape(-1)
    if bias.size != outputs:
        raise node.fault(f"bias must have {outputs} values (got {bias.size})")
    return bias


def _window(builder: Builder, node: Node, options: Mapping[str, Any]) -> Window:
    try:
        return Window.of(builder.shape, (), **options)
    except InputError as error:
        raise node.fault(str(error)) from None


def _end(builder: Builder, stages: list[Stage]) -> None:
    """Give a spiking network whose graph ends in currents a readout of these."""
    last = stages[-1].node
    if last.kind not in LAYERS and any(stage.node.kind in LAYERS for stage in stages):
        builder.append("li", {"beta": 0.0, "readout": "mean"}, builder.shape)
        builder.notes.append(f"{last.name}: ends the graph; what it puts out, averaged over the steps, is the logits")
