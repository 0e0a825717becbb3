"""What a neuron node of a NIR graph does in a step, in the terms of the network language."""

import math
from dataclasses import dataclass

import numpy as np

from snnsim.errors import InputError
from snnsim.layers import Shape
from snnsim.nir_graph.graph import Node
from snnsim.nir_graph.steps import Step, Values, settled

RESETS = ("zero", "subtract")

# Neuron nodes, and the layers that they become.
LAYERS = {"IF": "if", "LIF": "lif", "CubaLIF": "cuba_lif", "I": "li", "LI": "li", "CubaLI": "cuba_li"}


@dataclass(frozen=True)
class Neuron:
    """A layer of neurons, one value per neuron; what it has not is None.

    ``i[t] = alpha i[t-1] + gain I[t]``, ``u[t] = beta r[t-1] + i[t] + drive``, and a spike where u is above the
    threshold. The membrane is counted from ``rest``, where a reset leaves it and where it begins.
    """

    layer: str
    beta: Values
    alpha: Values | None
    gain: Values
    drive: Values
    threshold: Values | None
    reset: str | None
    rest: Values


def read_neuron(node: Node, shape: Shape, step: Step, reset: str | None) -> Neuron:
    """Read a neuron node for a layer of a shape; ``reset`` None is what NIR says, to ``v_reset``.

    Raises
    ------
    InputError
        A value is missing, out of range or of another shape, or says what the network language cannot.
    """

    def values(key: str, default: float | None = None) -> Values:
        return per_neuron(node, key, shape, default)

    fires = node.kind in ("IF", "LIF", "CubaLIF")
    rest = values("v_reset", 0.0) if fires and reset != "subtract" else np.zeros(math.prod(shape))
    beta, alpha, gain, drive = np.ones_like(rest), None, values("r", 1.0), np.zeros_like(rest)
    if node.kind not in ("IF", "I"):
        tau = _time_constant(node, "tau_mem" if node.kind.startswith("Cuba") else "tau", shape, step)
        beta, gain = step.decay(tau), step.gain(tau, gain)
        drive = (1.0 - beta) * (values("v_leak", 0.0) - rest)
    if node.kind.startswith("Cuba"):
        tau = _time_constant(node, "tau_syn", shape, step)
        alpha, gain = step.decay(tau), gain * step.gain(tau, values("w_in", 1.0))
        if drive.any():
            at_rest = "v_reset" if fires and reset != "subtract" else "0"
            raise node.fault(f"v_leak must be {at_rest}: a constant drive would pass through the synaptic current")
    threshold = values("v_threshold") - rest if fires else None
    if threshold is not None and (threshold <= 0).any():
        above = "v_reset" if rest.any() else "0"
        raise node.fault(f"v_threshold must be above {above} (lowest {(threshold + rest).min():g})")
    return Neuron(
        layer=LAYERS[node.kind],
        beta=beta,
        alpha=alpha,
        gain=settled(gain),
        drive=drive,
        threshold=threshold,
        reset=(reset or "zero") if fires else None,
        rest=rest,
    )


def per_neuron(node: Node, key: str, shape: Shape, default: float | None = None) -> Values:
    """Return a value for every neuron of a layer, from one, one per channel, or one per neuron.

    Raises
    ------
    InputError
        It has another shape, or there is none and no default.
    """
    array = node.numbers(key, default)
    size = math.prod(shape)
    if array.size == 1:
        return np.full(size, array.reshape(())[()])
    if array.size == size:
        return array.reshape(-1)
    if len(shape) == 3 and array.size == shape[0]:
        return np.repeat(array.reshape(-1), size // shape[0])
    raise node.fault(f"{key} has shape {list(array.shape)}, the layer {list(shape)}")


def _time_constant(node: Node, key: str, shape: Shape, step: Step) -> Values:
    tau = per_neuron(node, key, shape)
    if (tau <= 0).any():
        raise node.fault(f"{key} must be above 0 (got {tau.min():g})")
    if not step.fits(tau):
        raise node.fault(
            f"{key} {tau.min():g} s is shorter than a step of {step.dt:g} s; give a shorter dt, "
            "or the discretization exp"
        )
    return tau


def checked_reset(reset: str | None) -> str | None:
    """Check the name of a reset.

    Raises
    ------
    InputError
        It has another name.
    """
    if reset is not None and reset not in RESETS:
        raise InputError(f"reset: must be one of {', '.join(RESETS)} (got {reset!r})")
    return reset
