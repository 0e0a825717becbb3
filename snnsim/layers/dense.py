"""Fully connected layer: an event adds one row of weights to the currents."""

import math
from collections.abc import Callable, Mapping
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from snnsim.events import Events
from snnsim.kernels import propagate, row_sums
from snnsim.layers.base import Affine, MicroBatch, Shape
from snnsim.layers.fan_out import synapses
from snnsim.layers.packing import NOT_PACKED, add_weight_gradient, pack_weights, read_packed
from snnsim.layers.products import row_products
from snnsim.layers.signals import Analog, FloatArray, Gradient, Signal, constant, event_values
from snnsim.memory import aligned_zeros

# When a sample's product beats adding weight rows event by event, in units of events per input. Measured on one core,
# they break even at 0.44 T + 5 (Zen 4, AVX-512) and 0.11 T + 9 (Zen 3, AVX2, before rows were added in registers):
# between them, so that neither loses much. T = 50 breaks even at 0.44 of the inputs active, T = 300 at 0.32, T = 10
# never.
EVENTS_PER_ROW = 0.3
EVENTS_PER_PACKING = 7.0

# Up to which part of the input gradient's places one product each beats the product of all. In whole training steps on
# one core they break even at 0.46 (Zen 4, AVX-512) and 0.3 (Zen 3, AVX2): between them.
NEEDED_UP_TO = 0.38

# Into how many blocks of rows a whole batch's gradient product is cut: fixed, so that threads change no bit.
GRADIENT_BLOCKS = 4


class Dense(Affine):
    """``I[t] = W s[t] + b``.

    ``weight`` (out, in) is a view of memory that lies as [in, out], one contiguous row per input.
    """

    name = "dense"

    def __init__(self, index: int, in_shape: Shape, out: int, *, bias: bool, rng: np.random.Generator) -> None:
        super().__init__(index, in_shape, (out,))
        self.fan_in = math.prod(in_shape)
        bound = 1 / np.sqrt(self.fan_in)
        rows = aligned_zeros((self.fan_in, out))
        for j in range(out):  # one output at a time: the whole in float64 would take three times the memory
            rows[:, j] = rng.uniform(-bound, bound, self.fan_in)
        self.parameters["weight"] = rows.T
        if bias:
            self.parameters["bias"] = rng.uniform(-bound, bound, out).astype(np.float32)
        self._no_bias = np.zeros(out, np.float32)
        self._packed = NOT_PACKED
        self._buckets, self._pack_next, self._packing = 0, False, Lock()

    @property
    def needed_up_to(self) -> float:
        """Up to which part of the input gradient's places one product each beats the product of all."""
        return NEEDED_UP_TO

    @property
    def _rows(self) -> FloatArray:
        return self.parameters["weight"].T

    @property
    def _bias(self) -> FloatArray:
        return self.parameters.get("bias", self._no_bias)

    def prepare(self, buckets: int) -> None:
        """Take note that packed weights are old, and for how many buckets of events new ones would be."""
        self._buckets, self._pack_next = buckets, True

    def _packed_rows(self) -> FloatArray:
        """Return the weights packed, or `NOT_PACKED`: the first micro-batch that asks for them does the work."""
        with self._packing:
            if self._pack_next:
                self._packed = pack_weights(self._rows, self._buckets, self._packed)
                self._pack_next = False
        return self._packed

    def forward(self, signal: Signal, micro: MicroBatch) -> Signal:
        """Return the currents, [M, T, out], or [M, 1, out] for input that is the same at every step."""
        micro.saved[self.index] = signal
        if isinstance(signal, Events):
            return Analog(self._forward_events(signal, micro))
        rows = row_products(signal.values.reshape(-1, self.fan_in), self._rows)
        return Analog((rows + self._bias).reshape(*signal.values.shape[:2], self.size))

    def _forward_events(self, events: Events, micro: MicroBatch) -> FloatArray:
        buffer: FloatArray = self.buffer(micro, "current", (micro.size, micro.steps, self.size))
        current = buffer[: events.batch]
        dense = self._dense_samples(events, micro)
        if not dense.all():
            self._gather(events, current.reshape(-1, self.size))
        for b in np.flatnonzero(dense).tolist():
            self._multiply(events.samples(b, b + 1), current[b], micro)
        return current

    def _dense_samples(self, events: Events, micro: MicroBatch) -> NDArray[np.bool_]:
        """Say for each sample whether it goes by the dense product: by its own events and the shapes alone."""
        if micro.path != "auto":
            return np.full(events.batch, micro.path == "dense")
        limit = self.fan_in * (EVENTS_PER_ROW * micro.steps + EVENTS_PER_PACKING)
        return events.per_sample > limit

    def _gather(self, events: Events, current: FloatArray) -> None:
        if events.values is None:
            packed = self._packed_rows() if read_packed(events.indices.size, current.shape[0]) else NOT_PACKED
            row_sums.gather(events.indptr, events.indices, self._rows, packed, self._bias, current)
        else:
            propagate.gather_graded(events.indptr, events.indices, events.values, self._rows, self._bias, current)

    def _multiply(self, sample: Events, current: FloatArray, micro: MicroBatch) -> None:
        # A product of the sample's own: always of the same shape, a step always at the same place.
        dense = self.buffer(micro, "dense input", (micro.steps, self.fan_in))
        propagate.scatter_dense(sample.indptr, sample.indices, event_values(sample), dense)
        np.dot(dense, self._rows, out=current)
        current += self._bias

    def summed_forward(self, activity: FloatArray, micro: MicroBatch, weight: np.float32) -> FloatArray:
        """Return ``(sum_t w[t] s[t]) W^T + b sum_t w[t]``, float32 [M, out]."""
        micro.saved[self.index] = activity
        return np.asarray(row_products(activity, self._rows) + self._bias * weight)

    def backward(
        self, gradient: Gradient, micro: MicroBatch, gradients: Mapping[str, FloatArray], inputs: bool
    ) -> Gradient | None:
        """Add the weight and bias gradients; return the input's gradient ``W^T delta``."""
        signal: Signal | FloatArray = micro.saved[self.index]
        if isinstance(signal, np.ndarray):
            return self._backward_weighted(signal, gradient, gradients, inputs)
        gradient = gradient.over_constant() if constant(signal) else gradient.over_steps()
        total = gradient.total if gradient.total is not None else gradient.values.sum(axis=1)
        if "bias" in gradients:
            gradients["bias"] += total.sum(axis=0)
        rows = gradients["weight"].T
        if isinstance(signal, Events):
            self._add_event_gradient(signal, gradient.values.reshape(-1, self.size), rows, micro)
        elif constant(signal):
            rows += np.dot(signal.values.reshape(-1, self.fan_in).T, total)
        else:
            values = signal.values.reshape(-1, self.fan_in)
            rows += np.dot(values.T, gradient.values.reshape(-1, self.size))
        if not inputs:
            return None
        if constant(signal):
            return Gradient(np.dot(total, self._rows.T)[:, None])
        return Gradient(self._input_gradient(gradient.values, micro))

    def _backward_weighted(
        self, activity: FloatArray, gradient: Gradient, gradients: Mapping[str, FloatArray], inputs: bool
    ) -> Gradient | None:
        weights = gradient.weights
        assert weights is not None
        delta = gradient.values[:, 0]
        if "bias" in gradients:
            gradients["bias"] += delta.sum(axis=0) * weights.sum(dtype=np.float32)
        rows = gradients["weight"].T
        rows += np.dot(activity.T, delta)
        return Gradient(np.dot(delta, self._rows.T)[:, None], weights) if inputs else None

    def _add_event_gradient(self, events: Events, delta: FloatArray, rows: FloatArray, micro: MicroBatch) -> None:
        most = micro.size * micro.steps * self.fan_in
        starts = self.buffer(micro, "starts", (self.fan_in + 1,), np.int64)
        buckets = self.buffer(micro, "buckets", (most,), np.int32)
        order = self.buffer(micro, "order", (0 if events.values is None else most,), np.int32)
        propagate.sort_by_input(events.indptr, events.indices, starts, buckets, order)
        if events.values is None:
            add_weight_gradient(starts, buckets, delta, rows, micro)
        else:
            propagate.add_weight_gradient_graded(starts, buckets, order, events.values, delta, rows)

    def _input_gradient(self, delta: FloatArray, micro: MicroBatch) -> FloatArray:
        product: FloatArray = self.buffer(micro, "input gradient", (micro.size, micro.steps, self.fan_in))
        product = product[: delta.shape[0]]
        needed = micro.needed.get(self.index)
        if needed is not None:
            rows, out = delta.reshape(-1, self.size), product.reshape(-1, self.fan_in)
            propagate.needed_products(needed.indptr, needed.indices, rows, self._rows, out)
            return product
        np.dot(delta.reshape(-1, self.size), self._rows.T, out=product.reshape(-1, self.fan_in))
        return product

    def constant_forward(self, x: FloatArray, run: Callable[..., None]) -> FloatArray:
        """Return the currents [B, out] of constant input [B, in], one product."""
        return row_products(x, self._rows, run) + self._bias

    def constant_backward(
        self, x: FloatArray, delta: FloatArray, gradients: Mapping[str, FloatArray], run: Callable[..., None]
    ) -> None:
        """Write the gradients for constant input [B, in] and deltas summed over time [B, out]."""
        if "bias" in gradients:
            gradients["bias"][...] = delta.sum(axis=0)
        rows = gradients["weight"].T
        bounds = [self.fan_in * k // GRADIENT_BLOCKS for k in range(GRADIENT_BLOCKS + 1)]

        def block(k: int) -> None:
            np.dot(x[:, bounds[k] : bounds[k + 1]].T, delta, out=rows[bounds[k] : bounds[k + 1]])

        run(block, GRADIENT_BLOCKS)

    def fan_out(self) -> NDArray[np.int64]:
        """Return per input the existing synapses and those of nonzero weight, int64 [in, 2]."""
        return synapses(self._rows)
