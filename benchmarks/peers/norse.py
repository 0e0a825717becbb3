"""Norse: box neurons (no synaptic current) in a loop over time."""

from typing import Any

import torch
from norse.torch.functional.leaky_integrator_box import LIBoxParameters
from norse.torch.functional.lif_box import LIFBoxParameters
from norse.torch.functional.reset import reset_subtract
from norse.torch.module.leaky_integrator_box import LIBoxCell
from norse.torch.module.lif_box import LIFBoxCell
from torch import nn
from torch.nn import functional
from workloads import BETA, SLOPE, THRESHOLD, FloatArray, Workload

from peers.torch_training import TorchPeer, affine

# Norse integrates (1 - beta) times the current. Weights larger by the inverse, and a learning rate larger by the same,
# make it the same network trained in the same way: Adam's steps do not depend on the gradient's scale.
CURRENT_GAIN = 1 / (1 - BETA)
INVERSE_TIME_CONSTANT = (1 - BETA) / 0.001  # for steps of a millisecond


class Network(nn.Module):
    """Linear layers or convolutions and LIF cells in turn."""

    def __init__(self, workload: Workload, weights: list[FloatArray]) -> None:
        super().__init__()
        self._workload = workload
        rate = torch.as_tensor(INVERSE_TIME_CONSTANT)
        neurons = LIFBoxParameters(
            tau_mem_inv=rate,
            v_th=torch.as_tensor(THRESHOLD),
            method="super",
            alpha=torch.as_tensor(SLOPE),
            reset_method=reset_subtract,
        )
        scaled = [(weight * CURRENT_GAIN).astype(weight.dtype) for weight in weights]
        self.affine = nn.ModuleList(affine(weight) for weight in scaled)
        firing = 1 if workload.kind == "recurrent" else len(weights) - 1
        self.neurons = nn.ModuleList(LIFBoxCell(p=neurons) for _ in range(firing))
        self.readout = LIBoxCell(p=LIBoxParameters(tau_mem_inv=rate))

    def forward(self, x: Any) -> Any:
        """Return the mean membrane of the readout."""
        workload = self._workload
        states: list[Any] = [None] * len(self.neurons)
        readout, total, spikes = None, 0.0, None
        for t in range(workload.steps):
            h = x if workload.constant else x[t]
            for i, cell in enumerate(self.neurons):
                current = self.affine[i](h)
                if workload.kind == "recurrent" and spikes is not None:
                    current = current + self.affine[1](spikes)
                h, states[i] = cell(current, states[i])
                spikes = h
                if workload.kind == "conv":
                    h = functional.avg_pool2d(h, 2)
            membrane, readout = self.readout(self.affine[-1](h.flatten(1)), readout)
            total = total + membrane
        return total / workload.steps


def build(row: str, workload: Workload, weights: list[FloatArray]) -> TorchPeer:
    """Build the network."""
    return TorchPeer(Network(workload, weights), workload, lr=workload.lr * CURRENT_GAIN)
