"""Batches on the workers: micro-batches depth first, each through the whole forward and backward pass."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from snnsim.accounting import RunCounts, StepCounts
from snnsim.counting import Counting, FanOuts, Tallies, count_steps
from snnsim.encoders import BatchInput, ConstantInput
from snnsim.events import Events
from snnsim.execution import micro_batch_size, micro_batches, share, single_threaded_blas
from snnsim.gradient_sums import GradientSums, Share
from snnsim.layers import LeakyIntegrators, Relu
from snnsim.layers.base import Affine, Layer, MicroBatch, Workspace
from snnsim.layers.signals import Analog, FloatArray, Signal
from snnsim.losses import Loss, Targets
from snnsim.passes import (
    Forward,
    Plan,
    WholePass,
    forward,
    hidden_firing,
    mean_output,
    run_layers,
    spike_fan_out,
)
from snnsim.regularizers import HiddenSpikes, Penalties
from snnsim.results import BatchStep, MicroRun
from snnsim.segments import SegmentedPass, SegmentedRun
from snnsim.spec import Segments

Result = TypeVar("Result")
Pass = WholePass | SegmentedPass
WHOLE = Segments()


class Engine:
    """Runs batches through layers; owns the workers' buffers, so one call at a time."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = layers
        self._sums = GradientSums(layers)
        self._idle: list[Workspace] = []

    def run(
        self,
        batch: BatchInput,
        *,
        threads: int,
        record: frozenset[str] = frozenset(),
        with_steps: bool = False,
        path: str = "auto",
        segments: Segments = WHOLE,
        fan_out: FanOuts | None = None,
    ) -> tuple[list[MicroRun], RunCounts]:
        """Run a batch forwards and count; results come in the order of the samples.

        Recorded traces need all steps at once. ``fan_out`` is that of the weights as they are, where it is known.
        """
        segments = WHOLE if record & {"spikes", "membrane"} else segments
        length = segments.length(batch.steps)
        plan = self._plan(self.layers, batch)
        size = micro_batch_size(plan.width, segments.resident(batch.steps))
        with_steps, by_step = with_steps or "membrane" in record, "step_counts" in record
        counting = Counting(plan, batch, fan_out)

        def task(micro: MicroBatch, start: int, stop: int, stem: FloatArray | None) -> MicroRun:
            micro.path, micro.fan_out, micro.trace = path, counting.fan_out, "membrane" in record
            network_input = batch.signal(start, stop, micro.workspace)
            signal = network_input if stem is None else Analog(stem[start:stop, None])
            if length < batch.steps and plan.over_time:
                run = SegmentedRun(
                    plan, network_input, signal, micro, length, counting, with_steps=with_steps, by_step=by_step
                )
                return MicroRun(run.logits, run.step_logits, run.tallies, run.step_counts, {}, {}, None)
            result = forward(plan, signal, micro, with_steps=with_steps)
            tallies = counting.tally(network_input, result.inputs, micro)
            step_counts = count_steps(plan, network_input, result.inputs, micro) if by_step else None
            return self._keep(micro, network_input, result, tallies, step_counts, record)

        with single_threaded_blas():
            stem = self._stem(plan, batch, threads)
            parts = self._each(batch, threads, lambda micro, a, b, _: task(micro, a, b, stem), size)
        return parts, counting.total([part.tallies for part in parts])

    def _keep(
        self,
        micro: MicroBatch,
        network_input: Signal,
        result: Forward,
        tallies: Tallies,
        step_counts: list[StepCounts] | None,
        record: frozenset[str],
    ) -> MicroRun:
        events: dict[int, Events] = {}
        membrane: dict[int, FloatArray] = {}
        inputs = None
        if "spikes" in record:
            inputs = network_input.copy() if isinstance(network_input, Events) else None
            for layer in self.layers:
                output = result.inputs.get(layer.index + 1)
                if layer.fires and isinstance(output, Events):
                    events[layer.index] = output.copy()
        if "membrane" in record:
            for layer in self.layers:
                if layer.fires or isinstance(layer, LeakyIntegrators | Relu):
                    trace = micro.saved[layer.index][0]
                    membrane[layer.index] = trace.reshape(*trace.shape[:2], *layer.out_shape).copy()
        # Step logits may lie in a buffer of the worker's, which its next micro-batch overwrites.
        step_logits = None if result.step_logits is None else result.step_logits.copy()
        return MicroRun(result.logits, step_logits, tallies, step_counts, events, membrane, inputs)

    def loss_and_gradients(
        self,
        batch: BatchInput,
        targets: Targets,
        loss: Loss,
        penalties: Penalties,
        *,
        threads: int,
        path: str = "auto",
        segments: Segments = WHOLE,
    ) -> BatchStep:
        """Run a batch forwards and back: the mean loss over the batch, with penalties, and its gradients.

        ``targets`` are classes, integers [B], or values, floats [B, K], which have no right or wrong.
        """
        length = segments.length(batch.steps)
        cut = length if segments.truncate and length < batch.steps else None
        plan = self._plan(self.layers, batch, per_step=loss.per_step, cut=cut)
        size = micro_batch_size(plan.width, segments.resident(batch.steps), back=len(plan.layers))
        shares = self._sums.shares(len(micro_batches(batch.batch, size)), plan.stem)
        terms = np.empty(batch.batch)
        classifies = targets.ndim == 1
        correct = np.zeros(batch.batch, bool)
        spikes = np.empty(batch.batch, np.int64)
        penalised = hidden_firing(self.layers) if penalties.on_spikes else []
        reached = {layer.index: spike_fan_out(self.layers, layer) for layer in penalised}

        def task(
            micro: MicroBatch, start: int, stop: int, share: Share, stem: FloatArray | None, deltas: FloatArray
        ) -> None:
            micro.path, micro.reached = path, reached
            micro.dropout_keys = batch.keys.slice(start, stop) if batch.keys else None
            signal = batch.signal(start, stop, micro.workspace) if stem is None else Analog(stem[start:stop, None])
            result: Pass
            if length < batch.steps and plan.over_time:
                result = SegmentedPass(plan, signal, micro, length, truncate=segments.truncate, penalised=penalised)
            else:
                result = WholePass(plan, signal, micro)
            part = slice(start, stop)
            terms[part], gradients = self._loss(
                result, targets[part], loss.for_samples(part), penalties.for_samples(part), batch, micro
            )
            if classifies:
                correct[part] = loss.answers(result.logits, result.step_logits) == targets[part]
            spikes[part] = result.spikes
            delta = result.backward(*gradients, share)
            if delta is not None:
                deltas[part] = delta

        def one(micro: MicroBatch, start: int, stop: int, k: int) -> None:
            task(micro, start, stop, shares[k], stem, deltas)
            shares[k].end()

        def give_up() -> None:
            # After an error, or Ctrl-C, nobody may wait for what will not come.
            for one_share in shares:
                one_share.end()

        with single_threaded_blas():
            stem = self._stem(plan, batch, threads)
            deltas = np.empty((0 if stem is None else batch.batch, 0 if stem is None else stem.shape[1]), np.float32)
            self._each(batch, threads, one, size, give_up)
            totals = self._sums.total(len(shares), plan.stem, _sharing(threads))
            if plan.stem is not None:
                assert isinstance(batch, ConstantInput)
                layer = self.layers[plan.stem]
                assert isinstance(layer, Affine)
                layer.constant_backward(batch.x, deltas, totals[plan.stem], _sharing(threads))
            named = {f"{index}.{name}": array for index, of in totals.items() for name, array in of.items()}
            for penalty in penalties.on_spikes:
                named |= penalty.gradients(_sharing(threads))
        right = int(correct.sum()) if classifies else None
        return BatchStep(float(terms.sum() / batch.batch), named, right, int(spikes.sum()))

    def _loss(
        self,
        result: Pass,
        targets: Targets,
        loss: Loss,
        penalties: Penalties,
        batch: BatchInput,
        micro: MicroBatch,
    ) -> tuple[NDArray[np.float64], tuple[FloatArray | None, FloatArray | None]]:
        """Return the samples' terms, and the gradients of logits and step logits, divided by the batch size."""
        scale = 1 / batch.batch
        step_gradient = logit_gradient = None
        if loss.per_step:
            assert result.step_logits is not None
            terms, gradient = loss(result.step_logits.astype(np.float64), targets, batch.steps)
            step_gradient = (gradient * scale).astype(np.float32)
        else:
            factor = logit_factor(loss, self.layers, batch.steps)
            terms, gradient = loss(result.logits.astype(np.float64) * factor, targets, batch.steps)
            logit_gradient = gradient * (factor * scale)
        for on_logits in penalties.on_logits:
            more, gradient = on_logits(result.logits.astype(np.float64))
            terms = terms + more
            logit_gradient = gradient * scale + (0 if logit_gradient is None else logit_gradient)
        if penalties.on_spikes:
            terms = terms + self._spike_penalties(result, penalties, scale, batch.steps, micro)
        as_float = None if logit_gradient is None else logit_gradient.astype(np.float32)
        return terms, (as_float, step_gradient)

    def _spike_penalties(
        self, result: Pass, penalties: Penalties, scale: float, steps: int, micro: MicroBatch
    ) -> NDArray[np.float64]:
        terms = np.zeros(micro.samples)
        layers = hidden_firing(self.layers)
        hidden = [HiddenSpikes(result.neuron_spikes(layer), steps, micro.reached[layer.index]) for layer in layers]
        if not hidden:
            return terms
        extra = [np.zeros((micro.samples, layer.size)) for layer in layers]
        for penalty in penalties.on_spikes:
            more, gradients = penalty(hidden)
            terms += more
            for sum_, gradient in zip(extra, gradients, strict=True):
                sum_ += gradient * scale
        micro.extra = {layer.index: sum_.astype(np.float32) for layer, sum_ in zip(layers, extra, strict=True)}
        return terms

    def mean_outputs(self, batch: BatchInput, indices: Sequence[int], *, threads: int) -> list[FloatArray]:
        """Run a batch forwards up to the highest of some layers; return their outputs' means over time, [B, N] each."""
        plan = self._plan(self.layers[: max(indices) + 1], batch)
        means = [np.empty((batch.batch, self.layers[index].size), np.float32) for index in indices]
        size = micro_batch_size(plan.width, batch.steps)

        def task(micro: MicroBatch, start: int, stop: int, stem: FloatArray | None) -> None:
            micro.trace = False
            signal = batch.signal(start, stop, micro.workspace) if stem is None else Analog(stem[start:stop, None])
            run = run_layers(plan, signal, micro)
            for index, mean in zip(indices, means, strict=True):
                mean[start:stop] = mean_output(self.layers[index], run[index + 1], micro)

        with single_threaded_blas():
            stem = self._stem(plan, batch, threads)
            self._each(batch, threads, lambda micro, a, b, _: task(micro, a, b, stem), size)
        return means

    def _plan(
        self, layers: Sequence[Layer], batch: BatchInput, *, per_step: bool = False, cut: int | None = None
    ) -> Plan:
        """Plan for a batch and get the layers ready for it."""
        plan = Plan.of(layers, batch.steps, constant=isinstance(batch, ConstantInput), per_step=per_step, cut=cut)
        for layer in layers:
            layer.prepare(batch.batch * batch.steps if plan.begin <= layer.index < plan.end else 0)
        return plan

    def _stem(self, plan: Plan, batch: BatchInput, threads: int) -> FloatArray | None:
        if plan.stem is None:
            return None
        assert isinstance(batch, ConstantInput)
        layer = self.layers[plan.stem]
        assert isinstance(layer, Affine)
        return layer.constant_forward(batch.x, _sharing(threads))

    def _each(
        self,
        batch: BatchInput,
        threads: int,
        task: Callable[[MicroBatch, int, int, int], Result],
        size: int,
        give_up: Callable[[], None] = lambda: None,
    ) -> list[Result]:
        """Run ``task(micro, start, stop, k)`` for every micro-batch of ``size``; return the results in order.

        Workers take the next one, in order, when they are done with one; which worker has which, changes nothing.
        Where a task does not come to its end, ``give_up`` is called.
        """
        ranges = micro_batches(batch.batch, size)
        results: list[Any] = [None] * len(ranges)
        numbers = iter(range(len(ranges)))  # a number goes to one worker: the interpreter gives them out one by one

        def work(_: int) -> None:
            try:
                workspace = self._idle.pop()
            except IndexError:
                workspace = Workspace()
            try:
                for k in numbers:
                    start, stop = ranges[k]
                    results[k] = task(MicroBatch(stop - start, size, batch.steps, workspace), start, stop, k)
            except BaseException:
                give_up()
                raise
            finally:
                self._idle.append(workspace)

        share(work, min(threads, len(ranges)), threads)
        return results


def _sharing(threads: int) -> Callable[[Callable[[int], None], int], None]:
    def run(task: Callable[[int], None], count: int) -> None:
        share(task, count, threads)

    return run


def logit_factor(loss: Loss, layers: Sequence[Layer], steps: int) -> int:
    """Return what a loss wants logits multiplied by: a rate readout's times T are the counts."""
    return steps if loss.needs_counts and getattr(layers[-1], "readout", None) == "rate" else 1
