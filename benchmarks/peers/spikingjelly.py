"""SpikingJelly: multi-step layers, each over all steps before the next."""

from typing import Any

import torch
from spikingjelly.activation_based import functional as steps
from spikingjelly.activation_based import layer as layers
from spikingjelly.activation_based import neuron
from torch import nn
from workloads import BETA, THRESHOLD, FloatArray, Workload

from peers.torch_training import Encoded, Spike, TorchPeer, filled

TAU = 1 / (1 - BETA)


def affine(weight: FloatArray, mode: str) -> Any:
    """Return a linear layer or a convolution, its weight as given; of the many surrogates only ours is the same."""
    if weight.ndim == 4:
        made = layers.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], bias=False, step_mode=mode)
    else:
        made = layers.Linear(weight.shape[1], weight.shape[0], bias=False, step_mode=mode)
    return filled(made, weight)


class Network(nn.Module):
    """Multi-step layers; of a recurrent network only the input and the readout are."""

    def __init__(self, workload: Workload, weights: list[FloatArray]) -> None:
        super().__init__()
        self._workload = workload
        self._recurrent = workload.kind == "recurrent"
        self.affine = nn.ModuleList(
            affine(weight, "s" if self._recurrent and i == 1 else "m") for i, weight in enumerate(weights)
        )
        # With decay_input=False the current is not divided by tau: u[t] = beta u[t-1] + I[t].
        self.neurons = nn.ModuleList(
            neuron.LIFNode(
                tau=TAU,
                decay_input=False,
                v_threshold=THRESHOLD,
                v_reset=None,
                surrogate_function=Spike.apply,
                detach_reset=True,
                step_mode="s" if self._recurrent else "m",
            )
            for _ in weights[: 1 if self._recurrent else -1]
        )
        self.pool = layers.AvgPool2d(2, step_mode="m")
        self.flatten = layers.Flatten(step_mode="m")
        self.readout = neuron.NonSpikingLIFNode(tau=TAU, decode="mean-mem")

    def forward(self, x: Any) -> Any:
        """Return the mean membrane of the readout, which divides its input by tau."""
        h = x.unsqueeze(0).repeat(self._workload.steps, *[1] * x.dim()) if self._workload.constant else x
        if self._recurrent:
            h = self._over_time(self.affine[0](h))
        else:
            for i, neurons in enumerate(self.neurons):
                h = neurons(self.affine[i](h))
                if self._workload.kind == "conv":
                    h = self.pool(h)
        return TAU * self.readout(self.affine[-1](self.flatten(h)))

    def _over_time(self, currents: Any) -> Any:
        spikes = [self.neurons[0](currents[0])]
        for current in currents[1:]:
            spikes.append(self.neurons[0](current + self.affine[1](spikes[-1])))
        return torch.stack(spikes)


class SpikingJelly(TorchPeer):
    """Its neurons keep their state until they are reset."""

    def train_step(self, batch: Encoded) -> float:
        """Reset and take a step of Adam."""
        steps.reset_net(self._network)
        return super().train_step(batch)

    def infer(self, batch: Encoded) -> Any:
        """Reset and return the answers."""
        steps.reset_net(self._network)
        return super().infer(batch)


def build(row: str, workload: Workload, weights: list[FloatArray]) -> SpikingJelly:
    """Build the network."""
    return SpikingJelly(Network(workload, weights), workload)
