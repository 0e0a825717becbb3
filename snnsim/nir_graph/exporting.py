"""Networks written as NIR graphs: the subset that other tools and hardware read."""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import nir
import numpy as np

from snnsim import __version__, spec
from snnsim.errors import InputError
from snnsim.layers import Conv2d, Layer, Shape, SumPool2d
from snnsim.layers.signals import FloatArray
from snnsim.network import Network
from snnsim.nir_graph.neurons import checked_reset
from snnsim.nir_graph.steps import Step, Values


@dataclass(frozen=True)
class Exported:
    """A graph, and what there is to know about it."""

    graph: nir.NIRGraph
    notes: list[str]


def export(network: Network, step: Step, reset: str | None) -> Exported:
    """Write a network as a graph; see `snnsim.to_nir`."""
    writer = _Writer(step, checked_reset(reset), network.input_shape)
    for choice, layer in zip(network.choices, network.layers, strict=True):
        writer.add(choice.options, layer)
    width = len(str(len(writer.nodes)))
    names = [f"{place:0{width}}_{name}" for place, (name, _) in enumerate(writer.nodes, start=1)]
    nodes = dict(zip(names, (node for _, node in writer.nodes), strict=True))
    order = ["input", *names, "output"]
    graph = nir.NIRGraph(
        nodes={
            "input": nir.Input(input_type=np.array(network.input_shape)),
            **nodes,
            "output": nir.Output(output_type=np.array(writer.shape)),
        },
        edges=list(pairwise(order)),
        metadata={"snnsim": __version__, "dt": step.dt, "discretization": step.discretization},
    )
    return Exported(graph, writer.notes)


@dataclass
class _Writer:
    """The nodes so far, each with the name of its layer, and the shape that the last of them puts out."""

    step: Step
    reset: str | None
    shape: Shape
    nodes: list[tuple[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, options: spec.Spec, layer: Layer) -> None:
        """Add the node of a layer, and a flatten node where the layer flattens what it gets."""
        match options:
            case spec.Dense():
                self._flatten(implied=True)
                self._append(layer.name, _dense(layer), layer.out_shape)
            case spec.Conv2d():
                assert isinstance(layer, Conv2d)
                self._append(layer.name, self._convolution(layer), layer.out_shape)
            case spec.SumPool2d() | spec.AvgPool2d():
                assert isinstance(layer, SumPool2d)
                self._append(layer.name, self._pool(layer), layer.out_shape)
            case spec.Flatten():
                self._flatten(implied=False)
            case spec.Dropout():
                self.notes.append(f"layer {layer.title} left out: it does nothing but in training")
            case spec.Li():
                self._append(layer.name, self._integrators(options, layer), self.shape)
            case spec.If() | spec.Lif() | spec.CubaLif():
                self._fire(options, layer)
            case _:
                raise _fault(layer, f"{_REASONS[layer.name]}; what NIR tools share is {PORTABLE}")

    def _append(self, name: str, node: Any, shape: Shape) -> None:
        self.nodes.append((name, node))
        self.shape = shape

    def _flatten(self, *, implied: bool) -> None:
        if implied and len(self.shape) == 1:
            return
        node = nir.Flatten(input_type={"input": np.array(self.shape)}, start_dim=0, end_dim=-1)
        node.metadata = {"implied": True} if implied else {}
        self._append("flatten", node, (math.prod(self.shape),))

    def _require_image(self, layer: Layer) -> None:
        if len(self.shape) != 3:
            raise _fault(layer, "needs an image, but comes after recurrent neurons, which NIR tools take flat")

    def _convolution(self, layer: Conv2d) -> Any:
        self._require_image(layer)
        window, weight = layer.window, _copy(layer.parameters["weight"])
        node = nir.Conv2d(
            input_shape=tuple(self.shape[1:]),
            weight=weight,
            stride=window.stride,
            padding=window.before if window.before == window.after else "same",
            dilation=window.dilation,
            groups=layer.groups,
            bias=_copy(layer.parameters["bias"]) if "bias" in layer.parameters else np.zeros(len(weight), np.float32),
        )
        # As they are: nir 1.0.8 forgets groups, and takes a kernel's height for its width.
        node.input_type, node.output_type = {"input": np.array(self.shape)}, {"output": np.array(layer.out_shape)}
        if layer.groups > 1 or window.kernel[0] != window.kernel[1]:
            self.notes.append(
                f"layer {layer.title} has {'groups' if layer.groups > 1 else 'a kernel that is not square'}, whose "
                "shapes nir 1.0.8 checks wrongly: others read the file with nir.read(file, type_check=False)"
            )
        return node

    def _pool(self, layer: SumPool2d) -> Any:
        self._require_image(layer)
        kind = nir.AvgPool2d if layer.name == "avg_pool2d" else nir.SumPool2d
        window = layer.window
        return kind(kernel_size=np.array(window.kernel), stride=np.array(window.stride), padding=np.array([0, 0]))

    def _integrators(self, options: spec.Li, layer: Layer) -> Any:
        beta = self._spread(layer, "beta", options.decay())
        if isinstance(options, spec.CubaLi):
            node = nir.CubaLI(**self._synapse(layer, options.decay("alpha")), **self._membrane(layer, "tau_mem", beta))
        elif (beta == 1).all():
            node = nir.I(r=np.ones_like(beta))
        else:
            node = nir.LI(**self._membrane(layer, "tau", beta))
        node.metadata = {"readout": options.readout}
        return node

    def _fire(self, options: spec.If | spec.Lif | spec.CubaLif, layer: Layer) -> None:
        """Add a layer of firing neurons, with recurrent weights as a subgraph of its own."""
        metadata = self._reset(options, layer)
        if options.readout is not None:
            metadata["readout"] = options.readout
        recurrent = layer.parameters.get("recurrent_weight")
        if recurrent is not None:
            self._flatten(implied=True)
        node = self._neurons(options, layer)
        node.metadata = metadata
        if recurrent is not None:
            node = nir.NIRGraph(
                nodes={
                    "input": nir.Input(input_type=np.array(self.shape)),
                    "lif": node,
                    "w_rec": nir.Linear(weight=_copy(recurrent)),
                    "output": nir.Output(output_type=np.array(self.shape)),
                },
                edges=[("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
            )
        self._append(layer.name, node, self.shape)

    def _reset(self, options: spec.If | spec.Lif | spec.CubaLif, layer: Layer) -> dict[str, Any]:
        """Check that NIR can say how neurons reset; return what only the metadata can."""
        if options.reset == "zero":
            return {}
        if options.reset == "none":
            raise _fault(layer, "reset none: NIR's neurons reset when they fire")
        if self.reset is None:
            raise _fault(
                layer,
                "reset subtract: NIR's neurons reset to a fixed value. Train with reset: zero, or export with "
                "--reset zero (another network) or --reset subtract (in the metadata, which other tools do not read)",
            )
        if self.reset == "zero":
            self.notes.append(f"layer {layer.title} resets to 0 in the graph, and subtracts its threshold here")
            return {}
        if options.reset_delay:
            raise _fault(layer, "reset_delay: the metadata say subtract only for a reset at once")
        self.notes.append(f"layer {layer.title} subtracts its threshold: in the metadata alone, others reset it to 0")
        return {"reset": "subtract"}

    def _neurons(self, options: spec.If | spec.Lif | spec.CubaLif, layer: Layer) -> Any:
        threshold = self._spread(layer, "threshold", options.threshold)
        if options.spike_at == ">=":
            threshold = np.nextafter(threshold.astype(np.float32), np.float32(-np.inf)).astype(np.float64)
            self.notes.append(f"layer {layer.title} fires at its threshold: written as above the number just below it")
        above = {"v_threshold": threshold, "v_reset": np.zeros_like(threshold)}
        beta = self._spread(layer, "beta", options.decay())
        if isinstance(options, spec.CubaLif):
            synapse = self._synapse(layer, options.decay("alpha"))
            return nir.CubaLIF(**synapse, **self._membrane(layer, "tau_mem", beta), **above)
        if (beta == 1).all():
            return nir.IF(r=np.ones_like(beta), **above)
        return nir.LIF(**self._membrane(layer, "tau", beta), **above)

    def _spread(self, layer: Layer, key: str, given: float | list[float]) -> Values:
        """Return what the layer computes with, float32 as float64, in the shape of its node."""
        value = np.asarray(layer.parameters.get(key, given), np.float32).astype(np.float64).reshape(-1)
        return np.repeat(value, layer.size // value.size).reshape(self.shape)

    def _membrane(self, layer: Layer, key: str, beta: Values) -> dict[str, Values]:
        """Return the time constant of a membrane under the name ``key``, the r of gain 1, and no leak potential."""
        tau, r = self._time_constant(layer, "beta", beta)
        return {key: tau, "r": r, "v_leak": np.zeros_like(tau)}

    def _synapse(self, layer: Layer, given: float | list[float]) -> dict[str, Values]:
        """Return the time constant of a synaptic current, and the weight of gain 1."""
        tau, weight = self._time_constant(layer, "alpha", self._spread(layer, "alpha", given))
        return {"tau_syn": tau, "w_in": weight}

    def _time_constant(self, layer: Layer, name: str, decay: Values) -> tuple[Values, Values]:
        if (decay == 1).any():
            raise _fault(layer, f"{name} 1, which never decays, has no time constant")
        tau = self.step.time_constant(decay)
        lost = (tau <= 0) | (self.step.decay(np.where(tau > 0, tau, 1.0)).astype(np.float32) != decay)
        if lost.any():
            raise _fault(layer, f"{name} {decay[lost][0]:g} has no time constant with {self.step.discretization}")
        return tau, self.step.resistance(decay)


PORTABLE = "dense, conv2d, sum_pool2d, avg_pool2d, flatten, if, lif, cuba_lif, li and cuba_li"
_REASONS = {
    "alif": "NIR has no adaptive threshold",
    "max_pool2d": "NIR has no max pooling",
    "relu": "NIR has no ReLU, its networks spike",
}


def _dense(layer: Layer) -> Any:
    weight = _copy(layer.parameters["weight"])
    if "bias" in layer.parameters:
        return nir.Affine(weight=weight, bias=_copy(layer.parameters["bias"]))
    return nir.Linear(weight=weight)


def _copy(array: FloatArray) -> FloatArray:
    return np.array(array, np.float32, order="C")


def _fault(layer: Layer, text: str) -> InputError:
    return InputError(f"layer {layer.title}: {text}")
