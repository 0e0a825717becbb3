"""A network put together layer by layer: shapes, weights, and what is folded into them."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnsim.layers import Shape
from snnsim.layers.signals import FloatArray
from snnsim.nir_graph.graph import Node
from snnsim.nir_graph.neurons import Neuron
from snnsim.nir_graph.steps import Values

Array = NDArray[np.float64]


@dataclass
class Weights:
    """The weights of a layer, which the neurons that it drives may still change.

    ``area`` is the number of outputs that pools between have summed up.
    """

    weight: Array
    bias: Array | None
    area: int = 1

    def scale(self, gain: Values) -> bool:
        """Multiply what the neurons get; say whether that was possible, which it is per channel only."""
        factor = self._per_output(gain)
        if factor is None:
            return False
        self.weight *= factor.reshape(-1, *[1] * (self.weight.ndim - 1))
        if self.bias is not None:
            self.bias *= factor
        return True

    def add(self, drive: Values) -> bool:
        """Add a constant to what the neurons get; say whether that was possible."""
        added = self._per_output(drive)
        if added is None:
            return False
        self.bias = added / self.area + (0.0 if self.bias is None else self.bias)
        return True

    def _per_output(self, values: Values) -> Values | None:
        """Return one value per output row or channel; None where they differ within a channel."""
        rows = values.reshape(len(self.weight), -1) if values.size % len(self.weight) == 0 else None
        if rows is None or (rows != rows[:, :1]).any():
            return None
        return rows[:, 0]


@dataclass
class Builder:
    """Layers so far, in the network language, their parameters, and the shape that the next one gets."""

    shape: Shape
    layers: list[dict[str, Any]] = field(default_factory=list)
    parameters: dict[str, Array] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    weighted: dict[int, Weights] = field(default_factory=dict)
    open: Weights | None = None

    def append(self, name: str, options: dict[str, Any], shape: Shape) -> None:
        """Add a layer that puts out a shape."""
        self.layers.append({name: options})
        self.shape = shape

    def weights(self, name: str, options: dict[str, Any], weights: Weights, shape: Shape) -> None:
        """Add a layer of weights, which the next neurons may still change."""
        self.weighted[len(self.layers)] = self.open = weights
        self.append(name, options, shape)

    def neurons(self, node: Node, neuron: Neuron, recurrent: Node | None, options: dict[str, Any]) -> None:
        """Add a layer of neurons; its input gain and constant drive go into the weights before it.

        Where they cannot (no weights, or a gain that differs within a channel), the membrane of firing neurons is
        counted in units of the gain instead, by the threshold.

        Raises
        ------
        InputError
            Neither is possible; names the node.
        """
        threshold, drive = neuron.threshold, neuron.drive
        back, back_bias = (None, None) if recurrent is None else _recurrent(recurrent, math.prod(self.shape))
        gain = neuron.gain
        if (gain != 1).any():
            if self.open is not None and self.open.scale(gain):
                back = None if back is None else back * gain[:, None]
                back_bias = None if back_bias is None else back_bias * gain
                self.notes.append(f"{node.name}: input gain {_range(gain)} multiplied into the weights")
            elif threshold is None or (gain <= 0).any():
                raise node.fault(f"its input gain {_range(gain)} cannot be multiplied into weights before it")
            else:
                threshold, drive = threshold / gain, drive / gain
                self.notes.append(f"{node.name}: threshold divided by the input gain {_range(gain)}")
        if back_bias is not None:
            drive = drive + back_bias
        if drive.any() and not (self.open is not None and self.open.add(drive)):
            what = "the bias of its recurrent weights" if back_bias is not None and back_bias.any() else "v_leak"
            raise node.fault(f"{what} cannot be added to the bias of a layer before it")
        if back_bias is not None and back_bias.any():
            self.notes.append(f"{node.name}: the bias of its recurrent weights added to that of the layer before")
        if back is not None:
            options = {**options, "recurrent": True}
            self.parameters[f"{len(self.layers)}.recurrent_weight"] = back
        values = {"beta": neuron.beta, "alpha": neuron.alpha, "threshold": threshold}
        if neuron.layer == "if":
            del values["beta"]
        given = {key: self._written(value) for key, value in values.items() if value is not None}
        self.open = None
        self.append(neuron.layer, given | options, self.shape)

    def _written(self, values: Values) -> float | list[float]:
        """Write values as one number, one per channel, or one per neuron, in the float32 that layers compute with."""
        single = values.astype(np.float32)
        if (single == single[0]).all():
            return _shortest(single[0])
        if len(self.shape) == 3:
            channels = single.reshape(self.shape[0], -1)
            if (channels == channels[:, :1]).all():
                single = channels[:, 0]
        return [_shortest(value) for value in single]

    def finish(self) -> dict[str, FloatArray]:
        """Return the parameters of all layers; whether a layer has a bias is known by now."""
        for index, weights in self.weighted.items():
            (options,) = self.layers[index].values()
            options["bias"] = weights.bias is not None
            self.parameters[f"{index}.weight"] = weights.weight
            if weights.bias is not None:
                self.parameters[f"{index}.bias"] = weights.bias
        return {name: array.astype(np.float32) for name, array in self.parameters.items()}


def _recurrent(node: Node, size: int) -> tuple[Array, Array | None]:
    """Return recurrent weights [n, n] and their bias."""
    weight = node.numbers("weight")
    if weight.shape != (size, size):
        raise node.fault(
            f"weight must be [{size}, {size}], from every neuron to every neuron (got {list(weight.shape)})"
        )
    bias = node.numbers("bias").reshape(-1) if node.kind == "Affine" else None
    if bias is not None and bias.size != size:
        raise node.fault(f"bias must have {size} values (got {bias.size})")
    return weight, bias


def _shortest(value: np.float32) -> float:
    """Return the number of fewest digits that is this one in float32."""
    return float(str(value))


def _range(values: Values) -> str:
    low, high = values.min(), values.max()
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
