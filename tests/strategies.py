"""Hypothesis strategies: weights whose sums are exact, small networks of the network language, and spike trains."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from snnsim import Events, Network
from snnsim.encoders import BatchInput, ConstantInput, EventInput

FloatArray = NDArray[np.float32]

LEARNED = (".beta", ".alpha", ".threshold")

seeds = st.integers(0, 2**32 - 1)

# How many of a train's places hold an event: nothing, a single few, the usual, nearly all, all.
densities = st.sampled_from([0.0, 0.05, 0.3, 0.9, 1.0])


def exact_values(rng: np.random.Generator, shape: tuple[int, ...], largest: float = 0.5) -> FloatArray:
    """Draw multiples of 1/256, a fifth of them zero: float32 sums of thousands of them are exact in any order."""
    most = int(largest * 256)
    values = rng.integers(-most, most + 1, shape) / 256
    return np.where(rng.random(shape) < 0.2, 0, values).astype(np.float32)


def spike_trains(rng: np.random.Generator, shape: tuple[int, ...], density: float, *, graded: bool) -> FloatArray:
    """Draw a dense array of events; graded ones are multiples of 1/4, never 0 and not all 1."""
    sizes = rng.choice([-1.5, -0.25, 0.5, 1, 2.25], shape) if graded else np.ones(shape)
    return np.where(rng.random(shape) < density, sizes, 0).astype(np.float32)


@st.composite
def dense_events(draw: st.DrawFn, *, graded: bool | None = None) -> FloatArray:
    """Draw a dense array of events [T, B, ...], of one or two axes per sample."""
    shape = draw(st.tuples(st.integers(1, 7), st.integers(1, 5)))
    sample = draw(st.one_of(st.tuples(st.integers(1, 20)), st.tuples(st.integers(1, 4), st.integers(1, 5))))
    graded = draw(st.booleans()) if graded is None else graded
    return spike_trains(np.random.default_rng(draw(seeds)), (*shape, *sample), draw(densities), graded=graded)


@dataclass(frozen=True, eq=False)
class Problem:
    """A network and a batch for it.

    ``x`` is [T, B, ...] for events, [1, B, ...] for direct coding; ``options`` are the other arguments of
    `Network.run` that say what ``x`` is.
    """

    layers: list[Any]
    input_shape: tuple[int, ...]
    x: FloatArray
    steps: int
    coding: str
    seed: int
    exact: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def batch(self) -> int:
        return int(self.x.shape[1])

    @property
    def input(self) -> "Events | FloatArray":
        """The batch as `Network.run` takes it; events as `Events`, so that a part of a batch keeps their kind."""
        return Events.from_dense(self.x) if self.coding == "events" else self.x

    @property
    def encoded(self) -> BatchInput:
        """The batch as `Network.evaluate_batch` takes it."""
        if isinstance(self.input, Events):
            return EventInput(self.input)
        return ConstantInput(np.ascontiguousarray(self.x[0].reshape(self.batch, -1)), self.steps)

    def network(self) -> Network:
        """Build the network, with weights that are multiples of 1/256 where ``exact``."""
        network = Network.from_config(self.layers, input_shape=self.input_shape, seed=self.seed % 1000)
        if self.exact:
            rng = np.random.default_rng(self.seed)
            for name, parameter in network.parameters.items():
                if not name.endswith(LEARNED):  # these keep the values of their options
                    parameter[...] = exact_values(rng, parameter.shape)
        return network


@st.composite
def firing_layers(draw: st.DrawFn, size: int, readout: str | None = None) -> dict[str, Any]:
    """Draw a layer of firing neurons, with every option, silent and saturated ones among them."""
    options: dict[str, Any] = {
        "threshold": draw(st.sampled_from([1 / 256, 0.25, 0.5, 1.0, 1e6])),
        "reset": draw(st.sampled_from(["subtract", "zero", "none"])),
        "reset_delay": draw(st.booleans()),
        "spike_at": draw(st.sampled_from([">", ">="])),
        "recurrent": draw(st.booleans()),
        "learn_threshold": draw(st.booleans()),
    }
    if draw(st.booleans()):
        options["threshold"] = [0.25 + k / 8 for k in range(size)]
    if readout is not None:
        options["readout"] = readout
    name = draw(st.sampled_from(["lif", "if", "cuba_lif", "alif"]))
    decays: list[Any] = [0.0, 0.5, 0.9, 1.0, [k / size for k in range(size)]]
    if name != "if":
        options |= {"beta": draw(st.sampled_from(decays)), "learn_beta": draw(st.booleans())}
    if name == "cuba_lif":
        options |= {"alpha": draw(st.sampled_from(decays)), "learn_alpha": draw(st.booleans())}
    if name == "alif":
        adaptations: list[Any] = [0.0, 0.1, 2.0, [k / 8 for k in range(size)]]
        options |= {"rho": draw(st.sampled_from(decays)), "adaptation": draw(st.sampled_from(adaptations))}
    return {name: options}


@st.composite
def dense_layers(draw: st.DrawFn, size: int) -> dict[str, Any]:
    """Draw a dense layer, with and without a bias."""
    return {"dense": {"out": size, "bias": draw(st.booleans())}}


@st.composite
def spiking_layers(draw: st.DrawFn, inputs: int) -> list[Any]:
    """Draw a spiking network with up to two hidden layers and any readout; the input may drive neurons directly."""
    layers: list[Any] = ["flatten"] if draw(st.booleans()) else []
    if draw(st.integers(0, 3)) == 0:
        layers.append(draw(firing_layers(inputs)))
    for size in draw(st.lists(st.sampled_from([1, 3, 8, 13]), max_size=2)):
        layers += [draw(dense_layers(size)), draw(firing_layers(size))]
        if draw(st.booleans()):
            layers.append({"dropout": 0.5})
    classes = draw(st.integers(1, 4))
    layers.append(draw(dense_layers(classes)))
    readout = draw(st.sampled_from(["mean", "sum", "max", "last", "count", "rate"]))
    if readout in ("count", "rate"):
        layers.append(draw(firing_layers(classes, readout)))
    else:
        options = {"beta": draw(st.sampled_from([0.0, 0.9, 1.0])), "readout": readout}
        synapse = draw(st.sampled_from([None, None, 0.0, 0.75]))
        layers.append({"li": options} if synapse is None else {"cuba_li": {**options, "alpha": synapse}})
    return layers


@st.composite
def ann_layers(draw: st.DrawFn) -> list[Any]:
    """Draw an ANN with up to two hidden layers."""
    layers: list[Any] = []
    for size in draw(st.lists(st.sampled_from([1, 3, 8, 13]), max_size=2)):
        layers += [draw(dense_layers(size)), "relu"]
    return [*layers, draw(dense_layers(draw(st.integers(1, 4))))]


@st.composite
def problems(draw: st.DrawFn, *, ann: bool = False, coding: str | None = None) -> Problem:
    """Draw a network with exact weights, and binary, graded or analog input for it."""
    input_shape = draw(st.sampled_from([(1,), (7,), (17,), (2, 3), (1, 4, 4)]))
    layers = draw(ann_layers() if ann else spiking_layers(int(np.prod(input_shape))))
    steps, batch, seed = draw(st.integers(1, 6)), draw(st.integers(1, 5)), draw(seeds)
    rng = np.random.default_rng(seed)
    kind = draw(st.sampled_from(["binary", "graded", "direct"])) if coding is None else coding
    density = draw(densities)
    if kind == "direct":
        x = spike_trains(rng, (1, batch, *input_shape), density, graded=True)
        options: dict[str, Any] = {"input_coding": "direct", "num_steps": steps}
        return Problem(layers, input_shape, x, steps, "direct", seed, options=options)
    x = spike_trains(rng, (steps, batch, *input_shape), density, graded=kind == "graded")
    return Problem(layers, input_shape, x, steps, "events", seed)
