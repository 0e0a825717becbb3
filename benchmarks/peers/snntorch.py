"""snnTorch: its neurons in a loop over time, as its tutorials have it; `Leaky` resets a step later."""

from typing import Any

import snntorch
import torch
from snntorch import surrogate
from torch import nn
from torch.nn import functional
from workloads import BETA, SLOPE, THRESHOLD, FloatArray, Workload

from peers.torch_training import TorchPeer, affine


class Network(nn.Module):
    """Linear layers or convolutions and Leaky neurons in turn."""

    def __init__(self, workload: Workload, weights: list[FloatArray]) -> None:
        super().__init__()
        self._workload = workload
        options: dict[str, Any] = {
            "beta": BETA,
            "threshold": THRESHOLD,
            "spike_grad": surrogate.fast_sigmoid(slope=SLOPE),
            "reset_mechanism": "subtract",
        }
        self.affine = nn.ModuleList(affine(weight) for weight in weights)
        if workload.kind == "recurrent":
            first, recurrent, last = self.affine
            self.affine = nn.ModuleList([first, last])
            neurons = snntorch.RLeaky(linear_features=len(weights[1]), **options)
            neurons.recurrent = recurrent
            self.neurons = nn.ModuleList([neurons])
        else:
            self.neurons = nn.ModuleList(snntorch.Leaky(**options) for _ in weights[:-1])
        self.readout = snntorch.Leaky(beta=BETA, reset_mechanism="none")

    def forward(self, x: Any) -> Any:
        """Return the mean membrane of the readout."""
        workload = self._workload
        recurrent = workload.kind == "recurrent"
        states: list[tuple[Any, ...]] = [
            tuple(layer.init_rleaky()) if recurrent else (layer.init_leaky(),) for layer in self.neurons
        ]
        readout, recorded = self.readout.init_leaky(), []
        for t in range(workload.steps):
            h = x if workload.constant else x[t]
            for i, layer in enumerate(self.neurons):
                h, membrane = layer(self.affine[i](h), *states[i])
                states[i] = (h, membrane) if recurrent else (membrane,)
                if workload.kind == "conv":
                    h = functional.avg_pool2d(h, 2)
            _, readout = self.readout(self.affine[-1](h.flatten(1)), readout)
            recorded.append(readout)
        return torch.stack(recorded).mean(0)


def build(row: str, workload: Workload, weights: list[FloatArray]) -> TorchPeer:
    """Build the network."""
    return TorchPeer(Network(workload, weights), workload)
