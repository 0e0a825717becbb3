"""Convolution: an event adds its patch of weights to the currents."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnsim.events import Events
from snnsim.kernels import columns as column_kernels
from snnsim.kernels import convolve
from snnsim.kernels.lanes import SLACK
from snnsim.layers.base import Affine, MicroBatch
from snnsim.layers.image_products import ImageProducts
from snnsim.layers.signals import Analog, FloatArray, Gradient, Signal, constant, event_values, samples_of
from snnsim.layers.tiles import whole
from snnsim.layers.toom_cook import ToomCook
from snnsim.layers.weight_orders import WeightOrders
from snnsim.layers.window import IndexArray, Window

# From how many of its inputs active a sample's product beats its events. Measured on one core (Zen 4) for kernels of
# 3x3 and 5x5, 1 to 64 input channels, 12 to 256 outputs, stride 2 and depthwise. Forwards, they break even at 0.4 to
# 0.6; earlier where a row of taps has little to multiply, since events cost something for each row: at 0.15 for 8
# channels and 16 outputs, at 0.06 for 3 and 32, at 0.02 for fewer.
DENSE_FROM, LEAST_DENSE_FROM, ROW_COST = 0.5, 0.03, 150.0
# In the weights' gradient: at 0.34 to 0.48, whatever the shape.
GRADIENT_DENSE_FROM = 0.35

# Events are gathered output by output where a row of taps sees at least so many; otherwise, an output's own cost is
# more than theirs, and they are scattered one by one.
GATHER_FROM = 1.0

# Up to which part of the input gradient's places one product each beats the product of all, and the fewer products of
# Toom and Cook. In whole training steps on one core (Zen 4) they break even at 0.13 and 0.05.
NEEDED_UP_TO, FEWER_UP_TO = 0.12, 0.05
# By how much fewer products have to be less work than all of them.
LEAST_GAIN = 1.1

# How much of a constant input, every pixel with all it sees, is written out at a time, in bytes: an L2 cache.
COLUMN_BYTES = 1 << 19

# Into how many blocks of samples a whole batch's gradient product is cut: fixed, so that threads change no bit.
GRADIENT_BLOCKS = 4


@dataclass(frozen=True, eq=False)
class Sorted:
    """A micro-batch's events sorted by place, see `convolve.sort_by_place`."""

    starts: IndexArray
    along: IndexArray
    sizes: FloatArray


@dataclass(frozen=True, eq=False)
class Seen:
    """What a forward pass leaves for the way back: the signal.

    ``weighted`` says that it is the activity summed over time with a weight per step.
    """

    signal: Signal
    weighted: bool = False


class Conv2d(Affine):
    """``I[t] = conv(W, s[t]) + b`` over images [C, H, W].

    ``weight`` is OIHW and row-major. The kernels want other orders, with the output channels innermost: `prepare` makes
    them, once a batch. Neurons are row-major [C, H, W] outside of the kernels everywhere, so that no other layer,
    parameter or record has to know of an order; the transpositions cost a few percent of a convolution.
    """

    name = "conv2d"

    def __init__(
        self, index: int, window: Window, out: int, *, groups: int, bias: bool, rng: np.random.Generator
    ) -> None:
        super().__init__(index, window.image, (out, *window.out))
        self.window = window
        self.groups = groups
        self.group_inputs = window.image[0] // groups
        self.group_outputs = out // groups
        self.pixels = window.out[0] * window.out[1]
        self.fan_in = int(np.prod(window.image))
        self.depth = self.group_inputs * window.kernel[0] * window.kernel[1]
        bound = 1 / np.sqrt(self.depth)
        shape = (out, self.group_inputs, *window.kernel)
        self.parameters["weight"] = rng.uniform(-bound, bound, shape).astype(np.float32)
        if bias:
            self.parameters["bias"] = rng.uniform(-bound, bound, out).astype(np.float32)
        row = self.group_inputs * (window.kernel[1] if window.dilation[1] == 1 else 1) * whole(self.group_outputs)
        self._dense_from = max(LEAST_DENSE_FROM, DENSE_FROM - ROW_COST / row)
        self._no_bias, self._nothing = np.zeros(out, np.float32), np.zeros(self.pixels, np.float32)
        self._orders = WeightOrders(window, groups, shape)
        channel, y, x = np.unravel_index(np.arange(self.fan_in), window.image)
        group, within = channel // self.group_inputs, channel % self.group_inputs
        place = (group * window.image[1] + y) * window.image[2] + x
        self._image_of = (place * self.group_inputs + within).astype(np.int32)
        rank, line, self._reach = window.row_order
        column = (group * window.image[2] + x) * self.group_inputs + within
        self._key_of = (column * window.image[1] + rank[y]).astype(np.int32)
        self._line_of = (group * self.pixels + line[y]).astype(np.int32)
        height, width = window.padded
        pixel = (group * height + y + window.before[0]) * width + x + window.before[1]
        padded_of = (pixel * self.group_inputs + within).astype(np.int32)
        self._products = ImageProducts(window, groups, out, self._orders, padded_of)
        self._toom_cook = ToomCook(window, out) if ToomCook.gain(window, groups, out) > LEAST_GAIN else None
        runs = window.runs
        self._reached = (window.hits(0), runs.ptr, runs.tap, runs.out, runs.length)
        # Which taps have a row, or a column, of the image: [kernel, size].
        self._taps_at = [(window.hits(axis) >= 0).astype(np.int64) for axis in (0, 1)]

    @property
    def needed_up_to(self) -> float:
        """Up to which part of the input gradient's places one product each beats the product of all, or fewer."""
        return FEWER_UP_TO if self._toom_cook else NEEDED_UP_TO

    @property
    def _bias(self) -> FloatArray:
        return self.parameters.get("bias", self._no_bias)

    @property
    def _shape(self) -> tuple[int, int, int, int]:
        return self.groups, self.window.kernel[1], self.window.out[1], self.group_outputs

    def prepare(self, buckets: int) -> None:
        """Copy the weights into the orders of the kernels."""
        self._orders.take(self.parameters["weight"])
        if self._toom_cook:
            self._toom_cook.prepare()

    def forward(self, signal: Signal, micro: MicroBatch) -> Signal:
        """Return the currents, [M, T, N], or [M, 1, N] for input that is the same at every step."""
        count, steps = samples_of(signal), micro.steps if isinstance(signal, Events) else signal.values.shape[1]
        current: FloatArray = self.buffer(micro, "current", (micro.size, steps, self.size))[:count]
        if isinstance(signal, Analog):
            micro.saved[self.index] = Seen(signal)
            x = signal.values.reshape(-1, self.fan_in)
            self._products.multiply(
                x, current.reshape(-1, self.size), self._products.images(self.index, micro), self._bias
            )
            return Analog(current)
        dense = self._dense_samples(signal, micro, self._dense_from)
        ordered = None if dense.all() else self._sort(signal, micro)
        micro.saved[self.index] = Seen(signal)
        gathered = self._gathered_samples(signal, micro)
        for first, last in _stretches(np.where(dense, 2, gathered)):
            rows = current[first:last].reshape(-1, self.size)
            if dense[first]:
                self._products.multiply(
                    signal.samples(first, last), rows, self._products.images(self.index, micro), self._bias
                )
                continue
            assert ordered is not None
            add = self._gather if gathered[first] else self._scatter
            add(ordered, slice(first * steps, last * steps), rows, micro)
        return Analog(current)

    def _dense_samples(self, events: Events, micro: MicroBatch, dense_from: float) -> NDArray[np.bool_]:
        """Say for each sample whether it goes by the dense product: by its own events and the shapes alone."""
        if micro.path != "auto":
            return np.full(events.batch, micro.path == "dense")
        return events.per_sample > dense_from * self.fan_in * micro.steps

    def _gathered_samples(self, events: Events, micro: MicroBatch) -> NDArray[np.bool_]:
        """Say for each sample that goes by its events whether they are gathered, by the same."""
        seen = events.per_sample * (self.group_inputs * self.window.kernel[1])
        return seen >= GATHER_FROM * self.fan_in * micro.steps

    def _sort(self, events: Events, micro: MicroBatch) -> Sorted:
        most = micro.size * micro.steps * self.fan_in
        _, height, width = self.window.image
        starts = self.buffer(micro, "starts", (micro.size * micro.steps, self.groups * height * width + 1), np.int32)
        along = self.buffer(micro, "along", (most + SLACK,), np.int32)
        sizes = self.buffer(micro, "sizes", (most + SLACK,))
        convolve.sort_by_place(
            events.indptr,
            events.indices,
            event_values(events),
            self._image_of,
            (self.groups * height, width, self.group_inputs),
            self.buffer(micro, "places", (self.fan_in,)),
            self.buffer(micro, "before", (width * self.group_inputs + SLACK,), np.int32),
            starts,
            along,
            sizes,
        )
        return Sorted(starts, along, sizes)

    def _gather(self, events: Sorted, part: slice, current: FloatArray, micro: MicroBatch) -> None:
        window = self.window
        convolve.gather(
            events.starts[part],
            events.along,
            events.sizes,
            (self.group_inputs, *window.image[1:]),
            window.out,
            window.kernel,
            window.before,
            window.stride,
            window.dilation,
            self._orders.by_tap,
            self.buffer(micro, "patch", (self._products.size + SLACK,)),
            self._bias,
            current,
        )

    def _scatter(self, events: Sorted, part: slice, current: FloatArray, micro: MicroBatch) -> None:
        convolve.scatter(
            events.starts[part],
            events.along,
            events.sizes,
            *self._reached,
            self._orders.by_run.reshape(-1),
            self._shape,
            self.buffer(micro, "patch", (self._products.size + SLACK,)),
            self._bias,
            current,
        )

    def summed_forward(self, activity: FloatArray, micro: MicroBatch, weight: np.float32) -> FloatArray:
        """Return ``conv(W, sum_t w[t] s[t]) + b sum_t w[t]``, float32 [M, N]."""
        micro.saved[self.index] = Seen(Analog(activity[:, None]), weighted=True)
        result = np.empty((activity.shape[0], self.size), np.float32)
        self._products.multiply(activity, result, self._products.images(self.index, micro), self._no_bias)
        by_channel = result.reshape(result.shape[0], -1, self.pixels)
        by_channel += (self._bias * weight)[:, None]
        return result

    def backward(
        self, gradient: Gradient, micro: MicroBatch, gradients: Mapping[str, FloatArray], inputs: bool
    ) -> Gradient | None:
        """Add the weight and bias gradients; return the input's gradient, the transposed convolution of delta."""
        seen: Seen = micro.saved[self.index]
        if not seen.weighted:
            gradient = gradient.over_constant() if constant(seen.signal) else gradient.over_steps()
        values, total, weights = gradient.values, gradient.total, gradient.weights
        if "bias" in gradients:
            summed = total if total is not None else values.sum(axis=1)
            by_channel = summed.sum(axis=0).reshape(-1, self.pixels).sum(axis=1)
            gradients["bias"] += by_channel if weights is None else by_channel * weights.sum(dtype=np.float32)
        rows = values.shape[0] * values.shape[1]
        room: FloatArray = self.buffer(micro, "delta", (micro.size * values.shape[1] * self.size + SLACK,))
        delta = room[: rows * self.size].reshape(rows, self.groups, self.pixels, self.group_outputs)
        convolve.to_pixels(values.reshape(rows, self.size), self._nothing, delta)
        self._add_weight_gradient(seen, room, delta, gradients["weight"], micro)
        if not inputs:
            return None
        result: FloatArray = self.buffer(micro, "input gradient", (micro.size, values.shape[1], self.fan_in))
        result = result[: values.shape[0]]
        needed = micro.needed.get(self.index)
        if needed is not None and not seen.weighted:
            self._needed_gradient(needed, delta, result.reshape(-1, self.fan_in), micro)
        elif self._toom_cook:
            self._toom_cook.input_gradient(
                self.index, micro, self.parameters["weight"], delta, result.reshape(-1, self.fan_in)
            )
        else:
            self._products.input_gradient(
                delta, result.reshape(-1, self.fan_in), self._products.images(self.index, micro)
            )
        return Gradient(result, weights)

    def _add_weight_gradient(
        self, seen: Seen, room: FloatArray, delta: FloatArray, weight: FloatArray, micro: MicroBatch
    ) -> None:
        images = self._products.images(self.index, micro)
        images.gradient[...] = 0
        if isinstance(seen.signal, Analog):
            self._products.add_weight_gradient(seen.signal.values.reshape(-1, self.fan_in), delta, images)
            self._orders.add_to(weight, product=images.gradient)
            return
        dense = self._dense_samples(seen.signal, micro, GRADIENT_DENSE_FROM)
        by_run: FloatArray = self.buffer(micro, "weight gradient by run", (self._orders.by_run.size + SLACK,))
        by_run[...] = 0
        steps = micro.steps
        for first, last in _stretches(dense):
            part = slice(first * steps, last * steps)
            if dense[first]:
                self._products.add_weight_gradient(seen.signal.samples(first, last), delta[part], images)
            else:
                self._add_by_events(seen.signal.samples(first, last), room[first * steps * self.size :], by_run, micro)
        self._orders.add_to(weight, product=images.gradient if dense.any() else None, by_run=by_run)

    def _add_by_events(self, events: Events, delta: FloatArray, by_run: FloatArray, micro: MicroBatch) -> None:
        most = micro.size * micro.steps * self.fan_in
        starts = self.buffer(micro, "column starts", (self.fan_in + 1,), np.int32)
        lines = self.buffer(micro, "lines", (most,), np.int32)
        sizes = self.buffer(micro, "line sizes", (most,))
        convolve.sort_by_column(
            events.indptr,
            events.indices,
            event_values(events),
            self._key_of,
            self._line_of,
            self.groups * self.pixels,
            starts,
            lines,
            sizes,
        )
        convolve.add_weight_gradient(
            starts,
            lines,
            sizes,
            self._reach,
            *self._reached[1:],
            (self.groups, self.group_inputs, self.window.kernel[1], self.group_outputs),
            delta,
            by_run,
        )

    def _needed_gradient(self, needed: Events, delta: FloatArray, result: FloatArray, micro: MicroBatch) -> None:
        """Write the gradient of the input rows [rows, F] where it is needed, zero elsewhere."""
        ordered = self._sort(needed, micro)
        convolve.needed_products(
            ordered.starts[: result.shape[0]],
            ordered.along,
            *self._reached,
            delta.reshape(delta.shape[0], -1),
            self._orders.by_run.reshape(-1),
            self._shape,
            result,
        )

    def _tap_rows(self, x: FloatArray) -> FloatArray:
        """Return what each tap sees of constant input, [rows, groups, (channel, ky, kx), pixels]."""
        window = self.window
        columns = np.empty((x.shape[0], self.groups, self.depth, self.pixels), np.float32)
        column_kernels.tap_rows(
            x, window.image, window.before, window.out, window.kernel, window.stride, window.dilation, columns
        )
        return columns

    def constant_forward(self, x: FloatArray, run: Callable[..., None]) -> FloatArray:
        """Return the currents [B, N] of constant input [B, F], one product a sample."""
        current = np.empty((x.shape[0], self.groups, self.group_outputs, self.pixels), np.float32)
        weight = self.parameters["weight"].reshape(self.groups, self.group_outputs, self.depth)
        bias = self._bias.reshape(self.groups, self.group_outputs, 1)

        def block(k: int) -> None:
            for first, last in self._blocks(x.shape[0], k):
                np.matmul(weight, self._tap_rows(x[first:last]), out=current[first:last])
                current[first:last] += bias

        run(block, GRADIENT_BLOCKS)
        return current.reshape(x.shape[0], self.size)

    def _blocks(self, batch: int, k: int) -> list[tuple[int, int]]:
        """Return the k-th of a few blocks of a batch, in chunks whose columns fit into a cache."""
        first, last = k * batch // GRADIENT_BLOCKS, (k + 1) * batch // GRADIENT_BLOCKS
        at_once = max(1, COLUMN_BYTES // (4 * self.groups * self.pixels * self.depth))
        return [(start, min(start + at_once, last)) for start in range(first, last, at_once)]

    def constant_backward(
        self, x: FloatArray, delta: FloatArray, gradients: Mapping[str, FloatArray], run: Callable[..., None]
    ) -> None:
        """Write the gradients for constant input [B, F] and deltas summed over time [B, N]."""
        if "bias" in gradients:
            gradients["bias"][...] = delta.sum(axis=0).reshape(-1, self.pixels).sum(axis=1)
        by_group = delta.reshape(-1, self.groups, self.group_outputs, self.pixels)
        parts = np.zeros((GRADIENT_BLOCKS, self.groups, self.group_outputs, self.depth), np.float32)

        def block(k: int) -> None:
            for first, last in self._blocks(x.shape[0], k):
                seen = self._tap_rows(x[first:last]).transpose(0, 1, 3, 2)
                parts[k] += np.matmul(by_group[first:last], seen).sum(axis=0)

        run(block, GRADIENT_BLOCKS)
        gradients["weight"][...] = parts.sum(axis=0).reshape(gradients["weight"].shape)

    def fan_out(self) -> NDArray[np.int64]:
        """Return per input the existing synapses and those of nonzero weight, int64 [F, 2], exact at the borders."""
        rows, columns = self._taps_at
        both = np.empty((2, self.window.image[0], rows.shape[1], columns.shape[1]), np.int64)
        both[0] = self.group_outputs * np.multiply.outer(rows.sum(axis=0), columns.sum(axis=0))
        present = (self._orders.grouped(self.parameters["weight"]) != 0).sum(axis=1)
        np.matmul(rows.T @ present.reshape(-1, *self.window.kernel), columns, out=both[1])
        return both.reshape(2, -1).T


def _stretches(kind: NDArray[Any]) -> list[tuple[int, int]]:
    """Cut samples into stretches of one kind."""
    ends = [*(np.flatnonzero(kind[1:] != kind[:-1]) + 1).tolist(), kind.size]
    return list(zip([0, *ends[:-1]], ends, strict=True))
