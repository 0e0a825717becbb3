"""What a network's forward and backward pass have to do, by exact counters: additions, multiply-adds, bytes.

Nothing of it depends on how snnsim does it; where events or a product may be taken, the cheaper one counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from machine import Rates

from snnsim.accounting import RunCounts
from snnsim.layers.base import Affine, Layer
from snnsim.layers.neurons import FiringNeurons
from snnsim.layers.simple import Flatten
from snnsim.passes import Plan

NUMBER = 4  # bytes
ADAM = 7 * NUMBER  # reads a weight, its gradient and two moments, writes all but the gradient


@dataclass(frozen=True)
class Work:
    """How much there is to do; ``memory`` bytes do not lie in a core's cache."""

    additions: float = 0.0
    multiply_adds: float = 0.0
    bytes: float = 0.0
    memory: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.additions + other.additions,
            self.multiply_adds + other.multiply_adds,
            self.bytes + other.bytes,
            self.memory + other.memory,
        )

    def over(self, count: int) -> "Work":
        """Return one of so many equal parts."""
        return Work(self.additions / count, self.multiply_adds / count, self.bytes / count, self.memory / count)

    def seconds(self, rates: Rates) -> float:
        """Return how long it takes at given rates, one after another."""
        return (
            self.additions / rates.additions
            + self.multiply_adds / rates.multiply_adds
            + self.bytes / rates.cached_bytes
            + self.memory / rates.memory_bytes
        )


Needed = dict[tuple[str, str], Work]


def needed(plan: Plan, counts: RunCounts, batches: int, rates: Rates, *, training: bool) -> Needed:
    """Return the work of a mean batch by layer's title and phase (forward, backward, update).

    Parameters
    ----------
    plan
        Of the network, for this input.
    counts
        Of one pass over all batches.
    batches
        How many these are.
    rates
        Decide between events and product.
    """
    found: Needed = {}
    for layer in plan.layers:
        for phase, ways in _of_layer(plan, layer, counts, training=training):
            cheapest = min(ways, key=lambda work: work.seconds(rates))
            key = (layer.title, phase)
            found[key] = found.get(key, Work()) + cheapest.over(batches)
    if training:
        parameters = sum(array.size for layer in plan.layers for array in layer.parameters.values())
        found["optimizer", "update"] = Work(memory=ADAM * parameters)
    return found


def _of_layer(plan: Plan, layer: Layer, counts: RunCounts, *, training: bool) -> Iterator[tuple[str, tuple[Work, ...]]]:
    if isinstance(layer, Affine):
        yield from _of_weights(plan, layer, counts, training=training)
    elif isinstance(layer, FiringNeurons):
        yield from _of_neurons(plan, layer, counts, training=training)
    elif not isinstance(layer, Flatten) and layer.index < plan.end:
        yield from _between(plan, layer, counts, training=training)


def _of_weights(
    plan: Plan, layer: Affine, counts: RunCounts, *, training: bool
) -> Iterator[tuple[str, tuple[Work, ...]]]:
    """Currents; the weights' gradient, as many operations; and the input's gradient, a product."""
    own = counts[layer.index].totals()
    times = plan.steps if layer.index == plan.stem else 1
    by_events = Work(additions=own["synops_structural"] / times)
    by_product = Work(multiply_adds=own["macs_dense"] / times)
    if layer is plan.weighted:
        by_product = Work(multiply_adds=own["macs_dense"] / plan.steps)
        yield "forward", (Work(additions=_events_into(plan, layer, counts)) + by_product,)
    else:
        yield "forward", (by_events, by_product)
    if training:
        yield "backward", (by_product,) if layer is plan.weighted else (by_events, by_product)
        if layer.index > plan.lowest and layer.index != plan.stem:
            yield "backward", (by_product,)


def _of_neurons(
    plan: Plan, layer: FiringNeurons, counts: RunCounts, *, training: bool
) -> Iterator[tuple[str, tuple[Work, ...]]]:
    """States read and written at each step; currents read, membranes kept for the way back."""
    own = counts[layer.index].totals()
    updates, state = own["neuron_updates"], 2 * NUMBER
    same_current = layer.index == plan.begin and plan.stem is not None
    per_update = state + NUMBER * ((not same_current) + training)
    yield "forward", (Work(bytes=per_update * updates + NUMBER * own["spikes"]),)
    recurrent = (Work(additions=own["synops_recurrent"]), Work(multiply_adds=own["macs_dense"]))
    if layer.firing.recurrent:
        yield "forward", recurrent
    if training:
        # The gradient that comes from a linear readout is the same at every step but for a factor.
        same_gradient = plan.weighted is not None and layer.index == _last_with_state(plan)
        per_update = state + NUMBER * (1 + (not same_gradient) + (not same_current))
        yield "backward", (Work(bytes=per_update * updates),)
        if layer.firing.recurrent:
            yield "backward", recurrent
            yield "backward", (Work(multiply_adds=own["macs_dense"]),)


def _between(plan: Plan, layer: Layer, counts: RunCounts, *, training: bool) -> Iterator[tuple[str, tuple[Work, ...]]]:
    """Pools and the like: events are read, index and value written; gradients are read and written."""
    yield "forward", (Work(bytes=3 * NUMBER * _events_into(plan, layer, counts)),)
    if training:
        samples = counts.input.events.size
        steps = 1 if plan.weighted is not None and layer.index > _last_with_state(plan) else plan.steps
        inputs = plan.layers[layer.index - 1].size
        yield "backward", (Work(bytes=NUMBER * samples * steps * (inputs + layer.size)),)


def _last_with_state(plan: Plan) -> int:
    return max(layer.index for layer in plan.layers[: plan.end] if isinstance(layer, FiringNeurons))


def _events_into(plan: Plan, layer: Layer, counts: RunCounts) -> int:
    """Return the events that come in; through a pool at most as many go out."""
    below = [k.index for k in plan.layers[: layer.index] if isinstance(k, FiringNeurons)]
    return int((counts[below[-1]].spikes if below else counts.input.events).sum())
