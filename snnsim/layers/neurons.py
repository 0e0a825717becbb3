"""Layers of firing neurons: IF and LIF."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from snnsim import surrogates
from snnsim.accounting import LayerCounts
from snnsim.events import Events
from snnsim.kernels import neurons, propagate
from snnsim.layers.base import (
    Analog,
    FloatArray,
    Gradient,
    Layer,
    MicroBatch,
    Shape,
    Signal,
    event_values,
    samples_of,
)


@dataclass(frozen=True, kw_only=True)
class Firing:
    """How a layer of neurons fires and resets; see science of the network language.

    ``beta`` and ``threshold`` are one number, or one per neuron. ``spike_at`` is ``">"`` or ``">="``.
    """

    beta: ArrayLike
    threshold: ArrayLike
    reset: str
    reset_delay: bool
    spike_at: str
    surrogate: surrogates.Surrogate
    detach_reset: bool

    @property
    def code(self) -> int:
        """The kernels' code of the reset. A delayed reset differs only where it subtracts."""
        if self.reset == "subtract":
            return neurons.SUBTRACT_DELAYED if self.reset_delay else neurons.SUBTRACT
        return neurons.ZERO if self.reset == "zero" else neurons.NONE


class FiringNeurons(Layer):
    """``u[t] = beta * r[t-1] + I[t]``, ``s[t] = H(u[t] - threshold)``, ``r[t]`` the membrane after the reset."""

    fires = True

    def __init__(self, index: int, name: str, shape: Shape, firing: Firing, readout: str | None) -> None:
        super().__init__(index, shape, shape)
        self.name = name
        self.firing = firing
        self.readout = readout
        self.beta = np.array(np.broadcast_to(np.asarray(firing.beta, np.float32), self.size))
        self.threshold = np.array(np.broadcast_to(np.asarray(firing.threshold, np.float32), self.size))
        below = np.nextafter(self.threshold, np.float32(-np.inf))
        self._fire_above = self.threshold if firing.spike_at == ">" else below

    def forward(self, signal: Signal, micro: MicroBatch) -> Signal:
        """Run all steps; keep the membrane before the reset, return the spikes."""
        steps, n = micro.steps, self.size
        current = as_current(self, signal, micro)
        count = current.shape[0]
        if current.shape[1] == steps:
            membrane, constant = current, _EMPTY
        else:
            membrane = self.buffer(micro, "membrane", (micro.size, steps, n))[:count]
            constant = current[:, 0]
        padded = -(-n // 8) * 8
        fired = self.buffer(micro, "fired", (padded,), np.uint8)
        indptr = np.empty(count * steps + 1, np.int64)
        indices = self.buffer(micro, "events", (micro.size * steps * n + 8,), np.int32)
        neurons.integrate_and_fire(
            constant,
            membrane,
            self.beta,
            self.threshold,
            self._fire_above,
            self.firing.code,
            self.buffer(micro, "state", (3, n)),
            fired,
            fired.view(np.uint64),
            indptr,
            indices,
        )
        micro.saved[self.index] = (membrane, current.shape[1])
        return Events(indptr, indices[: indptr[-1]], None, steps, count, self.out_shape)

    def backward(
        self, gradient: Gradient, micro: MicroBatch, gradients: Mapping[str, FloatArray], inputs: bool
    ) -> Gradient | None:
        """Return the gradient of the input current, by backpropagation through time with the surrogate."""
        membrane, current_steps = micro.saved[self.index]
        count, steps, n = membrane.shape
        same = gradient.values.shape[1] == 1
        summed_only = current_steps == 1 and steps != 1
        if summed_only:
            delta = np.empty((0, 0, 0), np.float32)
        elif same and steps != 1:
            delta = self.buffer(micro, "delta", (micro.size, steps, n))[:count]
        else:
            delta = gradient.values.reshape(count, steps, n)
        total = self.buffer(micro, "delta sum", (micro.size, n))[:count]
        extra = micro.extra.get(self.index)
        neurons.backpropagate(
            membrane,
            gradient.values,
            gradient.weights if gradient.weights is not None else np.ones(steps, np.float32),
            extra if extra is not None else np.zeros((count, n), np.float32),
            delta,
            total,
            self.beta,
            self.threshold,
            self._fire_above,
            self.firing.code,
            self.firing.detach_reset,
            self.firing.surrogate.code,
            self.firing.surrogate.sharpness,
            self.buffer(micro, "state", (3, n)),
        )
        return Gradient(total[:, None] if summed_only else delta, total=total)

    def count(self, signal: Signal, output: Signal, micro: MicroBatch) -> LayerCounts:
        """Count spikes, updates and resets."""
        assert isinstance(output, Events)
        counts = LayerCounts.zeros(samples_of(signal))
        counts.spikes = output.per_sample
        counts.neuron_updates += micro.steps * self.size
        if self.firing.reset != "none":
            counts.resets = output.per_sample
        return counts


_EMPTY = np.empty((0, 0), np.float32)


def as_current(layer: Layer, signal: Signal, micro: MicroBatch) -> FloatArray:
    """Return a signal as currents [M, S, N]; events that reach a layer without an edge drive it with their value."""
    if isinstance(signal, Analog):
        return signal.values.reshape(*signal.values.shape[:2], layer.size)
    current: FloatArray = layer.buffer(micro, "drive", (micro.size, micro.steps, layer.size))
    current = current[: signal.batch]
    rows = current.reshape(-1, layer.size)
    propagate.scatter_dense(signal.indptr, signal.indices, event_values(signal), rows)
    return current
