"""Spyx: JAX, the training step compiled as one; its LIF fires and resets a step after the threshold is crossed."""

from typing import Any

import jax
import numpy as np
import optax
from flax import nnx
from jax import numpy as jnp
from numpy.typing import NDArray
from spyx import axn
from spyx import nn as spiking
from workloads import BETA, SLOPE, THRESHOLD, Batch, FloatArray, Workload

Encoded = tuple[Any, Any]


def affine(weight: FloatArray, rngs: Any) -> Any:
    """Return a linear layer or a convolution without bias, its weight as given."""
    if weight.ndim == 4:
        layer = nnx.Conv(weight.shape[1], weight.shape[0], weight.shape[2:], padding="VALID", use_bias=False, rngs=rngs)
        layer.kernel[...] = jnp.asarray(weight.transpose(2, 3, 1, 0))
    else:
        layer = nnx.Linear(weight.shape[1], weight.shape[0], use_bias=False, rngs=rngs)
        layer.kernel[...] = jnp.asarray(weight.T)
    return layer


def in_channels_last(weight: FloatArray, channels: int) -> FloatArray:
    """Return a dense weight after a convolution, for inputs that are flattened with the channels innermost."""
    out, inputs = weight.shape
    return np.ascontiguousarray(weight.reshape(out, channels, inputs // channels).swapaxes(1, 2).reshape(out, inputs))


def network(workload: Workload, weights: list[FloatArray]) -> Any:
    """Return the network as a sequence of modules."""
    rngs = nnx.Rngs(0)
    options = {"beta": BETA, "threshold": THRESHOLD, "activation": axn.superspike(SLOPE), "rngs": rngs}
    modules: list[Any] = []
    if workload.kind == "recurrent":
        neurons = spiking.RLIF((len(weights[1]),), **options)
        neurons.recurrent_w[...] = jnp.asarray(weights[1].T)
        modules = [affine(weights[0], rngs), neurons]
    elif workload.kind == "conv":
        side = workload.input_shape[1]
        for weight in weights[:-1]:
            side -= weight.shape[2] - 1
            modules += [affine(weight, rngs), spiking.LIF((side, side, len(weight)), **options), pool]
            side //= 2
        modules.append(spiking.Flatten())
    else:
        for weight in weights[:-1]:
            modules += [affine(weight, rngs), spiking.LIF((len(weight),), **options)]
    last = in_channels_last(weights[-1], len(weights[-2])) if workload.kind == "conv" else weights[-1]
    readout = spiking.LI((workload.classes,), beta=BETA, rngs=rngs)
    return spiking.Sequential(*modules, affine(last, rngs), readout)


def pool(x: Any) -> Any:
    """Average windows of two by two."""
    return nnx.avg_pool(x, (2, 2), (2, 2))


class Spyx:
    """The network and its compiled step."""

    def __init__(self, workload: Workload, weights: list[FloatArray]) -> None:
        self._workload = workload
        self._model = network(workload, weights)
        # The decay is a parameter in Spyx; here it is not learned.
        trained = nnx.All(nnx.Param, lambda path, _: "beta" not in map(str, path))
        self._optimizer = nnx.Optimizer(self._model, optax.adam(workload.lr), wrt=trained)
        self._initial = [jax.tree.map(jnp.copy, nnx.state(part)) for part in (self._model, self._optimizer)]

        def logits(model: Any, x: Any) -> Any:
            over_time = jnp.broadcast_to(x, (workload.steps, *x.shape)) if workload.constant else x
            return spiking.run(model, over_time)[0].mean(0)

        def loss(model: Any, x: Any, y: Any) -> Any:
            return optax.softmax_cross_entropy_with_integer_labels(logits(model, x), y).mean()

        @nnx.jit
        def step(model: Any, optimizer: Any, x: Any, y: Any) -> Any:
            value, gradients = nnx.value_and_grad(loss, argnums=nnx.DiffState(0, trained))(model, x, y)
            optimizer.update(model, gradients)
            return value

        self._step = step
        self._answers = nnx.jit(lambda model, x: logits(model, x).argmax(1))

    def restart(self) -> None:
        """Go back to the initial weights and a new optimizer."""
        for part, initial in zip((self._model, self._optimizer), self._initial, strict=True):
            nnx.update(part, jax.tree.map(jnp.copy, initial))

    def encode(self, batch: Batch) -> Encoded:
        """Return arrays, images with their channels last."""
        x = batch.dense()
        if self._workload.kind == "conv":
            x = x.reshape(-1, *self._workload.input_shape).transpose(0, 2, 3, 1)
        return jnp.asarray(x), jnp.asarray(batch.y.astype(np.int32))

    def train_step(self, batch: Encoded) -> float:
        """Take a step of Adam."""
        return float(self._step(self._model, self._optimizer, *batch))

    def infer(self, batch: Encoded) -> NDArray[np.int64]:
        """Return the answers."""
        return np.asarray(self._answers(self._model, batch[0]), np.int64)


def build(row: str, workload: Workload, weights: list[FloatArray]) -> Spyx:
    """Build the network."""
    return Spyx(workload, weights)
