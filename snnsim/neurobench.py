"""NeuroBench's figures of a network [1]_, by the definitions of NeuroBench 2.3, from our counters.

NeuroBench wraps networks of snnTorch: where a definition asks how a network is held, it is taken as snnTorch would
hold it. It calls a layer's operations ACs or MACs by the values that reach it in one step of one batch; here every
sample is a batch of its own. The sum of both does not depend on that.

References
----------
.. [1] Yik et al., The NeuroBench framework for benchmarking neuromorphic computing algorithms and systems, Nature
   Communications 2025. arXiv:2304.04640
"""

from dataclasses import dataclass

import numpy as np

from snnsim.layers import Affine, FiringNeurons, Layer, LeakyIntegrators, Relu
from snnsim.layers.signals import FloatArray
from snnsim.losses import Targets
from snnsim.network import Network
from snnsim.results import BatchRun

# What every neuron layer of snnTorch holds besides its constants: a factor for graded spikes and the kind of reset.
BOOKKEEPING_BYTES = 4 + 8
VALUE_BYTES = 4


@dataclass(frozen=True)
class NeuroBenchFigures:
    """NeuroBench's figures under its own names, but for capitals.

    Attributes
    ----------
    footprint
        Bytes of parameters and buffers.
    connection_sparsity
        Share of weights that are zero, biases left out, to four digits.
    activation_sparsity
        Share of zeros among the outputs of all neurons (relu too, and a readout that never fires) over all steps.
    effective_macs, effective_acs
        Operations whose input and weight are not zero, per sample.
    dense
        What they would be if none were zero, taps outside an image left out, per sample.
    """

    footprint: int
    parameter_count: int
    connection_sparsity: float
    activation_sparsity: float
    effective_macs: float
    effective_acs: float
    dense: float

    def summary(self) -> dict[str, float]:
        """Return the figures under NeuroBench's names."""
        return {
            "Footprint": self.footprint,
            "ParameterCount": self.parameter_count,
            "ConnectionSparsity": self.connection_sparsity,
            "ActivationSparsity": self.activation_sparsity,
            "Effective_MACs": self.effective_macs,
            "Effective_ACs": self.effective_acs,
            "Dense": self.dense,
        }


class NeuroBench:
    """Watches an evaluation, or takes runs of a network that recorded ``step_counts``; `figures` are those of all.

    Examples
    --------
    >>> import numpy as np
    >>> import snnsim
    >>> from snnsim.neurobench import NeuroBench
    >>> net = snnsim.Network.from_config([{"dense": {"out": 3, "bias": False}}, "li"], input_shape=(3,))
    >>> net.parameters["0.weight"][...] = [[1.3, 0, -3.2], [0, 1.2, -5.1], [-1.1, 2.7, 0]]
    >>> view = NeuroBench(net)
    >>> view(net.run([[[0, 1.3, -1]]], record="step_counts"))
    >>> view.figures().effective_macs, view.figures().dense
    (4.0, 9.0)
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._samples = 0
        self._outputs = 0
        self._active = 0
        self._acs = 0
        self._macs = 0
        self._dense = 0

    def __call__(self, run: BatchRun, targets: Targets | None = None) -> None:
        """Add a batch."""
        assert run.step_counts is not None
        samples = len(run.logits)
        self._samples += samples
        self._dense += int(run.counts.total("macs_dense").sum())
        for layer, counts in zip(self._network.layers, run.step_counts, strict=True):
            self._acs += int(counts.synops[counts.plain].sum())
            self._macs += int(counts.synops[~counts.plain].sum())
            if _is_neurons(layer) or isinstance(layer, Relu):
                self._outputs += samples * run.steps * layer.size
                self._active += int(counts.active.sum())

    def figures(self) -> NeuroBenchFigures:
        """Return the figures of all samples so far."""
        layers = self._network.layers
        return NeuroBenchFigures(
            footprint=sum(map(_bytes, layers)),
            parameter_count=sum(map(_parameters, layers)),
            connection_sparsity=_connection_sparsity(layers),
            activation_sparsity=(self._outputs - self._active) / self._outputs if self._outputs else 0.0,
            effective_macs=self._macs / self._samples,
            effective_acs=self._acs / self._samples,
            dense=self._dense / self._samples,
        )


def _parameters(layer: Layer) -> int:
    """Count a layer's parameters; recurrent weights of snnTorch have a bias, which is zero here."""
    bias = layer.size if isinstance(layer, FiringNeurons) and layer.firing.recurrent else 0
    return sum(array.size for array in layer.parameters.values()) + bias


def _bytes(layer: Layer) -> int:
    """Add up what a layer's parameters take, and neurons' constants, which are buffers where they are not learned."""
    constants = _constants(layer)
    return VALUE_BYTES * (_parameters(layer) + constants) + (BOOKKEEPING_BYTES if _is_neurons(layer) else 0)


def _constants(layer: Layer) -> int:
    if isinstance(layer, LeakyIntegrators):
        decays = [values for values in (layer.beta, layer.alpha) if values is not None]
        return sum(1 if (values == values[0]).all() else values.size for values in decays) + 1  # a threshold too
    if not isinstance(layer, FiringNeurons):
        return 0
    names = {"beta", "threshold", "alpha", "rho", "adaptation"} - set(layer.firing.learned)
    values = (getattr(layer.firing, name) for name in names)
    return sum(np.size(value) for value in values if value is not None)


def _is_neurons(layer: Layer) -> bool:
    return isinstance(layer, FiringNeurons | LeakyIntegrators)


def _connection_sparsity(layers: list[Layer]) -> float:
    weights = [weight for layer in layers for weight in _weights(layer)]
    zeros = sum(weight.size - np.count_nonzero(weight) for weight in weights)
    return round(float(np.float32(zeros) / np.float32(sum(weight.size for weight in weights))), 4)


def _weights(layer: Layer) -> list[FloatArray]:
    names = ("weight",) if isinstance(layer, Affine) else ("recurrent_weight",)
    return [layer.parameters[name] for name in names if name in layer.parameters]
