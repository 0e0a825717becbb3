"""Training and testing from Python, on data and networks that are at hand, without files.

`snnsim.experiment.run_experiment` does the same from a configuration and keeps everything in a run directory.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from snnsim import datasets
from snnsim.config import DataSpec, TrainSpec
from snnsim.datasets import Dataset, Samples
from snnsim.encoders import encoded_shape
from snnsim.errors import InputError
from snnsim.evaluation import Evaluation
from snnsim.evaluation import evaluate as evaluate_samples
from snnsim.features import feature_sizes, require_pairs
from snnsim.losses import make_loss
from snnsim.memory import require_memory
from snnsim.network import Network
from snnsim.notebook import chosen_progress
from snnsim.progress import Progress
from snnsim.recorded import binning, data_notes, settle_steps
from snnsim.spec import Distill, EncoderChoice, LossChoice, parse
from snnsim.teachers import Teacher, seen_by
from snnsim.training.trainer import Trainer, Training

Part = Literal["train", "valid", "test"]


def load_data(
    source: str | Mapping[str, Any], *, encoder: object = "direct", data_dir: str | os.PathLike[str] | None = None
) -> Dataset:
    """Load a data set, split into training, validation and test samples.

    Own arrays become one by `snnsim.datasets.from_arrays`.

    Parameters
    ----------
    source
        Name of a set (``"digits"``), or what stands under ``data`` in a configuration: ``{"npz": "mine.npz"}``,
        ``{"name": "mnist", "limit": 1000}``, ``{"events": "recordings/"}``.
    encoder
        For recorded events: how they are binned to steps, ``{"events": {"time_window": 1000}}``.
    data_dir
        Where to look first for sets that do not ship.

    Raises
    ------
    InputError
        Unknown, missing or damaged data, or an encoder that does not go with them.
    """
    spec = parse(DataSpec, {"name": source} if isinstance(source, str) else dict(source), ("data",))
    chosen = parse(EncoderChoice, encoder, ("encoder",))
    folder = None if data_dir is None else Path(data_dir)
    return datasets.load(spec, folder, binning(chosen), spec.targets or "classes")


def train(
    network: Network,
    data: Dataset,
    *,
    encoder: object = "direct",
    epochs: int = 10,
    batch_size: int = 64,
    optimizer: object = "adam",
    schedule: object = "cosine",
    loss: object = "cross_entropy",
    regularizers: Sequence[object] = (),
    clip_norm: float | None = None,
    keep: Literal["last", "best"] = "last",
    recompute_every: int | None = None,
    truncate_every: int | None = None,
    shift: int = 0,
    teacher: Network | None = None,
    teacher_encoder: object = None,
    distill: object = None,
    seed: int | None = None,
    threads: int | None = None,
    progress: Progress | bool = True,
) -> Training:
    """Train a network; it then holds the trained weights.

    Parameters
    ----------
    network, data
        What learns, and from what: ``data.train``; ``data.valid`` is measured after every epoch.
    encoder
        How data become the network's input over time, for example ``{"direct": {"num_steps": 10}}``.
    epochs, batch_size, optimizer, schedule, loss, regularizers, clip_norm, keep, recompute_every, truncate_every
        As in a configuration under ``train``, in the same language: ``optimizer={"adam": {"lr": 0.002}}``.
    shift
        Every epoch moves each sample by up to so many pixels along each axis.
    teacher, distill
        A trained network to learn from, and how: ``{"teacher_temperature": 8, "student_temperature": 1}``.
    teacher_encoder
        What the teacher sees the data through: by default what the student does; an ANN sees values as they are.
    seed
        Fixes the order of samples and every random stream; by default the network's.
    threads
        Workers; one per core by default. Changes no bit of the result.
    progress
        True: a bar in a notebook, elsewhere a line an epoch on standard error. False: nothing but warnings. Or an
        object that is told what happens.

    Returns
    -------
    Training
        One row an epoch, and a figure of them.

    Raises
    ------
    InputError
        An option that cannot be used, or data that do not fit the network.
    DivergedError
        The loss is no longer a number.
    """
    settings = parse(
        TrainSpec,
        {
            "epochs": epochs,
            "batch_size": batch_size,
            "optimizer": optimizer,
            "schedule": schedule,
            "loss": loss,
            "regularizers": list(regularizers),
            "clip_norm": clip_norm,
            "keep": keep,
            "recompute_every": recompute_every,
            "truncate_every": truncate_every,
        },
    )
    chosen = _fitting_encoder(network, data, encoder)
    if shift and chosen.events is None and len(data.input_shape) != 3:
        raise InputError(f"shift: is for images and recordings; these samples are flat, {list(data.input_shape)}")
    require_memory(network.training_bytes(chosen.num_steps or data.input_shape[1], settings), ("encoder", chosen.name))
    seed = network.seed if seed is None else seed
    lesson = None if distill is None else parse(Distill, distill, ("distill",))
    taught_by = _teacher(network, teacher, lesson, data, chosen, teacher_encoder, seed, threads)
    told = chosen_progress(progress)
    try:
        for note in data_notes(data.skipped, [data.train, data.valid], chosen):
            told.warn(note)
        with tempfile.TemporaryDirectory(prefix="snnsim-") as folder:
            return Trainer(
                network,
                data,
                chosen,
                settings,
                seed=seed,
                folder=Path(folder),
                threads=threads,
                progress=told,
                on_epoch=lambda rows: None,
                shift=shift,
                distill=lesson,
                teacher=taught_by,
            ).train()
    finally:
        told.close()


def evaluate(
    network: Network,
    data: Dataset,
    *,
    encoder: object = "direct",
    loss: object = "cross_entropy",
    part: Part = "test",
    seed: int | None = None,
    threads: int | None = None,
) -> Evaluation:
    """Run a network on a part of a data set: accuracy, loss, and the exact counts of every layer.

    Parameters
    ----------
    encoder, loss
        As in `train`.
    part
        ``"test"``, ``"valid"`` or ``"train"``.
    seed
        Keys a random encoder, with the samples' numbers; by default the network's.
    threads
        Workers; changes no bit of the result.

    Raises
    ------
    InputError
        The data do not fit the network, or the loss its readout.
    """
    chosen = _fitting_encoder(network, data, encoder)
    of_loss = make_loss(parse(LossChoice, loss, ("loss",)))
    parts: dict[str, Samples] = {"train": data.train, "valid": data.valid, "test": data.test}
    if part not in parts:
        raise InputError(f"part: must be one of {', '.join(parts)} (got {part!r})")
    network.check_loss(of_loss, values=parts[part].is_regression)
    return evaluate_samples(
        network,
        parts[part],
        scale=data.scale,
        encoder=chosen,
        loss=of_loss,
        seed=network.seed if seed is None else seed,
        threads=threads,
    )


def _fitting_encoder(network: Network, data: Dataset, encoder: object) -> EncoderChoice:
    """Read an encoder, with the number of steps that recordings have, and check that the network fits the data.

    Raises
    ------
    InputError
        It does not.
    """
    chosen = settle_steps(parse(EncoderChoice, encoder, ("encoder",)), [data.train, data.valid])
    shape = encoded_shape(chosen, data.input_shape)
    if shape != network.input_shape:
        raise InputError(
            f"the data's samples have shape {list(shape)} at the network's input, which takes "
            f"{list(network.input_shape)}; build it with input_shape={shape}"
        )
    if network.classes != data.classes:
        what = f"targets of size {data.classes}" if data.train.is_regression else f"{data.classes} classes"
        raise InputError(f"the network ends in {network.classes} outputs, the data have {what}")
    if data.is_recorded != (chosen.events is not None):
        raise InputError("the encoder events goes with recorded events, and they with it", ("encoder",))
    return chosen


def _teacher(
    student: Network,
    teacher: Network | None,
    lesson: Distill | None,
    data: Dataset,
    encoder: EncoderChoice,
    teacher_encoder: object,
    seed: int,
    threads: int | None,
) -> Teacher | None:
    """Return what the teacher says of the training samples."""
    if lesson is None or not lesson.needs_teacher:
        if teacher is not None:
            raise InputError("distill: must say how to learn from the teacher, for example {'teacher_temperature': 8}")
        return None
    if teacher is None:
        raise InputError("distill: needs a teacher, a trained network")
    if lesson.features is not None:
        require_pairs(lesson.features, student.layers, feature_sizes(lesson.features, teacher.layers))
    seen = _fitting_encoder(teacher, data, teacher_encoder or seen_by(teacher, encoder))
    logits = evaluate(teacher, data, encoder=seen, part="train", seed=seed, threads=threads).logits
    return Teacher(logits, None, teacher, seen)
