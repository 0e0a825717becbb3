"""Penalties on spikes and logits, each a sum of per-sample terms, so that micro-batches stay exact.

Spike penalties look at the hidden firing layers, not at a firing readout. Their gradient with respect to a spike is
the same at every step, so it travels as one row per sample and layer.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snnsim import spec

Float64Array = NDArray[np.float64]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class HiddenSpikes:
    """How often each neuron of a hidden layer fired, int64 [M, N], and the synapses [N] that each reaches."""

    counts: NDArray[np.int64]
    steps: int
    fan_out: NDArray[np.int64]

    @property
    def per_sample(self) -> NDArray[np.int64]:
        """Spikes of each sample, int64 [M]."""
        return np.asarray(self.counts.sum(axis=1))

    def reached(self) -> NDArray[np.int64]:
        """Return the synapses that each sample's spikes reach, int64 [M]."""
        return np.asarray(self.counts @ self.fan_out)


class SpikePenalty(ABC):
    """A penalty on hidden spikes."""

    @abstractmethod
    def __call__(self, hidden: Sequence[HiddenSpikes]) -> tuple[Float64Array, list[Float64Array]]:
        """Return the samples' terms [M] and, per hidden layer, each spike's gradient (broadcastable to [M, N])."""

    def for_samples(self, part: slice) -> "SpikePenalty":
        """Return the penalty of some of a batch's samples: itself, unless it knows more of them than their spikes."""
        return self

    def gradients(self, run: Callable[..., None]) -> dict[str, FloatArray]:
        """Return the batch's gradients of what the penalty itself learns, by name; ``run(task, count)`` shares it out.

        Asked for once all samples were penalised.
        """
        return {}


@dataclass(frozen=True)
class SpikeL1(SpikePenalty):
    """``weight * number of hidden spikes``."""

    weight: float

    def __call__(self, hidden: Sequence[HiddenSpikes]) -> tuple[Float64Array, list[Float64Array]]:
        """Return terms and gradients."""
        spikes = sum(layer.per_sample for layer in hidden)
        return self.weight * np.asarray(spikes, np.float64), [np.full((1, 1), self.weight) for _ in hidden]


@dataclass(frozen=True)
class SynopPenalty(SpikePenalty):
    """``weight * max(0, S - budget)``, S the synapses that a sample's hidden spikes reach.

    Spikes weighted by their exact fan-out: Sorbaro et al. 2020, doi:10.3389/fnins.2020.00662.
    """

    weight: float
    budget: float

    def __call__(self, hidden: Sequence[HiddenSpikes]) -> tuple[Float64Array, list[Float64Array]]:
        """Return terms and gradients."""
        excess = np.asarray(sum(layer.reached() for layer in hidden), np.float64) - self.budget
        over = np.where(excess > 0, self.weight, 0.0)[:, None]
        return self.weight * np.maximum(excess, 0), [over * layer.fan_out for layer in hidden]


@dataclass(frozen=True)
class RateBound(SpikePenalty):
    """``weight * sum over hidden neurons of max(0, sign * (rate - bound))^2``, rate in spikes per step."""

    weight: float
    bound: float
    sign: int

    def __call__(self, hidden: Sequence[HiddenSpikes]) -> tuple[Float64Array, list[Float64Array]]:
        """Return terms and gradients."""
        terms: Float64Array = np.zeros(hidden[0].counts.shape[0])
        gradients = []
        for layer in hidden:
            steps = layer.steps
            beyond = np.maximum(self.sign * (layer.counts / steps - self.bound), 0)
            terms += self.weight * (beyond**2).sum(axis=1)
            gradients.append(2 * self.weight * self.sign * beyond / steps)
        return terms, gradients


@dataclass(frozen=True)
class LogitL2:
    """``weight * ||z||^2`` (Louis et al. 2024, arXiv:2406.18350)."""

    weight: float

    def __call__(self, z: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return the samples' terms [M] and their gradient [M, K]."""
        return self.weight * (z**2).sum(axis=1), 2 * self.weight * z


@dataclass(frozen=True)
class Penalties:
    """All regularisers of a training run."""

    on_spikes: tuple[SpikePenalty, ...] = ()
    on_logits: tuple[LogitL2, ...] = ()

    def beside(self, penalty: SpikePenalty) -> "Penalties":
        """Return these and one more."""
        return replace(self, on_spikes=(*self.on_spikes, penalty))

    def for_samples(self, part: slice) -> "Penalties":
        """Return the penalties of some of a batch's samples."""
        return replace(self, on_spikes=tuple(penalty.for_samples(part) for penalty in self.on_spikes))


def make_penalties(choices: Sequence[spec.RegularizerChoice]) -> Penalties:
    """Return the penalties of a list of specs."""
    on_spikes: list[SpikePenalty] = []
    on_logits: list[LogitL2] = []
    for choice in choices:
        match choice.options:
            case spec.SpikeL1(weight=weight):
                on_spikes.append(SpikeL1(weight))
            case spec.Synops(weight=weight, budget=budget):
                on_spikes.append(SynopPenalty(weight, budget))
            case spec.RateUpper(weight=weight, max_rate=bound):
                on_spikes.append(RateBound(weight, bound, 1))
            case spec.RateLower(weight=weight, min_rate=bound):
                on_spikes.append(RateBound(weight, bound, -1))
            case spec.LogitL2(weight=weight):
                on_logits.append(LogitL2(weight))
    return Penalties(tuple(on_spikes), tuple(on_logits))
