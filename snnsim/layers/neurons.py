"""Layers of firing neurons: IF, LIF, current-based LIF and adaptive LIF, each with recurrent weights on request."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnsim import surrogates
from snnsim.accounting import LayerCounts, StepCounts, Tally
from snnsim.events import Events
from snnsim.kernels import codes, neurons, neurons_back, neurons_back_all, propagate, vectors
from snnsim.layers.base import NOT_CARRIED, Layer, MicroBatch, Shape
from snnsim.layers.fan_out import Counted, synapses
from snnsim.layers.packing import add_weight_gradient
from snnsim.layers.signals import Analog, FloatArray, Gradient, Signal, event_values
from snnsim.memory import aligned_zeros

# The smallest threshold that an update may leave (a membrane at rest must not fire).
LEAST_THRESHOLD = 1e-3
LEARNABLE = ("beta", "alpha", "threshold")


# Up to which part of all neurons and steps one product each beats all that go back through recurrent weights (256
# neurons, one core, Zen 4): they break even at 0.19.
NEEDED_UP_TO = 0.18


@dataclass(frozen=True, kw_only=True)
class Firing:
    """How a layer of neurons integrates, fires and resets; names as in the network language.

    Values are one number, or one per neuron. ``alpha`` is None without a synaptic current, ``rho`` and ``adaptation``
    are None without adaptation. ``learned`` names those of beta, alpha and threshold that are parameters.
    """

    beta: ArrayLike
    threshold: ArrayLike
    reset: str
    reset_delay: bool
    spike_at: str
    surrogate: surrogates.Surrogate
    detach_reset: bool
    alpha: ArrayLike | None = None
    rho: ArrayLike | None = None
    adaptation: ArrayLike | None = None
    recurrent: bool = False
    learned: tuple[str, ...] = ()

    @property
    def code(self) -> int:
        """The kernels' code of the reset. A delayed reset differs only where it subtracts."""
        if self.reset == "subtract":
            return codes.SUBTRACT_DELAYED if self.reset_delay else codes.SUBTRACT
        return codes.ZERO if self.reset == "zero" else codes.NONE


class Values(NamedTuple):
    """What a layer's neurons compute with, float32 [N] each; empty where they have no such thing."""

    beta: FloatArray
    threshold: FloatArray
    fire_above: FloatArray
    alpha: FloatArray
    rho: FloatArray
    adaptation: FloatArray


class FiringNeurons(Layer):
    """``u[t] = beta * r[t-1] + I[t]``, ``s[t] = H(u[t] - threshold)``, ``r[t]`` the membrane after the reset.

    With ``alpha``: ``i[t] = alpha * i[t-1] + I[t]`` takes the place of I. With ``rho``: the neuron fires above
    ``threshold + adaptation * a[t]``, ``a[t] = rho * a[t-1] + s[t-1]`` (Bellec et al. 2020). With recurrent weights:
    ``I[t] += V s[t-1]``.
    """

    fires = True

    def __init__(
        self,
        index: int,
        name: str,
        shape: Shape,
        firing: Firing,
        readout: str | None,
        rng: np.random.Generator,
    ) -> None:
        super().__init__(index, shape, shape)
        self.name = name
        self.firing = firing
        self.readout = readout
        for key in firing.learned:
            self.parameters[key] = np.array(getattr(firing, key), np.float32)
        if firing.recurrent:
            bound = 1 / np.sqrt(self.size)
            rows = aligned_zeros((self.size, self.size))
            rows[...] = rng.uniform(-bound, bound, rows.shape).astype(np.float32).T
            self.parameters["recurrent_weight"] = rows.T
        self.values = self._spread()
        # One row per neuron that is reached, where the parameter has one per neuron that fires.
        self._reached_rows = aligned_zeros((self.size, self.size)) if firing.recurrent else _NO_WEIGHTS

    def prepare(self, buckets: int) -> None:
        """Spread learned values over the neurons anew, and turn the recurrent weights round for the way back."""
        if self.firing.learned:
            self.values = self._spread()
        if self._reached_rows.size:
            self._reached_rows[...] = self.parameters["recurrent_weight"]

    def _spread(self) -> Values:
        spread: dict[str, FloatArray] = {}
        for key in ("beta", "threshold", "alpha", "rho", "adaptation"):
            value = self.parameters.get(key, getattr(self.firing, key))
            spread[key] = _NO_VALUES if value is None else per_neuron(value, self.size)
        threshold = spread["threshold"]
        above = threshold if self.firing.spike_at == ">" else np.nextafter(threshold, np.float32(-np.inf))
        return Values(fire_above=above, **spread)

    @property
    def carries(self) -> tuple[int, ...]:
        """The membrane after the reset, and what else these neurons have."""
        firing = self.firing
        has = {
            codes.PENDING: firing.code == codes.SUBTRACT_DELAYED,
            codes.SYNAPTIC: firing.alpha is not None,
            codes.TRACE: firing.rho is not None,
            codes.FIRED: firing.recurrent,
        }
        return (codes.REST, *(row for row, there in has.items() if there))

    @property
    def _recurrent_rows(self) -> FloatArray:
        return self.parameters["recurrent_weight"].T if self.firing.recurrent else _NO_WEIGHTS

    def forward(self, signal: Signal, micro: MicroBatch) -> Signal:
        """Run all steps; keep the membrane before the reset where it is asked for, return the spikes."""
        steps, n = micro.steps, self.size
        current = as_current(self, signal, micro)
        count = current.shape[0]
        # A single current may be the same at the next step, in a longer run: it is not to be overwritten.
        if current.shape[1] == steps and steps > 1:
            membrane, constant = current, _NO_WEIGHTS
        else:
            membrane = self.buffer(micro, "membrane", (micro.size, steps if micro.trace else 1, n))[:count]
            constant = current[:, 0]
        indptr = np.empty(count * steps + 1, np.int64)
        indices = self.buffer(micro, "events", (micro.size * steps * n + vectors.SLACK,), np.int32)
        values = self.values
        neurons.integrate_and_fire(
            constant,
            membrane,
            values.beta,
            values.threshold,
            values.fire_above,
            self.firing.code,
            values.alpha,
            values.rho,
            values.adaptation,
            self._recurrent_rows,
            self.buffer(micro, "state", (8, n)),
            self.buffer(micro, "fired", (steps, -(-n // neurons.FIRED_BLOCK) * neurons.FIRED_BLOCK // 8), np.uint8),
            indptr,
            indices,
            micro.carried.get(self.index, NOT_CARRIED),
        )
        spikes = Events(indptr, indices[: indptr[-1]], None, steps, count, self.out_shape)
        micro.saved[self.index] = (membrane, current.shape[1], spikes)
        return spikes

    def backward(
        self, gradient: Gradient, micro: MicroBatch, gradients: Mapping[str, FloatArray], inputs: bool
    ) -> Gradient | None:
        """Return the gradient of the input current, by backpropagation through time with the surrogate."""
        membrane, current_steps, spikes = micro.saved[self.index]
        count, steps, n = membrane.shape
        same = gradient.values.shape[1] == 1
        summed_only = current_steps == 1 and steps != 1
        if summed_only and not self.firing.recurrent:
            delta = np.empty((0, 0, 0), np.float32)
        elif same and steps != 1:
            delta = self.buffer(micro, "delta", (micro.size, steps, n))[:count]
        else:
            delta = gradient.values.reshape(count, steps, n)
        total = self.buffer(micro, "delta sum", (micro.size, n))[:count]
        learned = np.zeros((3 if self.firing.learned else 0, n))
        self._backpropagate(membrane, gradient, delta, total, learned, micro)
        for key in self.firing.learned:
            own = learned[LEARNABLE.index(key)]
            gradients[key][...] += _summed(own, self.parameters[key].shape)
        if self.firing.recurrent:
            self._add_recurrent_gradient(spikes, delta, gradients["recurrent_weight"].T, micro)
        return Gradient(total[:, None] if summed_only else delta, total=total)

    def _backpropagate(
        self,
        membrane: FloatArray,
        gradient: Gradient,
        delta: FloatArray,
        total: FloatArray,
        learned: NDArray[np.float64],
        micro: MicroBatch,
    ) -> None:
        """Write deltas and their sum over time, by the kernel for these neurons; add to what is ``learned``."""
        firing, values, n = self.firing, self.values, self.size
        extra = micro.extra.get(self.index)
        given = (
            membrane,
            gradient.values,
            gradient.weights if gradient.weights is not None else _ones(micro.steps),
            extra if extra is not None else self.buffer(micro, "no extra", (micro.size, n))[: micro.samples],
            delta,
            total,
            values.beta,
            values.threshold,
            values.fire_above,
            firing.code,
            firing.surrogate.code,
            firing.surrogate.sharpness,
            micro.carried_back.get(self.index, NOT_CARRIED),
        )
        # A neuron's delta reaches all that fired into it; where few derivatives are not zero, it is gathered for those.
        few = firing.recurrent and firing.surrogate.compact and self.active(micro, NEEDED_UP_TO) is not None
        together = 1 if few or not firing.recurrent else vectors.TOGETHER
        recurrent = self._recurrent_rows if few else self._reached_rows
        if firing.detach_reset and not (firing.learned or values.alpha.size or values.rho.size):
            rows = neurons_back.BACK_ROWS * (1 + together if firing.recurrent else 1)
            state = self.buffer(micro, "state", (rows, n))
            if firing.recurrent:
                neurons_back.backpropagate_recurrent(*given, state, recurrent, few)
            else:
                neurons_back.backpropagate(*given, state)
            return
        adapted = (together * micro.steps if firing.rho is not None else 0, n)
        neurons_back_all.backpropagate_all(
            *given,
            self.buffer(micro, "state", (8 * together, n)),
            recurrent,
            few,
            firing.detach_reset,
            values.alpha,
            values.rho,
            values.adaptation,
            self.buffer(micro, "levels", adapted),
            self.buffer(micro, "limits", adapted),
            learned,
            micro.begun.get(self.index, NOT_CARRIED),
        )

    def active(self, micro: MicroBatch, up_to: float) -> Events | None:
        """Return where the surrogate's derivative is not zero, of use where it has compact support.

        None if that is more than a part ``up_to`` of all neurons and steps. Nowhere else does the gradient of a spike
        matter (cf. Perez-Nieves & Goodman, NeurIPS 2021, arXiv:2105.08810, who leave out what is small; here nothing
        that counts is left out).
        """
        membrane = micro.saved[self.index][0]
        count, steps, n = membrane.shape
        values = self.values
        adapted = (steps if self.firing.rho is not None else 0, n)
        indptr = np.empty(count * steps + 1, np.int64)
        indices = self.buffer(micro, "active", (micro.size * steps * n + vectors.SLACK,), np.int32)
        found = neurons_back_all.find_active(
            membrane,
            values.threshold,
            values.fire_above,
            values.rho,
            values.adaptation,
            self.firing.surrogate.code,
            self.firing.surrogate.sharpness,
            self.buffer(micro, "state", (8, n)),
            self.buffer(micro, "levels", adapted),
            self.buffer(micro, "limits", adapted),
            micro.begun.get(self.index, NOT_CARRIED),
            int(up_to * membrane.size),
            indptr,
            indices,
        )
        return Events(indptr, indices[: indptr[-1]], None, steps, count, self.out_shape) if found else None

    def _add_recurrent_gradient(self, spikes: Events, delta: FloatArray, rows: FloatArray, micro: MicroBatch) -> None:
        late = self._delivered_late(spikes, micro)
        starts = self.buffer(micro, "starts", (self.size + 1,), np.int64)
        buckets = self.buffer(micro, "buckets", (micro.size * micro.steps * self.size,), np.int32)
        no_order = np.empty(0, np.int32)
        propagate.sort_by_input(late.indptr, late.indices, starts, buckets, no_order)
        add_weight_gradient(starts, buckets, delta.reshape(-1, self.size), rows, micro)

    def _delivered_late(self, spikes: Events, micro: MicroBatch) -> Events:
        """Return the spikes as the recurrent weights deliver them: one step later."""
        begun = micro.begun.get(self.index)
        before = _NO_WEIGHTS if begun is None else np.ascontiguousarray(begun[:, codes.FIRED])
        indptr = np.empty_like(spikes.indptr)
        indices = np.empty(spikes.indices.size + np.count_nonzero(before), np.int32)
        propagate.delay_one_step(spikes.indptr, spikes.indices, spikes.num_steps, before, indptr, indices)
        return Events(indptr, indices[: indptr[-1]], None, spikes.num_steps, spikes.batch, spikes.shape)

    def clip(self) -> None:
        """Bring learned values back into their ranges after an update."""
        for key in self.firing.learned:
            low, high = (LEAST_THRESHOLD, None) if key == "threshold" else (0, 1)
            np.clip(self.parameters[key], low, high, out=self.parameters[key])

    def tally(self, signal: Signal, output: Signal, micro: MicroBatch) -> Tally:
        """Count spikes, and those that recurrent weights deliver."""
        assert isinstance(output, Events)
        spikes = output.per_sample
        if not self.firing.recurrent:
            return {"spikes": spikes}
        # One step later: all but those of the last step, and those of the step before the first.
        fan_out, early = micro.fan_out[self.index], micro.steps - 1
        delivered = fan_out.tally_first(output, early)
        begun = micro.begun.get(self.index)
        if begun is not None:
            delivered = delivered + fan_out.tally(Analog(begun[:, codes.FIRED : codes.FIRED + 1]))
        return {"spikes": spikes, "delivered": delivered}

    def count(self, tally: Tally, run: Counted) -> LayerCounts:
        """Count spikes, updates, resets, and what recurrent weights deliver."""
        counts = LayerCounts.zeros(run.batch)
        spikes = tally["spikes"]
        counts.spikes = spikes
        counts.neuron_updates = run.steps * self.size
        if self.firing.reset != "none":
            counts.resets = spikes
        if self.firing.recurrent:
            counts.synops_recurrent, effective = run.fan_out[self.index].reached(tally["delivered"])
            counts.synops_recurrent_effective = effective
            counts.acs = effective
            counts.undelivered = spikes - tally["delivered"][0]
            counts.macs_dense = run.steps * self.size**2
        return counts

    def count_steps(self, signal: Signal, output: Signal, micro: MicroBatch) -> StepCounts:
        """Count spikes, and what recurrent weights deliver, at every step."""
        assert isinstance(output, Events)
        counts = StepCounts.zeros(micro.steps, output.batch)
        counts.active[...] = output.by_step(np.ones(output.indices.size, np.int64))
        if self.firing.recurrent:
            late = self._delivered_late(output, micro)
            counts.synops[...] = late.by_step(micro.fan_out[self.index].effective[late.indices])
        return counts

    def recurrent_fan_out(self) -> NDArray[np.int64]:
        """Return per neuron its recurrent synapses and those of nonzero weight, int64 [N, 2]."""
        return synapses(self._recurrent_rows)


_NO_VALUES = np.empty(0, np.float32)
_NO_WEIGHTS = np.empty((0, 0), np.float32)


@cache
def _ones(steps: int) -> FloatArray:
    return np.ones(steps, np.float32)


def per_neuron(value: ArrayLike, size: int) -> FloatArray:
    """Spread one value, one per channel, or one per neuron over all neurons, float32 [N]."""
    given = np.asarray(value, np.float32).reshape(-1)
    return np.repeat(given, size // given.size)


def _summed(per_neuron: NDArray[np.float64], shape: Shape) -> NDArray[np.float64]:
    """Add the gradients of neurons up to those of the value they share."""
    return np.asarray(per_neuron.reshape(math.prod(shape), -1).sum(axis=1).reshape(shape))


def as_current(layer: Layer, signal: Signal, micro: MicroBatch) -> FloatArray:
    """Return a signal as currents [M, S, N]; events that reach a layer without an edge drive it with their value."""
    if isinstance(signal, Analog):
        return signal.values.reshape(*signal.values.shape[:2], layer.size)
    current: FloatArray = layer.buffer(micro, "drive", (micro.size, micro.steps, layer.size))
    current = current[: signal.batch]
    rows = current.reshape(-1, layer.size)
    propagate.scatter_dense(signal.indptr, signal.indices, event_values(signal), rows)
    return current
