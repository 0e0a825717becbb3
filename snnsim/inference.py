"""Trained models put to use: tested, asked for predictions, described."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnsim import datasets
from snnsim.config import Config, LoadedConfig, from_mapping, load
from snnsim.counting import fan_outs
from snnsim.datasets import Samples, Wanted
from snnsim.encoders import encoded_shape
from snnsim.errors import InputError
from snnsim.evaluation import BATCH, batch_input, evaluate
from snnsim.experiment import build_network, prepare
from snnsim.layers.signals import FloatArray
from snnsim.losses import make_loss
from snnsim.model_file import StoredModel, is_model, read_model
from snnsim.network import Network
from snnsim.neurobench import NeuroBench
from snnsim.recorded import binning, data_notes, settle_steps
from snnsim.spec import EncoderChoice

Warn = Callable[[str], None]


def _unheard(text: str) -> None:
    """Let a warning pass."""


@dataclass(frozen=True)
class LayerDescription:
    """A layer before any training: shapes, number of parameters, synapses that an event reaches, bytes of parameters.

    ``fan_out`` is the mean over the layer's inputs, exact at borders, and ``largest_fan_out`` that of the input with
    the most; of a recurrent layer, what its own spikes reach in it. 0 where there are no synapses.
    """

    name: str
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    parameters: int
    fan_out: float
    largest_fan_out: int
    memory: int


@dataclass(frozen=True)
class Description:
    """A network's layers, and about how many bytes training takes besides the data.

    ``training_bytes`` is None where the data decide the number of steps; ``origin`` says what the network was read
    from, and is empty for one of our own.
    """

    layers: list[LayerDescription]
    training_bytes: int | None
    origin: dict[str, Any]


def check(loaded: LoadedConfig, data_dir: Path | None = None) -> Network:
    """Check that a configuration's sizes fit; sets known by name need not be there.

    Raises
    ------
    InputError
        They do not; names the place in the configuration.
    """
    config = loaded.config
    try:
        datasets.check_binning(config.data, binning(config.encoder))
        known = datasets.known_sizes(config.data)
        if known is not None:
            return build_network(config, *known)
        return prepare(loaded, data_dir).network
    except InputError as error:
        raise (loaded.explain(error) if error.path else error) from None


def describe(where: str, overrides: Sequence[str] = ()) -> Description:
    """Describe the network of a configuration (name or file), a model file or a run directory."""
    path = Path(where)
    config: Config | None = None
    if is_model(path):
        model, file = read_model(path)
        network = Network.from_stored(model, str(file))
        if overrides or model.settings:
            network, config = _with_overrides(path, overrides, None)
    else:
        loaded = load(where, overrides)
        network, config = check(loaded), loaded.config
    synapses = fan_outs(network.layers)
    layers = [
        LayerDescription(
            name=layer.name,
            in_shape=layer.in_shape,
            out_shape=layer.out_shape,
            parameters=sum(array.size for array in layer.parameters.values()),
            fan_out=float(synapses[layer.index][:, 0].mean()) if layer.index in synapses else 0.0,
            largest_fan_out=int(synapses[layer.index][:, 0].max()) if layer.index in synapses else 0,
            memory=sum(array.nbytes for array in layer.parameters.values()),
        )
        for layer in network.layers
    ]
    steps = None if config is None else config.encoder.num_steps
    needed = None if config is None or steps is None else network.training_bytes(steps, config.train)
    return Description(layers, needed, network.origin)


def evaluate_model(
    where: Path,
    overrides: Sequence[str] = (),
    *,
    data: str | None = None,
    limit: int | None = None,
    data_dir: Path | None = None,
    threads: int | None = None,
    neurobench: bool = False,
    warn: Warn = _unheard,
) -> dict[str, dict[str, Any]]:
    """Test a trained model.

    Parameters
    ----------
    where
        Run directory or model file.
    overrides
        Settings of the model to change, ``encoder.direct.num_steps=5``.
    data
        A set's name, or a file or folder of which all is tested; by default the test set of the run.
    limit
        Test the first so many samples only.
    neurobench
        Count by NeuroBench's definitions too.
    warn
        Is told of recordings that were skipped and events that were dropped.

    Returns
    -------
    dict
        ``{"test": {...}}`` with the fields of ``summary.json``, and ``neurobench`` where it was asked for.
    """
    network, config = _with_overrides(where, overrides, data)
    skipped: tuple[str, ...]
    decisive: list[Samples] = []
    if data is not None:
        inputs = datasets.load_inputs(data, data_dir, _wanted(network, config))
        samples, scale, skipped = inputs.labelled(data, limit), inputs.scale, inputs.skipped
    else:
        dataset = datasets.load(config.data, data_dir, binning(config.encoder), config.data.targets or "classes")
        samples, scale, skipped = _first(dataset.test, limit), dataset.scale, dataset.skipped
        decisive = [dataset.train, dataset.valid]
    encoder = settle_steps(config.encoder, decisive or [samples])
    loss = make_loss(config.train.loss)
    network.check_loss(loss, values=samples.is_regression)
    _check_targets(config, samples, network)
    _check_shape(encoder, samples, network)
    for note in data_notes(skipped, [samples], encoder):
        warn(note)
    view = NeuroBench(network) if neurobench else None
    result = evaluate(
        network,
        samples,
        scale=scale,
        encoder=encoder,
        loss=loss,
        seed=config.seed,
        threads=threads,
        segments=config.train,
        observers=[] if view is None else [view],
    )
    return {"test": result.summary()} | ({} if view is None else {"neurobench": view.figures().summary()})


def predict_model(
    where: Path,
    data: str,
    overrides: Sequence[str] = (),
    *,
    data_dir: Path | None = None,
    threads: int | None = None,
    warn: Warn = _unheard,
) -> tuple[NDArray[np.int64] | None, FloatArray]:
    """Return the classes [N] and logits [N, K] that a model gives for data; their labels are not needed.

    A regression has no classes, None; its outputs are the logits.
    """
    network, config = _with_overrides(where, overrides, data)
    inputs = datasets.load_inputs(data, data_dir, _wanted(network, config))
    samples = Samples(inputs.x, np.zeros(len(inputs.x), np.int64), inputs.index)
    encoder = settle_steps(config.encoder, [samples])
    _check_shape(encoder, samples, network)
    for note in data_notes(inputs.skipped, [samples], encoder):
        warn(note)
    loss = make_loss(config.train.loss)
    network.check_loss(loss)
    classes, parts, fan_out = [], [], network.fan_outs()
    for start in range(0, len(samples), BATCH):
        rows = slice(start, start + BATCH)
        batch = batch_input(encoder, network, samples, inputs.scale, rows, config.seed)
        run = network.evaluate_batch(
            batch, threads=threads, with_steps=loss.per_step, segments=config.train, fan_out=fan_out
        )
        by_step = None if run.step_logits is None else np.moveaxis(run.step_logits, 0, 1)
        classes.append(loss.answers(run.logits, by_step))
        parts.append(run.logits)
    is_regression = config.data.targets == "values"
    return None if is_regression else np.concatenate(classes), np.concatenate(parts)


def _wanted(network: Network, config: Config) -> Wanted:
    """Say what data a model takes."""
    shape = None if config.encoder.delta is not None else network.input_shape
    targets = config.data.targets or "classes"
    return Wanted(shape, binning(config.encoder), config.data.skip_bad, config.data.classes, targets)


def _check_targets(config: Config, samples: Samples, network: Network) -> None:
    if samples.is_regression != (config.data.targets == "values"):
        raise InputError("the network was trained on values, the data have classes")
    if samples.is_regression and samples.y.shape[1] != network.classes:
        raise InputError(f"the data have targets of size {samples.y.shape[1]}, the network {network.classes} outputs")
    if not samples.is_regression and samples.y.max() >= network.classes:
        raise InputError(f"the data have a class {samples.y.max()}, the network {network.classes} outputs")


def _check_shape(encoder: EncoderChoice, samples: Samples, network: Network) -> None:
    shape = encoded_shape(encoder, samples.x.shape[1:])
    if shape != network.input_shape:
        raise InputError(f"the data's samples have shape {list(shape)}, the network takes {list(network.input_shape)}")


def _first(samples: Samples, limit: int | None) -> Samples:
    return Samples(samples.x[:limit], samples.y[:limit], samples.index[:limit])


def _with_overrides(where: Path, overrides: Sequence[str], data: str | None) -> tuple[Network, Config]:
    """Read a model, and its settings with overrides; a changed network keeps the trained weights."""
    model, file = read_model(where)
    trained = Network.from_stored(model, str(file))
    loaded = from_mapping(_mapping(model, trained, overrides, data, str(file)), overrides, str(file))
    try:
        network = Network(loaded.config.network, trained.input_shape, loaded.config.seed)
        network.load_parameters(trained.parameters, str(file))
        network.origin = trained.origin
    except InputError as error:
        raise (loaded.explain(error) if error.path else error) from None
    return network, loaded.config


def _mapping(
    model: StoredModel, network: Network, overrides: Sequence[str], data: str | None, file: str
) -> dict[str, Any]:
    mapping = dict(model.settings) | {"network": network.spec}
    if "encoder" not in mapping and not any(text.startswith("encoder") for text in overrides):
        raise InputError(f"{file}: carries no encoder; give one, for example encoder.direct.num_steps=20")
    if "data" not in mapping and not any(text.startswith("data.") for text in overrides):
        if data is None:
            raise InputError(f"{file}: carries no data set; name one with --data")
        mapping["data"] = {"npz": data}  # read by its content in any case
    return mapping
