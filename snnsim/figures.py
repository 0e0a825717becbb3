"""The figures of a run, drawn from the trained network and its results."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnsim.answer_plots import confusion_matrix, outputs_against_targets
from snnsim.config import Config
from snnsim.datasets import Dataset, Recordings
from snnsim.evaluation import Evaluation, analog, batch_input
from snnsim.layers.neurons import FiringNeurons
from snnsim.network import Network
from snnsim.plots import (
    firing_rates,
    first_layer_weights,
    learning_curves,
    membrane_traces,
    save,
    spike_raster,
)
from snnsim.reports.plots import number_of_steps
from snnsim.results import BatchRun

# Test samples over which firing rates are averaged for the histogram.
RATE_SAMPLES = 256
TRACES = 4


def draw_figures(
    folder: Path,
    network: Network,
    dataset: Dataset,
    config: Config,
    rows: list[dict[str, Any]],
    steps: list[dict[str, Any]],
    result: Evaluation,
    threads: int | None,
) -> None:
    """Draw every figure of a run into ``folder`` as PNG; ``rows`` are its epochs, ``steps`` its numbers of steps."""
    save(learning_curves(rows), folder / "learning-curves.png")
    if len(steps) > 1:
        by_steps = number_of_steps([("", steps)], regression=result.accuracy is None)
        save(by_steps, folder / "number-of-steps.png")
    if result.confusion is None:
        save(outputs_against_targets(dataset.test.y, result.logits), folder / "predicted-against-true.png")
    else:
        names = [str(k) for k in range(network.classes)]
        save(confusion_matrix(result.confusion, names), folder / "confusion-matrix.png")
    first = next(layer for layer in network.layers if "weight" in layer.parameters)
    if first.parameters["weight"].ndim == 2:
        weights = first_layer_weights(first.parameters["weight"], network.input_shape)
        save(weights, folder / "first-layer-weights.png")
    if not any(layer.fires for layer in network.layers):
        return
    count = slice(0, min(RATE_SAMPLES, len(dataset.test)))
    batch = batch_input(config.encoder, network, dataset.test, dataset.scale, count, config.seed)
    run = network.evaluate_batch(batch, threads=threads, record=("spikes", "membrane"))
    _draw_activity(folder, network, dataset, run, result)


def _draw_activity(folder: Path, network: Network, dataset: Dataset, run: BatchRun, result: Evaluation) -> None:
    firing = [layer for layer in network.layers if isinstance(layer, FiringNeurons)]
    trains = {layer.index: run.spikes[layer.index].reshape(run.steps, -1, layer.size) for layer in firing}
    rates = [(layer.title, trains[layer.index].mean(axis=(0, 1))) for layer in firing]
    save(firing_rates(rates), folder / "firing-rates.png")
    raster = [(layer.title, trains[layer.index][:, 0]) for layer in firing]
    if run.inputs is not None:
        raster.insert(0, ("input", run.inputs.samples(0, 1).to_dense().reshape(run.steps, -1)))
    elif not isinstance(dataset.test.x, Recordings):
        raster.insert(0, ("input", analog(dataset.test.x[:1], dataset.scale)))
    save(spike_raster(raster, _said(dataset, result)), folder / "spike-raster.png")
    layer = firing[0]
    spikes = trains[layer.index][:, 0]
    chosen = _spread(spikes.sum(axis=0))
    membrane = run.membrane[layer.index].reshape(run.steps, -1, layer.size)[:, 0]
    threshold = layer.values.threshold[chosen]
    traces = membrane_traces(membrane[:, chosen], spikes[:, chosen], threshold, chosen, layer.title)
    save(traces, folder / "membrane-traces.png")


def _said(dataset: Dataset, result: Evaluation) -> str:
    """Say what the first test sample is and what the network makes of it; of several values, nothing."""
    if result.answers is not None:
        return f"test sample 0: class {dataset.test.y[0]}, predicted {result.answers[0]}"
    if result.logits.shape[1] > 1:
        return "test sample 0"
    return f"test sample 0: true value {dataset.test.y[0, 0]:.3g}, predicted {result.logits[0, 0]:.3g}"


def _spread(counts: NDArray[np.float32]) -> NDArray[np.int64]:
    """Choose a few neurons from the one that fires least, of those that fire, to the one that fires most."""
    firing = np.flatnonzero(counts) if counts.any() else np.arange(counts.size)
    ordered = firing[np.argsort(counts[firing], kind="stable")]
    places = np.linspace(0, ordered.size - 1, min(TRACES, ordered.size)).astype(int)
    return np.sort(ordered[places])
