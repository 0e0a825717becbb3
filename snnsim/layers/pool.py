"""Pools over images [C, H, W]: events of one window and step merge into one event."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from snnsim.events import Events
from snnsim.kernels import pool, propagate
from snnsim.kernels.vectors import SLACK
from snnsim.layers.base import Layer, MicroBatch
from snnsim.layers.signals import Analog, FloatArray, Gradient, Signal, event_values
from snnsim.layers.window import Window

# Where a pool's events go: ends of buckets, indices, and values (empty for binary events).
Pooled = tuple[NDArray[np.int64], NDArray[np.int32], FloatArray]


class _Pool(Layer):
    """What pools share: a window for each output, no weights, nothing counted."""

    def __init__(self, index: int, window: Window) -> None:
        super().__init__(index, window.image, (window.image[0], *window.out))
        self.window = window
        self.inputs = int(np.prod(window.image))
        self._ptr, self._windows = window.windows_of
        self._part_of = window.part_of

    def reached_through(self, fan_out: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return what each input reaches through the windows that it lies in; nothing if in none."""
        sums = np.concatenate([[0], np.cumsum(fan_out[self._windows])])
        return np.asarray(sums[self._ptr[1:]] - sums[self._ptr[:-1]], np.int64)

    def needed_through(self, needed: Events, micro: MicroBatch) -> Events:
        """Return the windows in which any input's gradient is needed."""
        indptr = np.empty(needed.indptr.size, np.int64)
        indices = self.buffer(micro, "needed", (micro.size * micro.steps * self.size + SLACK,), np.int32)
        self._merge(needed, micro, indptr, indices)
        return Events(indptr, indices[: indptr[-1]], None, needed.num_steps, needed.batch, self.out_shape)

    def _merge(self, events: Events, micro: MicroBatch, indptr: NDArray[np.int64], indices: NDArray[np.int32]) -> None:
        fired = self.buffer(micro, "fired", (self.size + 1,))
        pool.merge_events(
            events.indptr, events.indices, self._part_of, self._ptr, self._windows, fired, indptr, indices
        )

    def _pooled(self, micro: MicroBatch, events: Events, graded: bool) -> Pooled:
        most = micro.size * micro.steps * self.size
        indptr = np.empty(events.indptr.size, np.int64)
        indices = self.buffer(micro, "events", (most + SLACK,), np.int32)
        return indptr, indices, self.buffer(micro, "values", (most + SLACK if graded else 0,))

    def _events(self, like: Events, pooled: Pooled) -> Events:
        indptr, indices, sizes = pooled
        end = indptr[-1]
        values = sizes[:end] if sizes.size else None
        return Events(indptr, indices[:end], values, like.num_steps, like.batch, self.out_shape)

    def _result(self, micro: MicroBatch, role: str, count: int, steps: int, size: int) -> FloatArray:
        result: FloatArray = self.buffer(micro, role, (micro.size, steps, size))
        return result[:count]


class SumPool2d(_Pool):
    """The sum of each window, or its mean. Events become graded, whatever their values are."""

    def __init__(self, index: int, name: str, window: Window, *, mean: bool) -> None:
        super().__init__(index, window)
        self.name = name
        area = window.kernel[0] * window.kernel[1]
        self._scale = np.float32(1 / area if mean else 1)
        self._marks = self.size + 1 + SLACK if area <= pool.PARTS else 0

    @property
    def _geometry(self) -> tuple[tuple[int, int, int], tuple[int, int], tuple[int, int], tuple[int, int]]:
        return self.window.image, self.window.kernel, self.window.stride, self.window.out

    def forward(self, signal: Signal, micro: MicroBatch) -> Signal:
        """Pool events into graded events, analog values into analog values."""
        if isinstance(signal, Analog):
            count, steps = signal.values.shape[:2]
            result = self._result(micro, "pooled", count, steps, self.size)
            x = signal.values.reshape(-1, self.inputs)
            pool.pool_rows(x, *self._geometry, self._scale, result.reshape(-1, self.size))
            return Analog(result)
        pooled = self._pooled(micro, signal, graded=True)
        pool.pool_events(
            signal.indptr,
            signal.indices,
            event_values(signal),
            self._part_of,
            self._ptr,
            self._windows,
            self._scale,
            self.buffer(micro, "sums", (self.size + 1,)),
            self.buffer(micro, "marks", (self._marks,), np.int32),
            *pooled,
        )
        return self._events(signal, pooled)

    def backward(
        self, gradient: Gradient, micro: MicroBatch, gradients: Mapping[str, FloatArray], inputs: bool
    ) -> Gradient | None:
        """Spread each window's gradient over the window."""
        count, steps = gradient.values.shape[:2]
        room: FloatArray = self.buffer(micro, "gradient", (micro.size * steps * self.inputs + SLACK,))
        result = room[: count * steps * self.inputs]
        values = gradient.values.reshape(-1, self.size)
        pool.pool_rows_backward(values, *self._geometry, self._scale, room[: result.size + SLACK])
        return Gradient(result.reshape(count, steps, self.inputs), gradient.weights)


class MaxPool2d(_Pool):
    """The largest value of each window; of binary events: an event where there is any.

    Among equal values the first in row-major order gets the gradient, in a silent window too.
    """

    name = "max_pool2d"

    def __init__(self, index: int, window: Window) -> None:
        super().__init__(index, window)
        rows = np.arange(window.out[0]) * window.stride[0] * window.image[2]
        columns = np.arange(window.out[1]) * window.stride[1]
        channels = np.arange(window.image[0]) * window.image[1] * window.image[2]
        first = channels[:, None, None] + rows[:, None] + columns
        self._first = first.astype(np.int32).ravel()

    def forward(self, signal: Signal, micro: MicroBatch) -> Signal:
        """Pool; binary events stay binary."""
        if isinstance(signal, Events) and signal.values is None:
            micro.saved[self.index] = signal
            pooled = self._pooled(micro, signal, graded=False)
            self._merge(signal, micro, *pooled[:2])
            return self._events(signal, pooled)
        if isinstance(signal, Events):
            x = self._result(micro, "dense", signal.batch, micro.steps, self.inputs)
            rows = x.reshape(-1, self.inputs)
            propagate.scatter_dense(signal.indptr, signal.indices, event_values(signal), rows)
        else:
            x = signal.values.reshape(*signal.values.shape[:2], self.inputs)
        largest = self._largest(x, micro)
        if isinstance(signal, Analog):
            return Analog(largest)
        pooled = self._pooled(micro, signal, graded=True)
        pool.collect(largest.reshape(-1, self.size), *pooled)
        return self._events(signal, pooled)

    def _largest(self, x: FloatArray, micro: MicroBatch) -> FloatArray:
        count, steps = x.shape[:2]
        result = self._result(micro, "pooled", count, steps, self.size)
        chosen = self.buffer(micro, "chosen", (micro.size, steps, self.size), np.int32)[:count]
        window = self.window
        pool.max_rows(
            x.reshape(-1, self.inputs),
            window.image,
            window.kernel,
            window.stride,
            window.out,
            result.reshape(-1, self.size),
            chosen.reshape(-1, self.size),
        )
        micro.saved[self.index] = chosen
        return result

    def backward(
        self, gradient: Gradient, micro: MicroBatch, gradients: Mapping[str, FloatArray], inputs: bool
    ) -> Gradient | None:
        """Give each window's gradient to the element that was chosen."""
        saved = micro.saved[self.index]
        if isinstance(saved, Events):
            result = self._result(micro, "gradient", saved.batch, micro.steps, self.inputs)
            pool.merge_backward(
                saved.indptr,
                saved.indices,
                self._ptr,
                self._windows,
                self._first,
                self.buffer(micro, "chosen", (self.size,), np.int32),
                gradient.values,
                gradient.weights if gradient.weights is not None else np.ones(micro.steps, np.float32),
                result,
            )
            return Gradient(result)
        count, steps = saved.shape[:2]
        values = (gradient.over_constant() if steps == 1 else gradient.over_steps()).values
        result = self._result(micro, "gradient", count, steps, self.inputs)
        pool.max_rows_backward(
            saved.reshape(-1, self.size), values.reshape(-1, self.size), result.reshape(-1, self.inputs)
        )
        return Gradient(result)
