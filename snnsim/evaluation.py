"""A trained network on a whole set of samples: accuracy, loss, and the exact counts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from snnsim.accounting import COUNTERS, RunCounts
from snnsim.augment import draw_shifts, shift_events, shift_images
from snnsim.datasets.recordings import Recordings
from snnsim.datasets.samples import Samples
from snnsim.encoders import EVALUATION_EPOCH, BatchInput, EventInput, encode
from snnsim.energy import LayerCost, load_profile
from snnsim.layers.base import SampleKeys
from snnsim.layers.signals import FloatArray
from snnsim.losses import Loss, Targets
from snnsim.network import Network
from snnsim.results import BatchRun
from snnsim.spec import EncoderChoice, Segments
from snnsim.tables import LAYER_COLUMNS, LayerFacts, html_table, in_one_line, layer_rows, text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Samples that are encoded at a time; changes no result.
BATCH = 256


class Observer(Protocol):
    """Is shown every batch of an evaluation, with step logits and step counts, and the batch's targets."""

    def __call__(self, run: BatchRun, targets: Targets) -> None:
        """Take note of a batch."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How a network did on N samples.

    Attributes
    ----------
    accuracy : float or None
        Share of right answers; None where targets are values, not classes.
    loss : float
        Mean over the samples.
    samples, num_steps : int
        N and T.
    layers : list of dict
        ``layers[i]`` are the totals of layer i's counters over all samples.
    facts : list of LayerFacts
        Name, shape and number of parameters of each layer.
    input_events : int
        Events that reached the network from outside, over all samples.
    logits : float32 [N, K]
    targets : int64 [N] or float32 [N, K]
        True classes, or the values of a regression.
    answers : int64 [N] or None
        The class that each sample was taken for.
    confusion : int64 [K, K] or None
        ``confusion[true, answered]``.
    """

    accuracy: float | None
    loss: float
    samples: int
    num_steps: int
    layers: list[dict[str, int]]
    facts: list[LayerFacts]
    input_events: int
    logits: FloatArray
    targets: Targets
    answers: NDArray[np.int64] | None
    confusion: NDArray[np.int64] | None

    @property
    def totals(self) -> dict[str, int]:
        """Every counter summed over the layers."""
        return {name: sum(layer[name] for layer in self.layers) for name in COUNTERS}

    @property
    def spikes_per_sample(self) -> float:
        """Spikes of hidden layers and a firing readout."""
        return self.totals["spikes"] / self.samples

    @property
    def synops_per_sample(self) -> float:
        """``(acs + macs) / samples``."""
        totals = self.totals
        return (totals["acs"] + totals["macs"]) / self.samples

    @property
    def logit_range(self) -> float:
        """The distance from a sample's smallest logit to its largest, mean over the samples."""
        return float(np.ptp(self.logits, axis=1).mean(dtype=np.float64))

    def summary(self) -> dict[str, Any]:
        """Return the fields of ``summary.json`` under ``test``."""
        totals = self.totals
        return {
            "accuracy": self.accuracy,
            "loss": self.loss,
            "samples": self.samples,
            "num_steps": self.num_steps,
            "spikes": totals["spikes"],
            "spikes_per_sample": self.spikes_per_sample,
            "input_events": self.input_events,
            "synops_per_sample": self.synops_per_sample,
            "logit_range": self.logit_range,
            **{name: totals[name] for name in COUNTERS if name != "spikes"},
        }

    @property
    def costs(self) -> list[LayerCost]:
        """Each layer's counts, and the bytes of its parameters and membranes, float32."""
        return [
            LayerCost(counts, 4 * layer.parameters, 4 * layer.size)
            for layer, counts in zip(self.facts, self.layers, strict=True)
        ]

    def joules_per_sample(self, profile: str = "horowitz-45nm-fp32") -> float:
        """Estimate the energy of one sample [J] under a device profile, by name or file.

        Raises
        ------
        InputError
            There is no such profile.
        """
        return load_profile(profile).network_joules(self.costs) / self.samples

    def ann_joules_per_sample(self, profile: str = "horowitz-45nm-fp32") -> float | None:
        """Estimate what a dense ANN of the same layers would take for one sample [J]; None where it has no price.

        Raises
        ------
        InputError
            There is no such profile.
        """
        chosen = load_profile(profile)
        dense = [
            chosen.dense_joules(
                cost.counts["macs_dense"], parameter_bytes=cost.parameter_bytes, state_bytes=cost.state_bytes
            )
            for cost in self.costs
        ]
        priced = [value for value in dense if value is not None]
        return math.fsum(priced) / self.num_steps / self.samples if priced else None

    def figure(self) -> "Figure":
        """Draw which classes are taken for which; of a regression, predicted over true values."""
        from snnsim.answer_plots import confusion_matrix, outputs_against_targets

        if self.confusion is None:
            return outputs_against_targets(self.targets, self.logits)
        return confusion_matrix(self.confusion)

    def __repr__(self) -> str:
        return f"{self._headline}\n{text_table(LAYER_COLUMNS, self._rows)}"

    def _repr_html_(self) -> str:
        return html_table(self._headline, LAYER_COLUMNS, self._rows)

    @property
    def _headline(self) -> str:
        return f"Evaluation: {in_one_line(self.summary())}, {self.num_steps} steps; a sample:"

    @property
    def _rows(self) -> list[tuple[object, ...]]:
        return layer_rows(self.facts, self.layers, self.samples)


def batch_input(
    encoder: EncoderChoice,
    network: Network,
    samples: Samples,
    scale: float,
    rows: slice | NDArray[np.int64],
    seed: int,
    *,
    epoch: int = EVALUATION_EPOCH,
    shift: int = 0,
) -> BatchInput:
    """Make some samples the network's input, for evaluation or for an epoch of training.

    Parameters
    ----------
    samples, scale, rows
        Which samples: values times ``scale``, or recordings, which are binned already.
    seed, epoch
        With the samples' numbers they key all that is random.
    shift
        Move each sample by up to so many pixels along each axis.
    """
    keys = SampleKeys(seed, epoch, samples.index[rows])
    shifts = draw_shifts(keys, shift) if shift else None
    x = samples.x[rows]
    if isinstance(x, Recordings):
        assert encoder.num_steps is not None
        events = x.events(encoder.num_steps)
        return EventInput(events if shifts is None else shift_events(events, shifts), keys)
    values = analog(x if shifts is None else shift_images(x, shifts), scale)
    return encode(encoder, values, x.shape[1:] if encoder.delta else network.input_shape, keys)


def analog(x: NDArray[np.generic], scale: float) -> FloatArray:
    """Return stored samples as analog values, flat, float32 [B, F]."""
    flat = np.ascontiguousarray(x.reshape(x.shape[0], -1), np.float32)
    return flat if scale == 1 else flat * np.float32(scale)


def evaluate(
    network: Network,
    samples: Samples,
    *,
    scale: float,
    encoder: EncoderChoice,
    loss: Loss,
    seed: int,
    threads: int | None = None,
    segments: Segments | None = None,
    observers: Sequence[Observer] = (),
) -> Evaluation:
    """Run a network on samples and count.

    Parameters
    ----------
    network, samples, scale, encoder
        Samples ``x * scale`` go through the encoder into the network.
    loss
        Its mean over the samples is reported.
    seed
        Keys a random encoder, with the samples' numbers, in a stream of its own.
    segments
        How many steps are in memory at once; all by default.
    observers
        See every batch; they change no bit of the result.
    """
    layers = [dict.fromkeys(COUNTERS, 0) for _ in network.layers]
    input_events = 0
    steps = 0
    terms: list[NDArray[np.float64]] = []
    logits: list[FloatArray] = []
    answers: list[NDArray[np.int64]] = []
    fan_out = network.fan_outs()
    for start in range(0, len(samples), BATCH):
        rows = slice(start, start + BATCH)
        batch = batch_input(encoder, network, samples, scale, rows, seed)
        result = network.evaluate_batch(
            batch,
            threads=threads,
            record=("step_counts",) if observers else (),
            with_steps=loss.per_step or bool(observers),
            segments=segments or Segments(),
            fan_out=fan_out,
        )
        for observe in observers:
            observe(result, samples.y[rows])
        steps = result.steps
        by_step = None if result.step_logits is None else np.moveaxis(result.step_logits, 0, 1)
        z = by_step if loss.per_step and by_step is not None else result.logits
        terms.append(loss(network.loss_input(loss, z, steps), samples.y[rows], steps)[0])
        logits.append(result.logits)
        answers.append(loss.answers(result.logits, by_step))
        input_events += _add(layers, result.counts)
    found = None if samples.is_regression else np.concatenate(answers)
    return Evaluation(
        accuracy=None if found is None else float((found == samples.y).mean()),
        loss=float(np.concatenate(terms).mean()),
        samples=len(samples),
        num_steps=steps,
        layers=layers,
        facts=[layer.facts for layer in network.layers],
        input_events=input_events,
        logits=np.concatenate(logits),
        targets=samples.y,
        answers=found,
        confusion=None if found is None else _confusion(samples.y, found, network.classes),
    )


def _confusion(y: Targets, answers: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (y.astype(np.int64), answers), 1)
    return confusion


def _add(layers: Sequence[dict[str, int]], counts: RunCounts) -> int:
    for total, layer in zip(layers, counts, strict=True):
        for name, value in layer.totals().items():
            total[name] += value
    return int(counts.input.events.sum())
