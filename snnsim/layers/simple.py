"""Layers without weights or state: flatten, relu, dropout."""

import math
from collections.abc import Mapping

import numpy as np

from snnsim.accounting import StepCounts
from snnsim.events import Events
from snnsim.kernels import random as keyed
from snnsim.layers.base import Layer, MicroBatch, Shape
from snnsim.layers.neurons import as_current
from snnsim.layers.signals import Analog, FloatArray, Gradient, Signal, event_values, samples_of


class Flatten(Layer):
    """Row-major flattening; signals are stored flat, so that nothing moves."""

    name = "flatten"

    def __init__(self, index: int, in_shape: Shape) -> None:
        super().__init__(index, in_shape, (math.prod(in_shape),))

    def forward(self, signal: Signal, micro: MicroBatch) -> Signal:
        """Pass the signal on under its new shape."""
        if isinstance(signal, Analog):
            return signal
        return Events(signal.indptr, signal.indices, signal.values, signal.num_steps, signal.batch, self.out_shape)

    def backward(
        self, gradient: Gradient, micro: MicroBatch, gradients: Mapping[str, FloatArray], inputs: bool
    ) -> Gradient | None:
        """Pass the gradient on."""
        return gradient

    def needed_through(self, needed: Events, micro: MicroBatch) -> Events:
        """Return the same places."""
        return needed


class Relu(Layer):
    """``max(0, x)``, for ANNs."""

    name = "relu"

    def __init__(self, index: int, in_shape: Shape) -> None:
        super().__init__(index, in_shape, in_shape)

    def forward(self, signal: Signal, micro: MicroBatch) -> Signal:
        """Return the positive part; the input is kept as the layer's membrane."""
        current = as_current(self, signal, micro)
        micro.saved[self.index] = (current, current.shape[1])
        return Analog(np.maximum(current, np.float32(0)))

    def backward(
        self, gradient: Gradient, micro: MicroBatch, gradients: Mapping[str, FloatArray], inputs: bool
    ) -> Gradient | None:
        """Pass the gradient on where the input was positive."""
        current, _ = micro.saved[self.index]
        values = (gradient.over_constant() if current.shape[1] == 1 else gradient.over_steps()).values
        return Gradient(values * (current > 0))

    def count_steps(self, signal: Signal, output: Signal, micro: MicroBatch) -> StepCounts:
        """Count the outputs other than zero at every step."""
        counts = StepCounts.zeros(micro.steps, samples_of(signal))
        assert isinstance(output, Analog)
        counts.active[...] = np.count_nonzero(output.values, axis=2).T
        return counts


class Dropout(Layer):
    """In training, drop each input of a sample with probability p, at every step alike, and scale the rest by 1/(1-p).

    The mask is constant over a sample's steps (Lee et al. 2020, doi:10.3389/fnins.2020.00119) and keyed by seed,
    epoch, sample and layer. In evaluation the layer does nothing.
    """

    name = "dropout"

    def __init__(self, index: int, in_shape: Shape, p: float) -> None:
        super().__init__(index, in_shape, in_shape)
        self.p = p

    def forward(self, signal: Signal, micro: MicroBatch) -> Signal:
        """Drop inputs while training."""
        keys = micro.dropout_keys
        if keys is None or self.p == 0:
            micro.saved[self.index] = None
            return signal
        mask = np.empty((samples_of(signal), self.size), np.float32)
        scale = np.float32(1 / (1 - self.p)) if self.p < 1 else np.float32(0)
        keyed.dropout_mask(keys.seed, keys.epoch, self.index, keys.samples, self.p, scale, mask)
        micro.saved[self.index] = mask
        if isinstance(signal, Analog):
            return Analog(signal.values.reshape(*signal.values.shape[:2], self.size) * mask[:, None])
        most = micro.size * micro.steps * self.size
        indptr = np.empty_like(signal.indptr)
        indices = self.buffer(micro, "events", (most,), np.int32)
        values = self.buffer(micro, "values", (most,))
        keyed.mask_events(
            signal.indptr, signal.indices, event_values(signal), micro.steps, mask, indptr, indices, values
        )
        end = indptr[-1]
        return Events(indptr, indices[:end], values[:end], signal.num_steps, signal.batch, self.out_shape)

    def backward(
        self, gradient: Gradient, micro: MicroBatch, gradients: Mapping[str, FloatArray], inputs: bool
    ) -> Gradient | None:
        """Apply the same mask to the gradient."""
        mask = micro.saved[self.index]
        if mask is None:
            return gradient
        return Gradient(gradient.values * mask[:, None], gradient.weights)

    def needed_through(self, needed: Events, micro: MicroBatch) -> Events:
        """Return the same places, dropped ones too."""
        return needed
