"""How a network's last layer becomes logits: leaky integrators, firing neurons, or an ANN's currents."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from snnsim.accounting import LayerCounts, Tally
from snnsim.events import Events
from snnsim.kernels import codes, integrators
from snnsim.layers.base import NOT_CARRIED, Layer, MicroBatch, Shape
from snnsim.layers.fan_out import Counted
from snnsim.layers.neurons import as_current, per_neuron
from snnsim.layers.signals import Analog, FloatArray, Gradient, Signal


class LeakyIntegrators(Layer):
    """``u[t] = beta * u[t-1] + I[t]``; logits are the membrane's ``mean``, ``sum``, ``max`` or ``last`` over time.

    With ``alpha``: ``i[t] = alpha * i[t-1] + I[t]`` takes the place of I.
    """

    def __init__(self, index: int, shape: Shape, beta: ArrayLike, readout: str, alpha: ArrayLike | None = None) -> None:
        super().__init__(index, shape, shape)
        self.name = "li" if alpha is None else "cuba_li"
        self.readout = readout
        self.beta = per_neuron(beta, self.size)
        self.alpha = None if alpha is None else per_neuron(alpha, self.size)

    @property
    def carries(self) -> tuple[int, ...]:
        """The membrane, and the synaptic current where there is one."""
        return (codes.REST,) if self.alpha is None else (codes.REST, codes.SYNAPTIC)

    def forward(self, signal: Signal, micro: MicroBatch) -> Signal:
        """Return the membrane at every step, [M, T, N]."""
        current = as_current(self, signal, micro)
        membrane: FloatArray = self.buffer(micro, "membrane", (micro.size, micro.steps, self.size))
        membrane = membrane[: current.shape[0]]
        state = self.buffer(micro, "state", (2, self.size))
        carried = micro.carried.get(self.index, NOT_CARRIED)
        drive = current
        if self.alpha is not None:
            with _row(carried, codes.SYNAPTIC) as row:
                integrators.integrate(current, membrane, self.alpha, state, row)
            drive = membrane
        with _row(carried, codes.REST) as row:
            integrators.integrate(drive, membrane, self.beta, state, row)
        micro.saved[self.index] = (membrane, current.shape[1])
        return Analog(membrane)

    def backward(
        self, gradient: Gradient, micro: MicroBatch, gradients: Mapping[str, FloatArray], inputs: bool
    ) -> Gradient | None:
        """Turn the membrane's gradient [M, T, N] into the current's."""
        _, current_steps = micro.saved[self.index]
        values = np.ascontiguousarray(gradient.values)
        total = np.empty((values.shape[0], self.size), np.float32)
        state = self.buffer(micro, "state", (2, self.size))
        carried = micro.carried_back.get(self.index, NOT_CARRIED)
        for place, decay in enumerate((self.beta, self.alpha)):
            if decay is not None:
                with _row(carried, place) as row:
                    integrators.backpropagate_integration(values, total, decay, state, row)
        summed_only = current_steps == 1 and values.shape[1] != 1
        return Gradient(total[:, None] if summed_only else values, total=total)

    def step_weights(self, steps: int, cut: int | None = None) -> FloatArray | None:
        """Return w [T] with ``logits = sum_t w[t] I[t]``; None where the logits are not one weighted sum.

        With one beta, ``sum`` weighs step t by ``1 + beta + ... + beta^(T-1-t)``, ``mean`` by that over T, and
        ``last`` by ``beta^(T-1-t)``. With ``cut``: what is left of that where no gradient crosses a multiple of
        ``cut`` steps. With a synaptic current there is no such closed form here.
        """
        if self.alpha is not None or self.readout == "max" or not (self.beta == self.beta[0]).all():
            return None
        powers = np.float64(self.beta[0]) ** np.arange(steps)
        weights = powers if self.readout == "last" else np.cumsum(powers)
        if self.readout == "mean":
            weights = weights / steps
        if cut is None:
            return weights[::-1].astype(np.float32)
        ends = np.minimum((np.arange(steps) // cut + 1) * cut, steps)
        left = weights[ends - 1 - np.arange(steps)]
        if self.readout == "last":
            left = np.where(ends == steps, left, 0)
        return left.astype(np.float32)

    def count(self, tally: Tally, run: Counted) -> LayerCounts:
        """Count the updates."""
        counts = LayerCounts.zeros(run.batch)
        counts.neuron_updates = run.steps * self.size
        return counts


@contextmanager
def _row(carried: FloatArray, place: int) -> Iterator[FloatArray]:
    """Give a kernel that carries one state a row of the carried states, and take it back."""
    row = np.ascontiguousarray(carried[:, place : place + 1])
    yield row
    if carried.size:
        carried[:, place : place + 1] = row


@dataclass(frozen=True, eq=False)
class StepReadout:
    """Logits from step logits ``Z`` [M, T, K]: ``mean``, ``sum`` (count), ``max`` or ``last`` over time."""

    kind: str

    def logits(self, z: FloatArray) -> FloatArray:
        """Return the logits [M, K]."""
        if self.kind == "last":
            return z[:, -1].copy()
        if self.kind == "max":
            return np.asarray(z.max(axis=1))
        total: FloatArray = z.sum(axis=1)
        return total / np.float32(z.shape[1]) if self.kind == "mean" else total

    def logits_by_step(self, z: FloatArray) -> FloatArray:
        """Return what the logits would be if each step were the last, [M, T, K]."""
        if self.kind == "last":
            return z
        if self.kind == "max":
            return np.asarray(np.maximum.accumulate(z, axis=1))
        totals: FloatArray = np.cumsum(z, axis=1, dtype=np.float32)
        if self.kind == "mean":
            totals /= np.arange(1, z.shape[1] + 1, dtype=np.float32)[:, None]
        return totals

    def backward(self, z: FloatArray, gradient: FloatArray) -> FloatArray:
        """Return the gradient of ``Z`` [M, T, K] for that of the logits [M, K]; equal maxima: the first has it."""
        result = np.zeros_like(z)
        if self.kind == "last":
            result[:, -1] = gradient
        elif self.kind == "max":
            first = z.argmax(axis=1)[:, None]
            np.put_along_axis(result, first, gradient[:, None], axis=1)
        else:
            result += (gradient / np.float32(z.shape[1]) if self.kind == "mean" else gradient)[:, None]
        return result


def step_readout(layer: Layer) -> StepReadout:
    """Return how the step logits of a network's last layer become logits."""
    kind = getattr(layer, "readout", None) or "last"
    return StepReadout({"count": "sum", "rate": "mean"}.get(kind, kind))


def step_logits(layer: Layer, output: Signal, micro: MicroBatch) -> FloatArray:
    """Return the step logits [M, T, K] of a network's last layer: membranes, spikes, or an ANN's output."""
    if isinstance(output, Events):
        return np.ascontiguousarray(np.moveaxis(output.to_dense(), 0, 1)).reshape(
            output.batch, output.num_steps, layer.size
        )
    return output.values.reshape(*output.values.shape[:2], layer.size)
