"""A run: configuration, data, training, test, and the run directory with all of it."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snnsim import datasets
from snnsim.by_step import ByStep
from snnsim.config import Config, LoadedConfig, dump_yaml
from snnsim.datasets import Dataset
from snnsim.distillation import make_distillation
from snnsim.encoders import encoded_shape, encoded_steps
from snnsim.energy import load_profile
from snnsim.errors import InputError, KeyPath, RunInterrupted, key_name
from snnsim.evaluation import evaluate
from snnsim.execution import thread_count
from snnsim.files import write_text
from snnsim.losses import make_loss
from snnsim.memory import require_memory
from snnsim.model_file import write_model
from snnsim.network import Network
from snnsim.progress import Progress, Silent
from snnsim.recorded import binning, data_notes, settle_steps
from snnsim.run_directory import Logged, RunDirectory
from snnsim.summary import accounting_csv, run_summary, table_csv
from snnsim.teachers import Teacher, require_features, stored_logits, trained_teacher
from snnsim.training.checkpoint import read_checkpoint
from snnsim.training.trainer import Trainer

METRICS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "valid_accuracy",
    "spikes_per_sample",
    "synops_per_sample",
    "seconds",
)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A configuration with its data and its network, sizes checked."""

    config: Config
    dataset: Dataset
    network: Network


def prepare(loaded: LoadedConfig, data_dir: Path | None = None) -> Prepared:
    """Load the data and build the network of a configuration.

    Raises
    ------
    InputError
        Data that are missing or damaged, or sizes that do not fit; names the place in the configuration.
    """
    config = loaded.config
    try:
        dataset = datasets.load(config.data, data_dir, binning(config.encoder), config.targets)
        config = _settled(config, dataset)
        network = build_network(config, dataset.input_shape, dataset.classes)
        theirs = None
        if config.teacher is not None and config.teacher.network is not None:
            theirs = _of_teacher(config.of_teacher(), dataset)
        require_features(config, network, theirs)
    except InputError as error:
        raise (loaded.explain(error) if error.path else error) from None
    return Prepared(config, dataset, network)


def _settled(config: Config, dataset: Dataset) -> Config:
    """Fill in what data decide: T, that of the longest recording for training; names of classes; what y holds."""
    settled: dict[str, object] = {"encoder": settle_steps(config.encoder, [dataset.train, dataset.valid])}
    if config.data.events is not None and dataset.class_names is not None:
        settled["data"] = config.data.model_copy(update={"classes": list(dataset.class_names)})
    if config.data.npz is not None and config.targets is None:
        kind = "values" if dataset.train.is_regression else "classes"
        settled["data"] = config.data.model_copy(update={"targets": kind})
    return config.model_copy(update=settled)


def build_network(config: Config, sample_shape: tuple[int, ...], classes: int) -> Network:
    """Build the network of a configuration, with its first weights, and check that it fits data and loss.

    Parameters
    ----------
    sample_shape
        Shape of the data's samples, before the encoder.
    classes
        Number of the data's classes, or of values a sample where ``config.targets`` says so.

    Raises
    ------
    InputError
        It does not fit.
    """
    if config.data.augment.shift and config.encoder.events is None and len(sample_shape) != 3:
        raise InputError(
            f"shifts are for images and recordings; these samples are flat, {list(sample_shape)}",
            ("data", "augment", "shift"),
        )
    network = Network(config.network, encoded_shape(config.encoder, sample_shape), config.seed)
    loss = make_loss(config.train.loss)
    network.check_loss(loss, values=config.targets == "values")
    if network.classes != classes:
        sized = max(layer.index for layer in network.layers if layer.parameters)
        what = f"targets of size {classes}" if config.targets == "values" else f"{classes} classes"
        values_meant = config.data.npz is not None and config.targets == "classes" and loss.takes_values
        hint = "; for a regression y must be floats, or data.targets: values" if values_meant else ""
        raise InputError(
            f"the network ends in {network.classes} outputs, the data have {what}{hint}",
            ("network", sized, network.layers[sized].name),
        )
    if config.distill is not None:
        make_distillation(config.distill, loss)
    steps = encoded_steps(config.encoder, sample_shape)
    if steps is not None:
        require_memory(network.training_bytes(steps, config.train), ("encoder", config.encoder.name, "num_steps"))
    if network.is_ann and config.encoder.name not in ("direct", "events"):
        raise InputError("an ANN takes the data as they are: encoder must be direct, or events", ("encoder",))
    _at(("energy", "profile"), lambda: load_profile(config.energy.profile))
    if config.train.init is not None:
        _at(("train", "init"), lambda: _load_weights(network, Path(str(config.train.init))))
    return network


def _load_weights(network: Network, source: Path) -> None:
    network.load_parameters(Network.load(source).parameters, str(source))


def _at(path: KeyPath, task: Callable[[], object]) -> None:
    """Run a task; an error of its gets the place in the configuration that named what it works on."""
    try:
        task()
    except InputError as error:
        raise InputError(str(error), error.path or path) from None


def run_experiment(
    loaded: LoadedConfig,
    out: Path | None = None,
    *,
    resume: bool = False,
    threads: int | None = None,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train and test a network, and write the run directory.

    Parameters
    ----------
    loaded
        What to do.
    out
        The run directory: must be new or empty, unless ``resume``. By default ``runs/<name>-<date>-<time>``.
    resume
        Go on from the last checkpoint in ``out``; a finished run is left as it is.
    threads
        Workers; changes no bit of the result.
    data_dir
        Where to look for data first.

    Returns
    -------
    Path
        The run directory.

    Raises
    ------
    InputError
        What the user gave cannot be used.
    DivergedError
        Training diverged; the last good checkpoint is kept.
    """
    progress = progress if progress is not None else Silent()
    thread_count(threads)
    folder = RunDirectory(out if out is not None else _default_folder(loaded.name))
    if resume:
        folder.require_same(loaded.config)
        if folder.finished:
            progress.note(f"{folder.path}: the run is finished already; nothing to do")
            return folder.path
    else:
        folder.require_unused()
    prepared = prepare(loaded, data_dir)
    folder.create(dump_yaml(loaded.config.resolved()))
    logged = Logged(progress, folder.log)
    try:
        _train_and_test(prepared, folder, loaded.filename, threads, logged)
    except KeyboardInterrupt:
        text = _interrupted(folder)
        logged.record(text)
        raise RunInterrupted(text) from None
    except Exception as error:
        logged.record(f"{type(error).__name__}: {error}")
        raise
    return folder.path


def _taught(
    prepared: Prepared, folder: RunDirectory, filename: str, threads: int | None, progress: Logged
) -> Teacher | None:
    """Return what the teacher says; one that is still a network is trained first, as a run of its own."""
    config, dataset = prepared.config, prepared.dataset
    if config.teacher is None:
        return None
    classes = prepared.network.classes
    if config.teacher.logits is not None:
        return stored_logits(Path(config.teacher.logits), dataset, classes)
    if config.teacher.run is not None:
        return trained_teacher(Path(config.teacher.run), config, dataset, classes, threads)
    teacher = RunDirectory(folder.path / "teacher")
    if not teacher.finished:
        progress.note("training the teacher")
        theirs = config.of_teacher()
        network = _of_teacher(theirs, dataset)
        teacher.create(dump_yaml(theirs.resolved()))
        _train_and_test(Prepared(theirs, dataset, network), teacher, filename, threads, progress)
        progress.note("training the student")
    return trained_teacher(teacher.path, config, dataset, classes, threads)


def _of_teacher(theirs: Config, dataset: Dataset) -> Network:
    """Build the teacher's network; an error says where in the teacher's section."""
    try:
        return build_network(theirs, dataset.input_shape, dataset.classes)
    except InputError as error:
        where = error.path if error.path and error.path[0] not in ("network", "encoder", "train") else None
        said = str(error).removeprefix(f"{key_name(error.path)}: ") if error.path else str(error)
        raise InputError(said, where or ("teacher", *error.path)) from None


def _train_and_test(
    prepared: Prepared, folder: RunDirectory, filename: str, threads: int | None, progress: Logged
) -> None:
    config, dataset, network = prepared.config, prepared.dataset, prepared.network
    teacher = _taught(prepared, folder, filename, threads, progress)
    trainer = Trainer(
        network,
        dataset,
        config.encoder,
        config.train,
        seed=config.seed,
        folder=folder.checkpoints,
        threads=threads,
        progress=progress,
        on_epoch=lambda rows: write_text(folder.path / "metrics.csv", table_csv(_metrics(dataset), rows)),
        shift=config.data.augment.shift,
        distill=config.distill,
        teacher=teacher,
    )
    for note in data_notes(dataset.skipped, [dataset.train, dataset.valid, dataset.test], config.encoder):
        progress.warn(note)
    last = folder.checkpoints / "last.npz"
    checkpoint = read_checkpoint(last) if last.exists() else None
    if checkpoint is not None:
        progress.note(f"going on after epoch {checkpoint.epoch}")
    trained = trainer.train(checkpoint)
    loss = make_loss(config.train.loss)
    by_step = ByStep(network, loss)
    result = evaluate(
        network,
        dataset.test,
        scale=dataset.scale,
        encoder=config.encoder,
        loss=loss,
        seed=config.seed,
        threads=threads,
        segments=config.train,
        observers=[by_step],
    )
    write_text(folder.path / "accounting.csv", accounting_csv(network, result))
    write_model(folder.path / "model.npz", network.stored(_settings(config)))
    steps = by_step.rows()
    write_text(folder.path / "steps.csv", table_csv(tuple(steps[0]), steps))
    from snnsim.figures import draw_figures
    from snnsim.reports import write_report

    draw_figures(folder.figures, network, dataset, config, trained.history, steps, result, threads)
    summary = run_summary(config, dataset, network, filename, trained, result, teacher)
    write_text(folder.path / "summary.json", json.dumps(summary, indent=2) + "\n")
    reached = f"loss {result.loss:.4g}" if result.accuracy is None else f"accuracy {result.accuracy:.2%}"
    progress.record(f"test {reached}")
    # The report comes last: with it the run is finished.
    write_report(folder.path)


def _metrics(dataset: Dataset) -> tuple[str, ...]:
    """Return the columns of ``metrics.csv``; of a regression accuracies are empty and the validation loss is there."""
    return (*METRICS, "valid_loss") if dataset.train.is_regression else METRICS


def _default_folder(name: str) -> Path:
    base = Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    candidates = [base, *(base.with_name(f"{base.name}-{k}") for k in range(2, 100))]
    return next(path for path in candidates if not path.exists())


def _interrupted(folder: RunDirectory) -> str:
    if any((path / "checkpoints" / "last.npz").exists() for path in (folder.path, folder.path / "teacher")):
        return f"interrupted; the last checkpoint is kept: go on with --out {folder.path} --resume"
    return "interrupted before the first epoch ended; nothing to go on from"


def _settings(config: Config) -> dict[str, Any]:
    """Return what a model carries of its run: what evaluation needs."""
    resolved = config.resolved()
    settings = {key: resolved[key] for key in ("seed", "data", "encoder", "energy")}
    kept = ("loss", "recompute_every", "truncate_every")
    return settings | {"train": {key: resolved["train"][key] for key in kept if key in resolved["train"]}}
