"""PyTorch without a library for spikes: the natural loop, what an expert writes by hand, and both compiled."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from workloads import BETA, SLOPE, THRESHOLD, FloatArray, Workload

from peers.torch_training import Spike, TorchPeer

# A loop is compiled by stretches of so many steps: the compiler unrolls it, and of a hundred or more would take many
# minutes. What it fuses lies within a step, or is the same in all of a stretch.
COMPILED_STEPS = 25


def connect(x: Any, weight: Any) -> Any:
    """Return the currents of a dense layer or a convolution."""
    return functional.conv2d(x, weight) if weight.dim() == 4 else functional.linear(x, weight)


def integrate(membrane: Any, current: Any) -> tuple[Any, Any]:
    """Take one step of LIF neurons; no gradient goes through the reset."""
    raised = BETA * membrane + current
    spikes = Spike.apply(raised - THRESHOLD)
    return spikes, raised - THRESHOLD * spikes.detach()


def derivative(membrane: Any) -> Any:
    """Return the surrogate's derivative, in memory of its own."""
    return membrane.sub(THRESHOLD).abs_().mul_(SLOPE).add_(1.0).square_().reciprocal_()


class Scan(torch.autograd.Function):
    """LIF neurons over all steps, written out forwards and back: no graph of steps, one array of membranes."""

    @staticmethod
    def forward(ctx: Any, currents: Any, steps: int) -> Any:
        """Return spikes [T, B, ...] of currents [T, B, ...], or [1, B, ...] where they are constant."""
        membranes = currents.new_empty((steps, *currents.shape[1:]))
        spikes = torch.empty_like(membranes)
        left = torch.zeros_like(membranes[0])
        ctx.constant = currents.shape[0] == 1
        for t in range(steps):
            torch.add(currents[0 if ctx.constant else t], left, alpha=BETA, out=membranes[t])
            torch.gt(membranes[t], THRESHOLD, out=spikes[t])
            torch.sub(membranes[t], spikes[t], alpha=THRESHOLD, out=left)
        ctx.save_for_backward(membranes)
        return spikes

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        """Return the gradient of the currents."""
        (membranes,) = ctx.saved_tensors
        delta = derivative(membranes).mul_(gradient)
        for t in range(delta.shape[0] - 2, -1, -1):
            delta[t].add_(delta[t + 1], alpha=BETA)
        return delta.sum(0, keepdim=True) if ctx.constant else delta, None


class RecurrentScan(torch.autograd.Function):
    """The same for neurons whose spikes come back a step later."""

    @staticmethod
    def forward(ctx: Any, currents: Any, weight: Any) -> Any:
        """Return spikes [T, B, N]."""
        membranes, spikes = torch.empty_like(currents), torch.empty_like(currents)
        left = torch.zeros_like(currents[0])
        for t in range(len(currents)):
            current = torch.addmm(currents[t], spikes[t - 1], weight.t()) if t else currents[t]
            torch.add(current, left, alpha=BETA, out=membranes[t])
            torch.gt(membranes[t], THRESHOLD, out=spikes[t])
            torch.sub(membranes[t], spikes[t], alpha=THRESHOLD, out=left)
        ctx.save_for_backward(membranes, spikes, weight)
        return spikes

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        """Return the gradients of the currents and of the recurrent weight."""
        membranes, spikes, weight = ctx.saved_tensors
        delta = derivative(membranes)
        delta[-1].mul_(gradient[-1])
        for t in range(len(delta) - 2, -1, -1):
            delta[t].mul_(torch.addmm(gradient[t], delta[t + 1], weight)).add_(delta[t + 1], alpha=BETA)
        size = weight.shape[0]
        return delta, delta[1:].reshape(-1, size).t() @ spikes[:-1].reshape(-1, size)


def scan(currents: Any, steps: int) -> Any:
    """Return spikes as `Scan` does, for the compiler to make something of."""
    membrane, spikes = torch.zeros_like(currents[0]), []
    for t in range(steps):
        fired, membrane = integrate(membrane, currents[0 if currents.shape[0] == 1 else t])
        spikes.append(fired)
    return torch.stack(spikes)


def recurrent_scan(currents: Any, weight: Any) -> Any:
    """Return spikes as `RecurrentScan` does."""
    fired, membrane = integrate(torch.zeros_like(currents[0]), currents[0])
    spikes = [fired]
    for t in range(1, len(currents)):
        fired, membrane = integrate(membrane, currents[t] + functional.linear(fired, weight))
        spikes.append(fired)
    return torch.stack(spikes)


class Loop(nn.Module):
    """All layers at each step; ``compiled``: `torch.compile` of so many steps at a time."""

    def __init__(self, workload: Workload, weights: list[FloatArray], *, compiled: bool = False) -> None:
        super().__init__()
        self._workload = workload
        self.weights = nn.ParameterList(nn.Parameter(torch.from_numpy(weight.copy())) for weight in weights)
        self._stretch = min(workload.steps, COMPILED_STEPS) if compiled else workload.steps
        self._run = torch.compile(self._advance, dynamic=False) if compiled else self._advance

    def forward(self, x: Any) -> Any:
        """Return the mean membrane of the readout."""
        steps = self._workload.steps
        state: Any = None
        for start in range(0, steps, self._stretch):
            part = x if self._workload.constant else x[start : start + self._stretch]
            state = self._run(part, min(self._stretch, steps - start), state)
        return state[-1] / steps

    def _advance(self, x: Any, steps: int, state: Any) -> Any:
        """Take some steps; the state is the membranes, the last spikes, and the readout's membranes summed."""
        workload, weights = self._workload, list(self.weights)
        recurrent = weights.pop(1) if workload.kind == "recurrent" else None
        membranes, spikes, total = ([0.0] * len(weights), None, 0.0) if state is None else (list(state[0]), *state[1:])
        for t in range(steps):
            h = x if workload.constant else x[t]
            for i, weight in enumerate(weights[:-1]):
                current = connect(h, weight)
                if recurrent is not None and spikes is not None:
                    current = current + functional.linear(spikes, recurrent)
                spikes, membranes[i] = integrate(membranes[i], current)
                h = functional.avg_pool2d(spikes, 2) if workload.kind == "conv" else spikes
            membranes[-1] = BETA * membranes[-1] + functional.linear(h.flatten(1), weights[-1])
            total = total + membranes[-1]
        return membranes, None if recurrent is None else spikes, total


class Expert(Loop):
    """Each layer over all steps before the next: one product for all of them, and a scan over time."""

    def __init__(self, workload: Workload, weights: list[FloatArray], *, compiled: bool) -> None:
        super().__init__(workload, weights)
        self._scan = torch.compile(scan, dynamic=False) if compiled else Scan.apply
        self._recurrent_scan = torch.compile(recurrent_scan, dynamic=False) if compiled else RecurrentScan.apply
        # The mean membrane is linear in the currents: that of step t stays for all steps after it.
        steps = workload.steps
        stays = torch.tensor([(1 - BETA ** (steps - t)) / (1 - BETA) / steps for t in range(steps)])
        self.register_buffer("stays", stays, persistent=False)

    def forward(self, x: Any) -> Any:
        """Return the mean membrane of the readout."""
        workload, (first, *middle, last) = self._workload, self.weights
        h = connect(x, first)
        h = h[None] if workload.constant else h
        if workload.kind == "recurrent":
            h = self._recurrent_scan(h, *middle)
        else:
            h = self._scan(h, workload.steps)
            for weight in middle:
                h = self._scan(self._connect_all(h, weight), workload.steps)
        if workload.kind == "conv":
            h = functional.avg_pool2d(h.flatten(0, 1), 2).reshape(workload.steps, x.shape[0], -1)
        return torch.tensordot(self.stays, functional.linear(h, last), 1)

    def _connect_all(self, spikes: Any, weight: Any) -> Any:
        if weight.dim() == 2:
            return functional.linear(spikes, weight)
        currents = functional.conv2d(functional.avg_pool2d(spikes.flatten(0, 1), 2), weight)
        return currents.unflatten(0, spikes.shape[:2])


def build(row: str, workload: Workload, weights: list[FloatArray]) -> TorchPeer:
    """Build the network of one of four rows."""
    if row in ("torch-loop", "torch-compile-loop"):
        return TorchPeer(Loop(workload, weights, compiled=row == "torch-compile-loop"), workload)
    return TorchPeer(Expert(workload, weights, compiled=row == "torch-compile-expert"), workload)
