"""The training loop: epochs of batches, validation, checkpoints."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from snnsim.config import TrainSpec
from snnsim.datasets import Dataset
from snnsim.distillation import Distillation, make_distillation
from snnsim.errors import DivergedError
from snnsim.evaluation import Evaluation, batch_input, evaluate
from snnsim.features import FeaturePairs, feature_sizes
from snnsim.losses import make_loss
from snnsim.network import Network
from snnsim.progress import Progress, duration
from snnsim.regularizers import Penalties, make_penalties
from snnsim.spec import Distill, EncoderChoice
from snnsim.tables import Mean, html_table, text_table
from snnsim.teachers import Teacher
from snnsim.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from snnsim.training.optimizers import clip_norm, make_optimizer
from snnsim.training.schedules import learning_rate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHUFFLE_STREAM = 1
SHOWN_EPOCHS = 5


@dataclass(frozen=True, eq=False)
class Training:
    """How a training went.

    Attributes
    ----------
    history : list of dict
        One row per epoch, as in ``metrics.csv``: ``epoch``, ``train_loss``, ``train_accuracy``, ``valid_accuracy`` (or
        without classes ``valid_loss``), ``spikes_per_sample``, ``synops_per_sample``, ``seconds``.
    seconds : float
        What it took.
    """

    history: list[dict[str, Any]]
    seconds: float

    def figure(self) -> "Figure":
        """Draw accuracy (or loss), spikes and synaptic operations over the epochs."""
        from snnsim.plots import learning_curves

        return learning_curves(self.history)

    def __repr__(self) -> str:
        return f"Training: {duration(self.seconds)}\n{text_table(*self._table)}"

    def _repr_html_(self) -> str:
        return html_table(f"Training: {duration(self.seconds)}", *self._table)

    @property
    def _table(self) -> tuple[list[str], list[list[object]]]:
        """The head and rows of the last epochs."""
        columns = [name for name in self.history[-1] if name != "seconds"]
        rows = [[_shown(name, row[name]) for name in columns] for row in self.history[-SHOWN_EPOCHS:]]
        return [name.replace("_", " ") for name in columns], rows


class Trainer:
    """Trains a network on a data set, with a checkpoint at the end of every epoch.

    Parameters
    ----------
    network, dataset, encoder
        What learns, from what, through which encoder.
    settings
        Epochs, batches, optimizer, schedule, loss and regularisers.
    seed
        With the epoch it fixes the order of samples; with epoch and sample, every other random stream.
    folder
        Where ``last.npz`` and ``best.npz`` go.
    on_epoch
        Called with all rows so far, after the checkpoint of an epoch is written.
    threads
        Workers; changes no bit of the result.
    shift
        Every epoch moves each sample by up to so many pixels along each axis.
    distill, teacher
        How to learn from a teacher, and what it says of the training samples. Validation measures the loss of the
        labels alone.
    """

    def __init__(
        self,
        network: Network,
        dataset: Dataset,
        encoder: EncoderChoice,
        settings: TrainSpec,
        *,
        seed: int,
        folder: Path,
        threads: int | None,
        progress: Progress,
        on_epoch: Callable[[list[dict[str, Any]]], None],
        shift: int = 0,
        distill: Distill | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        self.network = network
        self.dataset = dataset
        self.encoder = encoder
        self.settings = settings
        self.seed = seed
        self.folder = folder
        self.threads = threads
        self.progress = progress
        self.on_epoch = on_epoch
        self.shift = shift
        self.loss = make_loss(settings.loss)
        self.distill = distill
        self.teacher = teacher
        self.penalties = make_penalties(settings.regularizers)
        network.check_loss(self.loss, values=dataset.train.is_regression)
        self.features = self._features()
        self.learned = {**network.parameters, **({} if self.features is None else self.features.parameters)}
        self.optimizer = make_optimizer(settings.optimizer, self.learned, threads)
        self.batches = -(-len(dataset.train) // settings.batch_size)
        self._silent: set[str] = set()

    def train(self, resume: Checkpoint | None = None) -> Training:
        """Train to the end, from the beginning or from a checkpoint; the network then holds the weights to keep.

        Raises
        ------
        DivergedError
            The loss is no longer a number; the last good checkpoint stands.
        """
        rows: list[dict[str, Any]] = []
        before = 0.0
        if resume is not None:
            self.network.load_parameters(resume.parameters, str(self.folder / "last.npz"))
            self.optimizer.load(resume.optimizer)
            if self.features is not None:
                self.features.load(resume.regressors, str(self.folder / "last.npz"))
            rows, before = list(resume.rows), resume.seconds
        began = time.perf_counter() - before
        done = len(rows)
        if rows:  # a run that died between checkpoint and metrics
            self.on_epoch(rows)
        self.progress.start(self.settings.epochs, self.batches, done + 1)
        for epoch in range(done + 1, self.settings.epochs + 1):
            epoch_began = time.perf_counter()
            row = self._epoch(epoch, rows[-1]["synops_per_sample"] if rows else float("nan"))
            row["seconds"] = round(time.perf_counter() - epoch_began, 3)
            best = max(map(_score, rows), default=-np.inf)
            rows.append(row)
            self._save(epoch, rows, time.perf_counter() - began, best=_score(row) > best)
            self.on_epoch(rows)
            self.progress.epoch(row)
        if self.settings.keep == "best":
            best_file = self.folder / "best.npz"
            self.network.load_parameters(read_checkpoint(best_file).parameters, str(best_file))
        return Training(rows, time.perf_counter() - began)

    def _epoch(self, epoch: int, last_synops: float) -> dict[str, Any]:
        samples = self.dataset.train
        order = np.random.default_rng([self.seed, epoch, SHUFFLE_STREAM]).permutation(len(samples))
        size = self.settings.batch_size
        lesson = self._lesson(epoch)
        loss = correct = spikes = seen = 0.0
        accuracy = float("nan")
        for k in range(self.batches):
            rows = order[k * size : (k + 1) * size]
            batch = batch_input(
                self.encoder,
                self.network,
                samples,
                self.dataset.scale,
                rows,
                self.seed,
                epoch=epoch,
                shift=self.shift,
            )
            loss_now = self.loss
            if lesson is not None:
                loss_now = lesson.taught(None if self.teacher is None else self.teacher.logits[rows])
            penalties = self._penalties(rows, epoch)
            step = self.network.train_step(
                batch, samples.y[rows], loss_now, penalties, threads=self.threads, segments=self.settings
            )
            if not np.isfinite(step.loss):
                raise self._diverged(epoch, f"the loss became {step.loss} in step {k + 1}")
            if self.settings.clip_norm is not None:
                clip_norm(step.gradients, self.settings.clip_norm)
            number = (epoch - 1) * self.batches + k
            lr = learning_rate(self.settings.schedule, self.optimizer.lr, number, self.batches, self.settings.epochs)
            self.optimizer.step(step.gradients, lr)
            self.network.clip_parameters()
            seen += len(rows)
            loss += step.loss * len(rows)
            spikes += step.spikes
            if step.correct is not None:
                correct += step.correct
                accuracy = correct / seen
            self.progress.step(epoch, k + 1, loss / seen, accuracy, spikes / seen, last_synops)
        if not all(np.isfinite(array).all() for array in self.learned.values()):
            raise self._diverged(epoch, "weights became infinite or NaN")
        valid = self._validate()
        if not np.isfinite(valid.loss):
            raise self._diverged(epoch, f"the loss on the validation set became {valid.loss}")
        of_classes = {"train_accuracy": accuracy, "valid_accuracy": valid.accuracy}
        return {
            "epoch": epoch,
            "train_loss": loss / seen,
            **({"valid_loss": valid.loss} if valid.accuracy is None else of_classes),
            "spikes_per_sample": valid.spikes_per_sample,
            "synops_per_sample": valid.synops_per_sample,
        }

    def _lesson(self, epoch: int) -> Distillation | None:
        """Return the loss against the teacher at an epoch's temperatures."""
        if self.distill is None:
            return None
        part = (epoch - 1) / max(self.settings.epochs - 1, 1)
        return make_distillation(self.distill.at(part), self.loss)

    def _features(self) -> FeaturePairs | None:
        """Return the pairs of layers whose features are compared, with what learns to compare them."""
        options = None if self.distill is None else self.distill.features
        if options is None:
            return None
        assert self.teacher is not None
        assert self.teacher.network is not None
        sizes = feature_sizes(options, self.teacher.network.layers)
        return FeaturePairs(options, self.network.layers, sizes, self.seed)

    def _penalties(self, rows: NDArray[np.int64], epoch: int) -> Penalties:
        """Return the penalties of a batch, the teacher's features among them."""
        if self.features is None:
            return self.penalties
        assert self.teacher is not None
        seen = self.teacher.features(
            self.features.teacher_layers,
            self.dataset,
            rows,
            self.seed,
            epoch=epoch,
            shift=self.shift,
            threads=self.threads,
        )
        return self.penalties.beside(self.features.penalty(seen))

    def _validate(self) -> Evaluation:
        result = evaluate(
            self.network,
            self.dataset.valid,
            scale=self.dataset.scale,
            encoder=self.encoder,
            loss=self.loss,
            seed=self.seed,
            threads=self.threads,
            segments=self.settings,
        )
        for layer, counts in zip(self.network.layers, result.layers, strict=True):
            if layer.fires and counts["spikes"] == 0 and layer.title not in self._silent:
                self._silent.add(layer.title)
                self.progress.warn(
                    f"layer {layer.title} fell silent: none of its {layer.size} neurons fires on the validation "
                    "set; try a lower threshold, larger inputs, weaker spike penalties, or a rate_lower regularizer"
                )
        return result

    def _save(self, epoch: int, rows: list[dict[str, Any]], seconds: float, *, best: bool) -> None:
        beside = {} if self.features is None else self.features.parameters
        checkpoint = Checkpoint(epoch, self.network.parameters, self.optimizer.state(), rows, seconds, beside)
        if best:
            write_checkpoint(self.folder / "best.npz", checkpoint)
        write_checkpoint(self.folder / "last.npz", checkpoint)

    def _diverged(self, epoch: int, what: str) -> DivergedError:
        name = self.settings.optimizer.name
        kept = self.folder / "last.npz"
        last = f"the checkpoint of epoch {epoch - 1} is kept in {kept}" if kept.exists() else "no epoch was finished"
        return DivergedError(
            f"training diverged in epoch {epoch}: {what}; try a smaller learning rate "
            f"(train.optimizer.{name}.lr={self.optimizer.lr / 10:g}) or train.clip_norm=1; {last}"
        )


def _shown(name: str, value: float) -> object:
    if name.endswith("accuracy"):
        return f"{value:.2%}"
    return Mean(value) if name.endswith("per_sample") else value if name == "epoch" else float(f"{value:.4g}")


def _score(row: Mapping[str, float]) -> float:
    """Return what the best epoch has most of: validation accuracy; without classes, least loss."""
    return row["valid_accuracy"] if "valid_accuracy" in row else -row["valid_loss"]
