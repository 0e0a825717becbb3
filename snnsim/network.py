"""Network: layers in order, their parameters, a run, and a loss with its gradients."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnsim.counting import FanOuts, count_fan_outs
from snnsim.distillation import Distillation, checked_teacher, taught_loss
from snnsim.encoders import BatchInput, ConstantInput, EventInput
from snnsim.engine import WHOLE, Engine, logit_factor
from snnsim.errors import InputError
from snnsim.events import Events, as_float32
from snnsim.execution import micro_batch_size, thread_count
from snnsim.features import given_features
from snnsim.gradient_sums import SUMS
from snnsim.layers import Dense, FiringNeurons, Flatten, Layer, LeakyIntegrators, Shape, build_layers
from snnsim.layers.base import SampleKeys, checked_shape
from snnsim.layers.signals import FloatArray
from snnsim.losses import Loss, Targets, checked_targets
from snnsim.model_file import StoredModel, read_model, write_model
from snnsim.passes import parameters_of
from snnsim.regularizers import Penalties, make_penalties
from snnsim.results import BatchRun, BatchStep, join
from snnsim.segments import kept_values
from snnsim.spec import LayerChoice, RegularizerChoice, Segments, TaughtLossChoice, parse, parse_network

RECORDABLE = frozenset({"spikes", "membrane", "step_counts"})
PATHS = ("auto", "events", "dense")


class Network:
    """A network described by the network language.

    Attributes
    ----------
    layers : list of Layer
    parameters : mapping
        ``<index>.<name>`` to the float32 array that the layer uses; assign into the arrays to set weights.
    input_shape : tuple of int
    seed : int
        What the initial weights were drawn with.
    origin : dict
        What a network was read from, and what was assumed; kept in model files, empty for one of our own.

    Notes
    -----
    A network uses buffers of its own: one call at a time.
    """

    def __init__(self, choices: Sequence[LayerChoice], input_shape: Shape, seed: int = 0) -> None:
        if not choices:
            raise InputError("must have at least one layer", ("network",))
        self.choices = tuple(choices)
        self.input_shape = tuple(int(n) for n in input_shape)
        self.seed = seed
        self.origin: dict[str, Any] = {}
        self.layers: list[Layer] = build_layers(choices, self.input_shape, np.random.default_rng(seed))
        self.parameters: Mapping[str, FloatArray] = MappingProxyType(parameters_of(self.layers))
        self._engine = Engine(self.layers)

    @classmethod
    def from_config(cls, layers: Iterable[object], *, input_shape: Sequence[int], seed: int = 0) -> "Network":
        """Build a network from a list of layers.

        Parameters
        ----------
        layers
            For example ``[{"dense": 256}, {"lif": {"beta": 0.9}}, {"dense": 10}, "li"]``.
        input_shape
            One sample's shape, for example ``(784,)`` or ``(1, 28, 28)``.
        seed
            Draws the initial weights.

        Raises
        ------
        InputError
            An unknown layer or key, a value out of range, or sizes that do not fit; names the layer.
        """
        if not isinstance(seed, (int, np.integer)) or seed < 0:
            raise InputError(f"seed: must be a whole number of at least 0 (got {seed!r})")
        return cls(parse_network(layers), checked_shape(input_shape), int(seed))

    @property
    def classes(self) -> int:
        """Number of outputs, K."""
        return self.layers[-1].size

    @property
    def is_ann(self) -> bool:
        """Whether nothing in the network has a state: it ignores the number of steps."""
        return not any(isinstance(layer, (FiringNeurons, LeakyIntegrators)) for layer in self.layers)

    @property
    def spec(self) -> list[dict[str, Any]]:
        """The list of layers with every default filled in, as plain data."""
        return [choice.resolved() for choice in self.choices]

    def training_bytes(self, steps: int, segments: Segments = WHOLE) -> int:
        """Return about what training takes besides data: weights, gradients, optimizer, and all workers' buffers."""
        parameters = sum(array.size for array in self.parameters.values())
        # Currents become membranes in place; convolutions and pools have arrays of their own.
        units = sum(layer.size for layer in self.layers if not isinstance(layer, (Dense, Flatten)))
        length = segments.length(steps)
        widest = max(layer.size for layer in self.layers)
        samples = micro_batch_size(widest, segments.resident(steps), back=len(self.layers))
        kept = kept_values(self.layers, steps, length)
        return 4 * (parameters * (3 + SUMS) + (3 * units * length + kept) * samples * thread_count(None))

    def run(
        self,
        x: ArrayLike | Events,
        *,
        record: Iterable[str] = (),
        input_coding: str = "events",
        num_steps: int | None = None,
        threads: int | None = None,
        path: str = "auto",
    ) -> BatchRun:
        """Run a batch and count what it costs.

        Parameters
        ----------
        x
            With ``input_coding="events"``: `Events`, or a dense [T, B, ...] array whose nonzero entries are events
            (0 and 1: binary, other values: graded). With ``"direct"``: analog values that are the same at every
            step, [T, B, ...], or [1, B, ...] with ``num_steps``.
        record
            Any of ``"spikes"``, ``"membrane"`` and ``"step_counts"``; changes no bit of the result.
        threads
            Workers; one per core by default. Changes no bit of the result.
        path
            How events reach dense layers: one weight row at a time (``"events"``), as a product (``"dense"``), or
            whichever costs less (``"auto"``). Sums differ in their last bits, counters do not.

        Raises
        ------
        InputError
            A shape, value or option that does not fit.
        """
        recorded = frozenset([record] if isinstance(record, str) else record)
        if not recorded <= RECORDABLE:
            raise InputError(f"record: knows {', '.join(sorted(RECORDABLE))} (got {sorted(recorded - RECORDABLE)})")
        if path not in PATHS:
            raise InputError(f"path: must be one of {', '.join(PATHS)} (got {path!r})")
        batch = self._input(x, input_coding, num_steps, None)
        return self.evaluate_batch(batch, threads=threads, record=recorded, with_steps=True, path=path)

    def loss_and_gradients(
        self,
        x: ArrayLike | Events,
        labels: ArrayLike,
        *,
        loss: object = "cross_entropy",
        regularizers: Sequence[object] = (),
        teacher_logits: ArrayLike | None = None,
        teacher_features: Sequence[ArrayLike] | None = None,
        regressors: Mapping[str, ArrayLike] | None = None,
        input_coding: str = "events",
        num_steps: int | None = None,
        threads: int | None = None,
        epoch: int = 0,
        samples: ArrayLike | None = None,
        recompute_every: int | None = None,
        truncate_every: int | None = None,
    ) -> tuple[float, dict[str, FloatArray]]:
        """Return the mean loss over a batch and its gradients, by backpropagation through time.

        Parameters
        ----------
        x, input_coding, num_steps, threads
            As in `run`.
        labels
            Classes, integers [B]; for the loss ``mse`` also values, floats [B, K].
        loss, regularizers
            Maps of the network language: ``{"cross_entropy": {}}``, ``[{"spike_l1": {"weight": 1e-4}}]``. The map
            ``{"distill": {"teacher_temperature": 8, ...}}`` weighs the labels' cross entropy against a teacher.
        teacher_logits
            For ``distill``: the teacher's logits of the batch, [B, K]; with ``alpha`` 0 there need be none.
        teacher_features, regressors
            For its method ``features``: an array [B, ...] for each pair of layers, and where its size is not the
            student's layer's, ``features.<pair>.weight`` (features, neurons) and ``features.<pair>.bias``.
        epoch, samples
            Key the dropout masks, with the network's seed: the samples' numbers [B], by default 0 to B - 1.
        recompute_every
            Keep the neurons' states every so many steps only and run the steps between again on the way back: less
            memory for long sequences, about a third more time, the same gradients but for rounding.
        truncate_every
            Carry no gradient over multiples of so many steps, in the same segments (truncated backpropagation
            through time).

        Returns
        -------
        loss : float
        gradients : dict
            Parameter name to an array like the parameter, regressors' too.

        Raises
        ------
        InputError
            A shape, value or option that does not fit.
        """
        options = parse(TaughtLossChoice, loss, ("loss",))
        chosen = taught_loss(options)
        penalties = make_penalties(
            [parse(RegularizerChoice, value, ("regularizers", k)) for k, value in enumerate(regularizers)]
        )
        segments = parse(Segments, {"recompute_every": recompute_every, "truncate_every": truncate_every})
        size = np.asarray(labels).shape[0] if np.ndim(labels) else 0
        numbers = np.arange(size) if samples is None else np.asarray(samples)
        if numbers.shape != (size,) or numbers.dtype.kind not in "iu":
            raise InputError(f"samples: must be {size} whole numbers, one per label (got {numbers!r})")
        batch = self._input(x, input_coding, num_steps, SampleKeys(self.seed, epoch, numbers.astype(np.int64)))
        targets = checked_targets(labels, batch.batch, self.classes, chosen)
        teacher = checked_teacher(teacher_logits, batch.batch, self.classes, chosen)
        if isinstance(chosen, Distillation):
            chosen = chosen.taught(teacher)
        pairs = None if options.distill is None else options.distill.features
        features = given_features(pairs, teacher_features, regressors, self.layers, batch.batch)
        penalties = penalties if features is None else penalties.beside(features)
        step = self.train_step(batch, targets, chosen, penalties, threads=threads, segments=segments)
        return step.loss, {name: array.copy("K") for name, array in step.gradients.items()}

    def train_step(
        self,
        batch: BatchInput,
        targets: Targets,
        loss: Loss,
        penalties: Penalties,
        *,
        threads: int | None = None,
        segments: Segments = WHOLE,
    ) -> BatchStep:
        """Run an encoded batch forwards and back; the gradients are the network's own buffers."""
        self.check_loss(loss, values=targets.ndim == 2)
        return self._engine.loss_and_gradients(
            self._summed(batch), targets, loss, penalties, threads=thread_count(threads), segments=segments
        )

    def fan_outs(self) -> FanOuts:
        """Count the synapses that each input of a layer reaches: once for several batches with the same weights."""
        return count_fan_outs(self.layers)

    def evaluate_batch(
        self,
        batch: BatchInput,
        *,
        threads: int | None = None,
        record: Iterable[str] = (),
        with_steps: bool = False,
        path: str = "auto",
        segments: Segments = WHOLE,
        fan_out: FanOuts | None = None,
    ) -> BatchRun:
        """Run an encoded batch forwards and count, a segment at a time where nothing is recorded.

        ``fan_out`` is that of `fan_outs`, if no weight has changed since.
        """
        batch = self._summed(batch)
        parts, counts = self._engine.run(
            batch,
            threads=thread_count(threads),
            record=frozenset(record),
            with_steps=with_steps,
            path=path,
            segments=segments,
            fan_out=fan_out,
        )
        return join(parts, counts, batch.steps, [layer.facts for layer in self.layers])

    def mean_outputs(
        self, batch: BatchInput, indices: Sequence[int], *, threads: int | None = None
    ) -> list[FloatArray]:
        """Return what some layers put out for an encoded batch, averaged over the steps, float32 [B, N] each."""
        return self._engine.mean_outputs(self._summed(batch), indices, threads=thread_count(threads))

    def loss_input(self, loss: Loss, z: FloatArray, steps: int) -> NDArray[np.float64]:
        """Return logits (or step logits) as a loss takes them: a rate readout's are counts over T."""
        return z.astype(np.float64) * logit_factor(loss, self.layers, steps)

    def clip_parameters(self) -> None:
        """Bring learned values back into their ranges after an update: beta, alpha in [0, 1], thresholds above 0."""
        for layer in self.layers:
            if isinstance(layer, FiringNeurons):
                layer.clip()

    def check_loss(self, loss: Loss, *, values: bool = False) -> None:
        """Check that a loss fits the readout and the targets, which are classes or values.

        Raises
        ------
        InputError
            A loss on spikes with a readout that does not fire, or one on classes where there are values.
        """
        if values and not loss.takes_values:
            raise InputError(
                f"{loss.name} needs classes; for targets that are values take mse", ("train", "loss", loss.name)
            )
        if loss.needs_spikes and not self.layers[-1].fires:
            raise InputError(
                f"{loss.name} needs a firing last layer with readout: count or rate",
                ("train", "loss", loss.name),
            )

    def load_parameters(self, stored: Mapping[str, NDArray[Any]], source: str) -> None:
        """Copy stored parameters into place; ``source`` is what messages call them.

        Raises
        ------
        InputError
            Names or shapes differ, or a value is not finite.
        """
        for name in sorted(self.parameters.keys() ^ stored.keys()):
            where = "the network" if name in stored else source
            raise InputError(f"{source}: {name} is missing in {where}; it belongs to another network")
        for name, array in self.parameters.items():
            found = stored[name]
            if found.shape != array.shape or found.dtype.kind not in "fiu":
                raise InputError(
                    f"{source}: {name} has shape {list(found.shape)}, the network needs {list(array.shape)}"
                )
            if not np.isfinite(found).all():
                raise InputError(f"{source}: {name} holds NaN or infinite values")
            array[...] = found

    def stored(self, settings: dict[str, Any]) -> StoredModel:
        """Return what a model file holds of this network; ``settings`` are those of its run."""
        return StoredModel(self.spec, list(self.input_shape), self.parameters, settings, self.origin)

    @classmethod
    def from_stored(cls, model: StoredModel, source: str) -> "Network":
        """Build the network of a model file; ``source`` is what messages call it.

        Raises
        ------
        InputError
            The file is damaged, or its parts do not belong together.
        """
        try:
            network = cls.from_config(model.layers, input_shape=model.input_shape)
        except InputError as error:
            raise InputError(f"{source}: {error}") from None
        network.load_parameters(model.parameters, source)
        network.origin = model.origin
        return network

    def save(self, path: str | Path) -> None:
        """Write the network to an ``.npz`` file; see `snnsim.model_file`."""
        write_model(Path(path), self.stored({}))

    @classmethod
    def load(cls, path: str | Path) -> "Network":
        """Read a network from a model file or a run directory; executes no code."""
        model, file = read_model(Path(path))
        return cls.from_stored(model, str(file))

    def _input(
        self, x: ArrayLike | Events, input_coding: str, num_steps: int | None, keys: SampleKeys | None
    ) -> BatchInput:
        if input_coding == "events":
            events = x if isinstance(x, Events) else Events.from_dense(x)
            if isinstance(x, Events):
                events.check()
            if num_steps not in (None, events.num_steps):
                raise InputError(f"num_steps: the events have {events.num_steps} steps (got {num_steps})")
            self._check_shape(events.shape)
            return self._summed(EventInput(events, keys))
        if input_coding != "direct":
            raise InputError(f"input_coding: must be 'events' or 'direct' (got {input_coding!r})")
        if isinstance(x, Events):
            raise InputError("x: direct coding takes an array of analog values, not events")
        return self._summed(self._constant(np.asarray(x), num_steps, keys))

    def _constant(self, x: NDArray[Any], num_steps: int | None, keys: SampleKeys | None) -> ConstantInput:
        if x.ndim < 3 or 0 in x.shape:
            raise InputError(f"x: must be [steps, samples, ...], none of them empty (got shape {list(x.shape)})")
        self._check_shape(x.shape[2:])
        x = as_float32(x)
        if x.shape[0] > 1 and (x != x[:1]).any():
            raise InputError("x: differs between steps; direct coding takes one value for all steps")
        if num_steps is not None and (num_steps < 1 or x.shape[0] not in (1, num_steps)):
            raise InputError(f"num_steps: x has {x.shape[0]} steps (got {num_steps})")
        values = np.ascontiguousarray(x[0].reshape(x.shape[1], -1))
        return ConstantInput(values, num_steps or x.shape[0], keys)

    def _check_shape(self, shape: Shape) -> None:
        if shape != self.input_shape and shape != (math.prod(self.input_shape),):
            raise InputError(f"x: a sample must have shape {list(self.input_shape)} (got {list(shape)})")

    def _summed(self, batch: BatchInput) -> BatchInput:
        """Give an ANN what it sees: one step, events summed over time."""
        if not self.is_ann or (isinstance(batch, ConstantInput) and batch.steps == 1):
            return batch
        if isinstance(batch, ConstantInput):
            return ConstantInput(batch.x, 1, batch.keys)
        if not isinstance(batch, EventInput):
            raise InputError("an ANN takes direct coding, or events summed over time", ("encoder",))
        return ConstantInput(batch.events.total(), 1, batch.keys)

    def __repr__(self) -> str:
        layers = ", ".join(f"{layer.name} {list(layer.out_shape)}" for layer in self.layers)
        size = sum(array.size for array in self.parameters.values())
        return f"Network({list(self.input_shape)} -> {layers}; {size:,} parameters)"
