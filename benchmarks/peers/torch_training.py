"""What all rows that run on PyTorch share: a network as a module, its weights, Adam, and cross entropy."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from workloads import SLOPE, Batch, FloatArray, Workload, cores

Encoded = tuple[Any, Any]


class Spike(torch.autograd.Function):
    """Heaviside's step, with the fast sigmoid's derivative."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        """Return 1 where x > 0."""
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        """Multiply by ``1 / (slope |x| + 1)^2``."""
        (x,) = ctx.saved_tensors
        return gradient / (SLOPE * x.abs() + 1.0).square()


def affine(weight: FloatArray) -> Any:
    """Return a linear layer or a convolution without bias, its weight as given."""
    if weight.ndim == 4:
        layer = torch.nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], bias=False)
    else:
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    return filled(layer, weight)


def filled(layer: Any, weight: FloatArray) -> Any:
    """Set a layer's weight."""
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
    return layer


class TorchPeer:
    """A module that maps a batch's input to logits, and what trains it.

    Parameters
    ----------
    network
        Its parameters are the weights to train.
    lr
        Learning rate, if not the workload's.
    """

    def __init__(self, network: Any, workload: Workload, lr: float | None = None) -> None:
        torch.set_num_threads(cores())
        self._network, self._workload = network, workload
        self._lr = workload.lr if lr is None else lr
        self._initial = [parameter.detach().clone() for parameter in network.parameters()]
        self.restart()

    def restart(self) -> None:
        """Go back to the initial weights and a new optimizer."""
        parameters = list(self._network.parameters())
        with torch.no_grad():
            for parameter, initial in zip(parameters, self._initial, strict=True):
                parameter.copy_(initial)
        self._optimizer = torch.optim.Adam(parameters, lr=self._lr)

    def encode(self, batch: Batch) -> Encoded:
        """Return tensors: [B, ...] of constant input, else [T, B, ...]; and the classes."""
        x = torch.from_numpy(batch.dense())
        if self._workload.kind == "conv":
            x = x.reshape(-1, *self._workload.input_shape)
        return x, torch.from_numpy(batch.y)

    def train_step(self, batch: Encoded) -> float:
        """Take a step of Adam."""
        self._optimizer.zero_grad()
        loss = functional.cross_entropy(self._network(batch[0]), batch[1])
        loss.backward()
        self._optimizer.step()
        return float(loss.item())

    def infer(self, batch: Encoded) -> NDArray[np.int64]:
        """Return the answers."""
        with torch.no_grad():
            answers: NDArray[np.int64] = self._network(batch[0]).argmax(1).numpy()
        return answers
