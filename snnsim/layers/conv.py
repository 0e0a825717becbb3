"""Convolution: an event adds its patch of weights to the currents."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snnsim.events import Events
from snnsim.kernels import columns as column_kernels
from snnsim.kernels import convolve
from snnsim.kernels.lanes import LANES, SLACK
from snnsim.layers.base import (
    Affine,
    Analog,
    FloatArray,
    Gradient,
    MicroBatch,
    Signal,
    constant,
    event_values,
    samples_of,
)
from snnsim.layers.tiles import PANEL, Tiles, forward_tiles, input_tiles, weight_tiles, whole
from snnsim.layers.weight_orders import WeightOrders
from snnsim.layers.window import IndexArray, Window

# From how many of its inputs active a sample's product beats scattering event by event, forwards and in the weights'
# gradient together. Measured on one core (Zen 3, AVX2) for kernels of 1x1 to 5x5, 12 to 128 outputs, stride 2 and
# depthwise: they break even at 0.3 to 0.5; at 0.1 events take a third to three fifths of the time, at 0.05 a quarter
# to two fifths.
DENSE_FROM = 0.4

# Up to which part of the input gradient's places one product each beats the product of all (one core, Zen 3, AVX2).
NEEDED_UP_TO = 0.2

# How much of a constant input, every pixel with all it sees, is written out at a time, in bytes: an L2 cache.
COLUMN_BYTES = 1 << 19

# How much of padded images and products lies between kernels, in bytes: a part of an L2 cache.
IMAGE_BYTES = 1 << 17

# Into how many blocks of samples a whole batch's gradient product is cut: fixed, so that threads change no bit.
GRADIENT_BLOCKS = 4


@dataclass(frozen=True, eq=False)
class Sorted:
    """A micro-batch's events sorted by place, see `convolve.sort_by_place`."""

    starts: IndexArray
    channels: IndexArray
    sizes: FloatArray


@dataclass(frozen=True, eq=False)
class Seen:
    """What a forward pass leaves for the way back: the signal, its sorted events, and who went by the product.

    ``weighted`` says that the signal is the activity summed over time with a weight per step.
    """

    signal: Signal
    sorted: Sorted | None = None
    dense: NDArray[np.bool_] | None = None
    weighted: bool = False


class Images:
    """Buffers of one worker for products, channels innermost: padded images, and flat results with room behind."""

    def __init__(self, layer: "Conv2d", micro: MicroBatch) -> None:
        orders, window = layer.orders, layer.window
        self.padded = layer.buffer(
            micro,
            "images",
            (layer.rows_at_once, layer.groups, layer.group_inputs * window.padded[0] * window.padded[1]),
        )
        self.products = layer.buffer(micro, "products", (layer.rows_at_once * layer.product_size + SLACK,))
        self.back = layer.buffer(micro, "back", (layer.rows_at_once * layer.back_size + SLACK,))
        self.gradient = layer.buffer(micro, "weight gradient", (math.prod(orders.product_shape) + SLACK,))


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
        self.product_size = groups * self.pixels * whole(self.group_outputs)
        self.back_size = groups * window.image[1] * window.image[2] * whole(self.group_inputs)
        self.rows_at_once = max(1, IMAGE_BYTES // (4 * max(self.product_size, self.back_size, self.fan_in)))
        bound = 1 / np.sqrt(self.depth)
        shape = (out, self.group_inputs, *window.kernel)
        self.parameters["weight"] = rng.uniform(-bound, bound, shape).astype(np.float32)
        if bias:
            self.parameters["bias"] = rng.uniform(-bound, bound, out).astype(np.float32)
        self._no_bias = np.zeros(out, np.float32)
        self.orders = WeightOrders(window, groups, shape)
        cut = (window, self.group_inputs, self.group_outputs)
        self._tiles = (forward_tiles(*cut), weight_tiles(*cut), input_tiles(*cut))
        self._no_bias_back = np.zeros(window.image[0], np.float32)
        channel, y, x = np.unravel_index(np.arange(self.fan_in), window.image)
        group, within = channel // self.group_inputs, channel % self.group_inputs
        self._place_of = ((group * window.image[1] + y) * window.image[2] + x).astype(np.int32)
        self._channel_of = channel.astype(np.int32)
        height, width = window.padded
        line = (group * height + y + window.before[0]) * width + x + window.before[1]
        self._padded_of = (line * self.group_inputs + within).astype(np.int32)
        runs = window.runs
        self._reached = (window.hits(0), runs.ptr, runs.tap, runs.out, runs.length)

    @property
    def _bias(self) -> FloatArray:
        return self.parameters.get("bias", self._no_bias)

    @property
    def _shape(self) -> tuple[int, int, int, int]:
        return self.groups, self.window.kernel[1], self.window.out[1], self.group_outputs

    def prepare(self, buckets: int) -> None:
        """Copy the weights into the orders of the kernels."""
        self.orders.take(self.parameters["weight"])

    def forward(self, signal: Signal, micro: MicroBatch) -> Signal:
        """Return the currents, [M, T, N], or [M, 1, N] for input that is the same at every step."""
        count, steps = samples_of(signal), micro.steps if isinstance(signal, Events) else signal.values.shape[1]
        current: FloatArray = self.buffer(micro, "current", (micro.size, steps, self.size))[:count]
        if isinstance(signal, Analog):
            micro.saved[self.index] = Seen(signal)
            x = signal.values.reshape(-1, self.fan_in)
            self._multiply(x, current.reshape(-1, self.size), Images(self, micro), self._bias)
            return Analog(current)
        dense = self._dense_samples(signal, micro)
        ordered = None if dense.all() else self._sort(signal, micro)
        micro.saved[self.index] = Seen(signal, ordered, dense)
        for first, last in _stretches(dense):
            rows = current[first:last].reshape(-1, self.size)
            if dense[first]:
                self._multiply(signal.samples(first, last), rows, Images(self, micro), self._bias)
            else:
                assert ordered is not None
                self._scatter(ordered, slice(first * steps, last * steps), rows, micro)
        return Analog(current)

    def _dense_samples(self, events: Events, micro: MicroBatch) -> NDArray[np.bool_]:
        """Say for each sample whether it goes by the dense product: by its own events and the shapes alone."""
        if micro.path != "auto":
            return np.full(events.batch, micro.path == "dense")
        return events.per_sample > DENSE_FROM * self.fan_in * micro.steps

    def _sort(self, events: Events, micro: MicroBatch) -> Sorted:
        most = micro.size * micro.steps * self.fan_in
        places = self.groups * self.window.image[1] * self.window.image[2]
        starts = self.buffer(micro, "starts", (micro.size * micro.steps, places + 1), np.int32)
        channels = self.buffer(micro, "channels", (most,), np.int32)
        sizes = self.buffer(micro, "sizes", (most,))
        convolve.sort_by_place(
            events.indptr,
            events.indices,
            event_values(events),
            self._place_of,
            self._channel_of,
            starts,
            channels,
            sizes,
        )
        return Sorted(starts, channels, sizes)

    def _scatter(self, events: Sorted, part: slice, current: FloatArray, micro: MicroBatch) -> None:
        convolve.scatter(
            events.starts[part],
            events.channels,
            events.sizes,
            *self._reached,
            self.orders.by_run.reshape(-1),
            self._shape,
            self.buffer(micro, "patch", (self.size + SLACK,)),
            self._bias,
            current,
        )

    def _write_images(self, x: Events | FloatArray, first: int, last: int, images: Images) -> FloatArray:
        """Write the rows ``first`` to ``last`` as padded images [rows, groups, (y, x, channel)]."""
        padded = images.padded[: last - first]
        flat = padded.reshape(last - first, -1)
        if isinstance(x, Events):
            column_kernels.pad_events(x.indptr[first : last + 1], x.indices, event_values(x), self._padded_of, flat)
        else:
            column_kernels.pad(x[first:last], self._padded_of, flat)
        return padded

    def _multiply(self, x: Events | FloatArray, current: FloatArray, images: Images, bias: FloatArray) -> None:
        """Write the currents [rows, N] of rows, dense or events, by products; one of its own for each row."""
        size, columns, panels = self.product_size, whole(self.group_outputs), self.orders.panels
        apart = (0, panels[0].size, panels[0, 0].size)
        for first, last in _chunks(current.shape[0], self.rows_at_once):
            padded = self._write_images(x, first, last, images)
            images.products[...] = 0
            self._add_products(
                self._tiles[0], columns, padded, panels, apart, images.products, (size, size // self.groups)
            )
            products = images.products[: (last - first) * size].reshape(-1, self.groups, self.pixels, columns)
            convolve.to_channels(products, bias, current[first:last])

    def _add_products(
        self,
        tiles: Tiles,
        columns: int,
        a: FloatArray,
        b: FloatArray,
        b_apart: tuple[int, int, int],
        out: FloatArray,
        out_apart: tuple[int, int],
    ) -> None:
        vectors = columns // LANES
        column_kernels.add_products(tiles.tiles, tiles.steps, vectors, a, b.reshape(-1), b_apart, out, out_apart)

    def summed_forward(self, activity: FloatArray, micro: MicroBatch, weight: np.float32) -> FloatArray:
        """Return ``conv(W, sum_t w[t] s[t]) + b sum_t w[t]``, float32 [M, N]."""
        micro.saved[self.index] = Seen(Analog(activity[:, None]), weighted=True)
        result = np.empty((activity.shape[0], self.size), np.float32)
        self._multiply(activity, result, Images(self, micro), self._no_bias)
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
        convolve.to_pixels(values.reshape(rows, self.size), delta)
        self._add_weight_gradient(seen, delta, gradients["weight"], micro)
        if not inputs:
            return None
        result: FloatArray = self.buffer(micro, "input gradient", (micro.size, values.shape[1], self.fan_in))
        result = result[: values.shape[0]]
        needed = micro.needed.get(self.index)
        if needed is not None and not seen.weighted and needed.indices.size < NEEDED_UP_TO * result.size:
            self._needed_gradient(needed, delta, result.reshape(-1, self.fan_in), micro)
        else:
            self._input_gradient(delta, result.reshape(-1, self.fan_in), Images(self, micro))
        return Gradient(result, weights)

    def _add_weight_gradient(self, seen: Seen, delta: FloatArray, weight: FloatArray, micro: MicroBatch) -> None:
        images = Images(self, micro)
        images.gradient[...] = 0
        if isinstance(seen.signal, Analog):
            self._add_by_product(seen.signal.values.reshape(-1, self.fan_in), delta, images)
            self.orders.add_to(weight, product=images.gradient)
            return
        assert seen.dense is not None
        by_run = self.buffer(micro, "weight gradient by run", (self.orders.by_run.size + SLACK,))
        by_run[...] = 0
        steps = micro.steps
        for first, last in _stretches(seen.dense):
            part = slice(first * steps, last * steps)
            if seen.dense[first]:
                self._add_by_product(seen.signal.samples(first, last), delta[part], images)
            else:
                assert seen.sorted is not None
                self._add_by_run(seen.sorted, part, delta[part], by_run)
        self.orders.add_to(weight, product=images.gradient if seen.dense.any() else None, by_run=by_run)

    def _add_by_run(self, events: Sorted, part: slice, delta: FloatArray, by_run: FloatArray) -> None:
        convolve.add_weight_gradient(
            events.starts[part],
            events.channels,
            events.sizes,
            *self._reached,
            delta.reshape(delta.shape[0], -1),
            by_run,
            self._shape,
            self.window.image[0],
        )

    def _add_by_product(self, x: Events | FloatArray, delta: FloatArray, images: Images) -> None:
        """Add the weights' gradient of rows, dense or events, by products."""
        _, depth, columns = self.orders.product_shape
        apart = (self.size, self.size // self.groups, PANEL)
        for first, last in _chunks(delta.shape[0], self.rows_at_once):
            padded = self._write_images(x, first, last, images)
            self._add_products(
                self._tiles[1], columns, padded, delta[first:last], apart, images.gradient, (0, depth * columns)
            )

    def _input_gradient(self, delta: FloatArray, result: FloatArray, images: Images) -> None:
        """Write the gradient of the input rows [rows, F] for deltas [rows, groups, pixels, outputs]."""
        size, columns, panels = self.back_size, whole(self.group_inputs), self.orders.panels_back
        apart = (0, panels[0].size, panels[0, 0].size)
        by_group = delta.reshape(delta.shape[0], self.groups, -1)
        for first, last in _chunks(delta.shape[0], self.rows_at_once):
            images.back[...] = 0
            self._add_products(
                self._tiles[2], columns, by_group[first:last], panels, apart, images.back, (size, size // self.groups)
            )
            back = images.back[: (last - first) * size].reshape(last - first, self.groups, -1, columns)
            convolve.to_channels(back, self._no_bias_back, result[first:last])

    def _needed_gradient(self, needed: Events, delta: FloatArray, result: FloatArray, micro: MicroBatch) -> None:
        """Write the gradient of the input rows [rows, F] where it is needed, zero elsewhere."""
        ordered = self._sort(needed, micro)
        convolve.needed_products(
            ordered.starts[: result.shape[0]],
            ordered.channels,
            *self._reached,
            delta.reshape(delta.shape[0], -1),
            self.orders.by_run.reshape(-1),
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
        return [(first + start, first + stop) for start, stop in _chunks(last - first, at_once)]

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
        rows = (self.window.hits(0) >= 0).astype(np.int64)
        columns = (self.window.hits(1) >= 0).astype(np.int64)
        present = np.count_nonzero(self.orders.grouped(self.parameters["weight"]), axis=1)
        taps = present.reshape(-1, *self.window.kernel)
        effective = np.einsum("ckl,ky,lx->cyx", taps, rows, columns, optimize=True)
        structural = self.group_outputs * np.multiply.outer(rows.sum(axis=0), columns.sum(axis=0))
        both = [np.broadcast_to(structural, effective.shape).ravel(), effective.ravel()]
        return np.stack(both, axis=1).astype(np.int64)


def _chunks(count: int, size: int) -> list[tuple[int, int]]:
    return [(start, min(start + size, count)) for start in range(0, count, size)]


def _stretches(kind: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Cut samples into stretches of one kind."""
    ends = [*(np.flatnonzero(kind[1:] != kind[:-1]) + 1).tolist(), kind.size]
    return list(zip([0, *ends[:-1]], ends, strict=True))
