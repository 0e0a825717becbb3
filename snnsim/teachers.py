"""Teachers of a distillation: their logits over the training set, computed once and kept, and features by the batch."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnsim.config import Config, from_mapping
from snnsim.datasets import Dataset, Recordings, Samples
from snnsim.datasets.event_cache import cache_key, read_entry, write_entry
from snnsim.errors import InputError
from snnsim.evaluation import batch_input, evaluate
from snnsim.features import feature_sizes, require_pairs
from snnsim.layers.signals import FloatArray
from snnsim.losses import make_loss
from snnsim.model_file import read_model
from snnsim.network import Network
from snnsim.spec import EncoderChoice, LossChoice


@dataclass(frozen=True, eq=False)
class Teacher:
    """What a teacher says.

    Attributes
    ----------
    logits : float32 [N, K]
        For the training samples, as they are: without augmentation.
    accuracy : float or None
        On the test set; None where there are logits of the training set alone.
    network, encoder
        Who says it, and what the samples reach it through; None where there are logits alone.
    """

    logits: FloatArray
    accuracy: float | None
    network: Network | None = None
    encoder: EncoderChoice | None = None

    def features(
        self,
        layers: Sequence[int],
        dataset: Dataset,
        rows: NDArray[np.int64],
        seed: int,
        *,
        epoch: int,
        shift: int,
        threads: int | None,
    ) -> list[FloatArray]:
        """Return what some of its layers put out for training samples, averaged over time, float32 [B, N] each.

        The samples are those that the student sees in this epoch, moved alike; whole maps of all samples, which need
        not fit anywhere, are never kept.
        """
        assert self.network is not None
        assert self.encoder is not None
        batch = batch_input(
            self.encoder, self.network, dataset.train, dataset.scale, rows, seed, epoch=epoch, shift=shift
        )
        return self.network.mean_outputs(batch, layers, threads=threads)


def require_features(config: Config, student: Network, teacher: Network | None) -> None:
    """Check the layers of a feature distillation, where there is one.

    Parameters
    ----------
    teacher
        That of ``teacher.network``; a stored one is read here.

    Raises
    ------
    InputError
        A layer that does not fit, or a teacher that cannot be read; names the key.
    """
    options = None if config.distill is None else config.distill.features
    if options is None or config.teacher is None:
        return
    if teacher is None:
        try:
            teacher = Network.load(str(config.teacher.run))
        except InputError as error:
            raise InputError(str(error), ("teacher", "run")) from None
    require_pairs(options, student.layers, feature_sizes(options, teacher.layers))


def trained_teacher(source: Path, config: Config, dataset: Dataset, classes: int, threads: int | None) -> Teacher:
    """Ask a trained network, in a run directory or model file.

    Parameters
    ----------
    config
        The student's: recordings reach the teacher as they are binned for the student.
    classes
        Number of the student's outputs.

    Raises
    ------
    InputError
        It is no model, or does not fit the data or the student.
    """
    model, file = read_model(source)
    network = Network.from_stored(model, str(file))
    if network.classes != classes:
        raise InputError(
            f"{file}: the teacher has {network.classes} outputs, the student {classes}", ("teacher", "run")
        )
    encoder = _encoder(model.settings, network, config)
    described = {
        "kind": "teacher's logits",
        "network": network.spec,
        "weights": _digest(network.parameters.values()),
        "encoder": encoder.resolved(),
        "seed": config.seed,
        "scale": dataset.scale,
        "data": [_digest(_arrays(samples)) for samples in (dataset.train, dataset.test)],
    }
    key = cache_key(described)
    kept = read_entry(key)
    if kept is not None:
        return Teacher(kept[1]["logits"], float(kept[0]["accuracy"]), network, encoder)
    loss = make_loss(LossChoice.of("cross_entropy"))

    def ask(samples: Samples) -> tuple[FloatArray, float]:
        result = evaluate(
            network, samples, scale=dataset.scale, encoder=encoder, loss=loss, seed=config.seed, threads=threads
        )
        assert result.accuracy is not None
        return result.logits, result.accuracy

    logits, (_, accuracy) = ask(dataset.train)[0], ask(dataset.test)
    write_entry(key, described | {"accuracy": accuracy}, {"logits": logits})
    return Teacher(logits, accuracy, network, encoder)


def stored_logits(file: Path, dataset: Dataset, classes: int) -> Teacher:
    """Read logits from a ``.npy`` file, with a row for every row of the training set's file.

    Raises
    ------
    InputError
        No such file, damaged, of another shape, or not finite.
    """
    at = ("teacher", "logits")
    try:
        logits = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{file}: cannot be read as a .npy file of numbers ({error})", at) from None
    rows = int(max(dataset.train.index.max(), dataset.valid.index.max())) + 1
    wanted = f"[{rows} or more, {classes}]: a row for every row of the training set's file"
    if not isinstance(logits, np.ndarray) or logits.dtype.kind not in "iuf":
        raise InputError(f"{file}: must hold numbers {wanted}", at)
    if logits.ndim != 2 or logits.shape[1] != classes or logits.shape[0] < rows:
        raise InputError(f"{file}: must have shape {wanted} (got {list(logits.shape)})", at)
    mine = logits[dataset.train.index].astype(np.float32)
    if not np.isfinite(mine).all():
        raise InputError(f"{file}: holds NaN or infinite values", at)
    return Teacher(mine, None)


def seen_by(teacher: Network, encoder: EncoderChoice) -> EncoderChoice:
    """Return what a teacher sees the data through: what its student does; an ANN sees values as they are."""
    as_they_are = teacher.is_ann and encoder.events is None
    return EncoderChoice.of({"direct": {"num_steps": 1}}) if as_they_are else encoder


def _encoder(settings: dict[str, object], network: Network, config: Config) -> EncoderChoice:
    """Return what the teacher sees the samples through: recordings as the student does, else as it was trained."""
    if config.encoder.events is not None or "encoder" not in settings:
        return seen_by(network, config.encoder)
    return from_mapping({**settings, "network": network.spec}, (), "the teacher").config.encoder


def _arrays(samples: Samples) -> list[NDArray[Any]]:
    x = samples.x
    stored = [x.starts, x.stops, x.steps, x.addresses, x.repeats] if isinstance(x, Recordings) else [x]
    return [*stored, samples.index]


def _digest(arrays: Iterable[NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
