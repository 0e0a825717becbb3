"""Training over time in segments: recomputation changes nothing but memory, truncation cuts the gradient."""

import itertools
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import images
from oracles import assert_same_bits
from problems import assert_alive, assert_gradients_agree, make_problem
from snnsim import ConfigError, Events, Network
from snnsim.encoders import BatchInput, ConstantInput, EventInput, RateInput
from snnsim.layers.base import SampleKeys
from snnsim.layers.readout import LeakyIntegrators
from snnsim.losses import make_loss
from snnsim.regularizers import Penalties
from snnsim.spec import LossChoice, Segments
from strategies import Problem, problems, spike_trains

Layers = list[Any]
Gradients = dict[str, NDArray[np.float32]]

NEURONS: dict[str, dict[str, Any]] = {
    "lif": {"beta": 0.75, "learn_beta": True},
    "if": {},
    "cuba_lif": {"alpha": 0.5, "beta": 0.75, "learn_alpha": True, "learn_beta": True},
    "alif": {"beta": 0.75, "rho": 0.75, "adaptation": 0.375, "learn_beta": True},
}
RESETS = list(itertools.product(("subtract", "zero", "none"), (False, True), (True, False)))
READOUTS = ("mean", "sum", "max", "last", "count", "rate")
READOUTS_AND_LOSSES = [
    *itertools.product(READOUTS, ("cross_entropy", "step_cross_entropy")),
    ("count", "count_mse"),
    ("rate", "count_mse"),
]
STEPS = 10
LENGTHS = (1, 3, 7, STEPS - 1)
PENALTIES: list[dict[str, Any]] = [
    {"spike_l1": {"weight": 0.1}},
    {"synops": {"weight": 0.02, "budget": 70.0}},
    {"rate_upper": {"weight": 2.0, "max_rate": 0.25}},
    {"rate_lower": {"weight": 2.0, "min_rate": 0.6}},
    {"logit_l2": {"weight": 0.3}},
]


def network_of(kind: str, readout: str = "mean", **options: Any) -> Layers:
    """Return two hidden layers of some neurons, all that can be learned learned, and a readout."""
    neuron = {
        kind: {**NEURONS[kind], "threshold": 0.75, "learn_threshold": True, "surrogate": {"atan": 3.0}, **options}
    }
    layers: Layers = [{"dense": 8}, neuron, {"dense": 7}, neuron, {"dense": 4}]
    if readout in ("count", "rate"):
        return [*layers, {kind: {**NEURONS[kind], "threshold": 0.5, **options, "readout": readout}}]
    end = {"beta": 0.75, "readout": readout}
    return [*layers, {"cuba_li": {**end, "alpha": 0.5}} if kind == "cuba_lif" else {"li": end}]


def assert_close(found: Gradients, expected: Gradients, relative: float = 1e-5) -> None:
    """Assert that gradients agree but for float32's rounding, against their norm."""
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        distance = np.linalg.norm((found[name] - gradient).astype(np.float64))
        # A value that all neurons share has a gradient that may cancel.
        floor = 1e-6 if gradient.ndim == 0 else 1e-12
        assert distance <= relative * np.linalg.norm(gradient.astype(np.float64)) + floor, name


def assert_recomputed(network: Network, x: Any, labels: Any, lengths: tuple[int, ...], **options: Any) -> Gradients:
    """Assert that segments of any length give the same loss to the bit, and the same gradients; return these."""
    loss, gradients = network.loss_and_gradients(x, labels, **options)
    assert np.isfinite(loss)
    for length in lengths:
        again, found = network.loss_and_gradients(x, labels, recompute_every=length, **options)
        assert again == loss
        assert_close(found, gradients)
    return gradients


@pytest.mark.parametrize("recurrent", [False, True], ids=["feedforward", "recurrent"])
@pytest.mark.parametrize("kind", NEURONS)
@pytest.mark.parametrize(("reset", "reset_delay", "detach_reset"), RESETS)
def test_every_neuron(kind: str, recurrent: bool, reset: str, reset_delay: bool, detach_reset: bool) -> None:
    """Every neuron, its learned values and recurrent weights, by every reset, for events and constant currents."""
    options: dict[str, Any] = {"reset": reset, "reset_delay": reset_delay, "detach_reset": detach_reset}
    for coding in ("events", "direct"):
        problem = make_problem(
            network_of(kind, recurrent=recurrent, **options), seed=1, steps=STEPS, input_coding=coding
        )
        lengths = (*LENGTHS, STEPS, STEPS + 2)
        gradients = assert_recomputed(problem.snnsim(), problem.x, problem.y, lengths, input_coding=coding)
        assert all(gradient.any() for gradient in gradients.values())


@pytest.mark.parametrize(
    "surrogate", [{"triangle": 0.5}, {"boxcar": 0.25}, "fast_sigmoid", "straight_through"], ids=str
)
@pytest.mark.parametrize("kind", NEURONS)
def test_every_kind_of_surrogate(kind: str, surrogate: Any) -> None:
    """Surrogates of compact and of unlimited support, recomputed and cut."""
    problem = make_problem(network_of(kind, recurrent=True, surrogate=surrogate), seed=1)
    assert_recomputed(problem.snnsim(), problem.x, problem.y, (1, 2, 3))
    for length in (1, 2, 3):
        assert_gradients_agree(problem.with_(truncate_every=length))


@pytest.mark.parametrize(("readout", "loss"), READOUTS_AND_LOSSES)
@pytest.mark.parametrize("coding", ["events", "direct"])
def test_every_readout_and_loss(coding: str, readout: str, loss: str) -> None:
    """Every readout with every loss that it takes, and every penalty."""
    problem = make_problem(network_of("lif", readout), seed=2, steps=STEPS, batch=20, input_coding=coding)
    options: dict[str, Any] = {"loss": loss, "regularizers": PENALTIES, "input_coding": coding}
    assert_recomputed(problem.snnsim(), problem.x, problem.y, LENGTHS, **options)


@settings(max_examples=100)
@given(problem=problems(), length=st.sampled_from([1, 2, 3, 5, 9]), data=st.data())
def test_any_network(problem: Problem, length: int, data: st.DataObject) -> None:
    """Layers in any order, silent and saturated ones, dropout, binary, graded and constant input."""
    network = problem.network()
    options: dict[str, Any] = {
        "loss": data.draw(st.sampled_from(["cross_entropy", "step_cross_entropy"])),
        "regularizers": data.draw(st.lists(st.sampled_from(PENALTIES), max_size=2)),
        "epoch": 3,
        **problem.options,
    }
    labels = np.arange(problem.batch) % network.classes
    assert_recomputed(network, problem.input, labels, (length,), **options)


@settings(max_examples=60)
@given(problem=images.image_problems(), length=st.integers(1, 3))
def test_any_network_over_images(problem: Problem, length: int) -> None:
    """Convolutions and pools of every geometry."""
    network = problem.network()
    labels = np.arange(problem.batch) % network.classes
    assert_recomputed(network, problem.input, labels, (length,), **problem.options)


@pytest.mark.parametrize("recurrent", [False, True], ids=["feedforward", "recurrent"])
@pytest.mark.parametrize("kind", NEURONS)
@pytest.mark.parametrize(("reset", "reset_delay", "detach_reset"), RESETS)
def test_truncation(kind: str, recurrent: bool, reset: str, reset_delay: bool, detach_reset: bool) -> None:
    """The gradient is the reference's that treats what every neuron carries over a border as a constant."""
    options: dict[str, Any] = {"reset": reset, "reset_delay": reset_delay, "detach_reset": detach_reset}
    for coding, length in (("events", 2), ("direct", 3), ("events", 1)):
        problem = make_problem(
            network_of(kind, recurrent=recurrent, **options), seed=1, input_coding=coding, truncate_every=length
        )
        assert_alive(*assert_gradients_agree(problem))


@pytest.mark.parametrize("loss", ["cross_entropy", "step_cross_entropy"])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("coding", ["events", "direct"])
def test_truncation_at_the_readout(coding: str, readout: str, loss: str) -> None:
    """A leaky integrator's membrane is cut as every other state, also where only its weighted sum is computed."""
    penalties = PENALTIES[2:]
    for length in (1, 2, 3, 4):
        problem = make_problem(network_of("lif", readout), seed=2, loss={loss: {}}, input_coding=coding)
        assert_gradients_agree(problem.with_(truncate_every=length, regularizers=penalties))


@pytest.mark.parametrize("readout", ["mean", "sum", "last", "max"])
@pytest.mark.parametrize("coding", ["events", "direct"])
@pytest.mark.parametrize(
    "before", [[], [{"dense": 6}], [{"dense": 6}, "relu"], [{"dense": 6}, {"dropout": 0.5}, {"dense": 5}]], ids=str
)
def test_segments_without_firing_neurons(before: Layers, coding: str, readout: str) -> None:
    """Where nothing fires only the readout carries something: recomputed as before, cut as in the reference."""
    network = [*before, {"dense": 4}, {"li": {"beta": 0.5, "readout": readout}}]
    problem = make_problem(network, seed=3, input_coding=coding, batch=6)
    for length in (1, 2, 3):
        assert_gradients_agree(problem.with_(recompute_every=length))
        assert_gradients_agree(problem.with_(truncate_every=length))


@settings(max_examples=60)
@given(problem=images.image_problems(), length=st.integers(1, 3))
def test_truncation_over_images(problem: Problem, length: int) -> None:
    """Convolutions and pools have no state to cut, but pass on what is left."""
    assert_gradients_agree(images.training(problem).with_(truncate_every=length))


def test_truncation_changes_gradients_and_nothing_else() -> None:
    """The loss stays to the bit, gradients of early layers do not; from T steps on, nothing changes at all."""
    problem = make_problem(network_of("lif"), seed=1, steps=STEPS)
    network = problem.snnsim()
    loss, whole = network.loss_and_gradients(problem.x, problem.y)
    cut_loss, cut = network.loss_and_gradients(problem.x, problem.y, truncate_every=2)
    assert cut_loss == loss
    assert np.linalg.norm(cut["0.weight"] - whole["0.weight"]) > 0.1 * np.linalg.norm(whole["0.weight"])
    for length in (STEPS, STEPS + 5):
        same_loss, same = network.loss_and_gradients(problem.x, problem.y, truncate_every=length)
        assert same_loss == loss
        for name, gradient in whole.items():
            assert_same_bits(same[name], gradient)


@pytest.mark.parametrize("readout", ["mean", "sum", "last"])
@pytest.mark.parametrize("cut", [1, 3, 4, 10, 12])
def test_weights_of_a_cut_readout(readout: str, cut: int) -> None:
    """They are what backpropagation through the membrane leaves between the borders."""
    steps, beta = 10, 0.75
    weights = LeakyIntegrators(0, (2,), beta, readout).step_weights(steps, cut)
    assert weights is not None
    expected = np.zeros(steps)
    for t in range(steps):
        end = min((t // cut + 1) * cut, steps)
        powers = beta ** np.arange(end - t)
        if readout == "last":
            expected[t] = powers[-1] if end == steps else 0
        else:
            expected[t] = powers.sum() / (steps if readout == "mean" else 1)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


@pytest.mark.parametrize("asked", [{"recompute_every": 4}, {"truncate_every": 4}], ids=str)
@pytest.mark.parametrize("coding", ["events", "direct"])
def test_threads_change_no_bit(coding: str, asked: dict[str, int]) -> None:
    """Nor does who else is in the batch change a sample's part of the loss."""
    kind = network_of("alif", recurrent=True)
    problem = make_problem([*kind[:2], {"dropout": 0.25}, *kind[2:]], seed=1, steps=11, batch=70, input_coding=coding)
    network = problem.snnsim()

    def run(rows: slice, threads: int) -> tuple[float, Gradients]:
        samples = np.arange(70)[rows]
        options: dict[str, Any] = {"input_coding": coding, "samples": samples, "threads": threads, **asked}
        return network.loss_and_gradients(problem.x[:, rows], problem.y[rows], **options)

    loss, gradients = run(slice(None), 1)
    again, others = run(slice(None), 2)
    assert again == loss
    for name, gradient in gradients.items():
        assert_same_bits(others[name], gradient)
    assert np.mean([run(slice(b, b + 1), 1)[0] for b in range(70)]) == pytest.approx(loss, rel=1e-12)


def test_the_callers_input_stays_as_it_is() -> None:
    """Constant input that drives neurons without weights is not overwritten from segment to segment."""
    network = Network.from_config([{"lif": {"threshold": 0.5}}, {"dense": 2}, "li"], input_shape=(3,))
    x = np.random.default_rng(0).random((1, 4, 3), np.float32)
    before = x.copy()
    for length in (1, 2):
        options: dict[str, Any] = {"input_coding": "direct", "num_steps": 5, "recompute_every": length}
        network.loss_and_gradients(x, [0, 1, 0, 1], **options)
        assert_same_bits(x, before)


def test_an_ann_ignores_segments() -> None:
    """It has no time."""
    network = Network.from_config([{"dense": 4}, "relu", {"dense": 2}], input_shape=(3,))
    x = np.random.default_rng(0).random((6, 4, 3)) < 0.5
    assert_recomputed(network, x, [0, 1, 0, 1], (1, 2))


@pytest.mark.parametrize("value", [0, -1, 1.5, "4", True])
@pytest.mark.parametrize("key", ["recompute_every", "truncate_every"])
def test_lengths_that_are_none(key: str, value: object) -> None:
    """A length is a whole number of steps."""
    network = Network.from_config([{"dense": 2}, "li"], input_shape=(3,))
    with pytest.raises(ConfigError, match=key):
        network.loss_and_gradients(np.ones((4, 1, 3)), [0], **{key: value})  # type: ignore[arg-type]


def test_two_lengths_that_differ() -> None:
    """Truncation has segments of its own; another length beside it is an error that says so."""
    network = Network.from_config([{"dense": 2}, "li"], input_shape=(3,))
    with pytest.raises(ConfigError, match=r"truncate_every: must be the same as recompute_every, 2.*\(got 4\)"):
        network.loss_and_gradients(np.ones((4, 1, 3)), [0], recompute_every=2, truncate_every=4)
    network.loss_and_gradients(np.ones((4, 1, 3)), [0], recompute_every=2, truncate_every=2)


def long_batch(coding: str, steps: int, inputs: int) -> BatchInput:
    rng = np.random.default_rng(0)
    keys = SampleKeys(0, 1, np.arange(2))
    if coding == "direct":
        return ConstantInput(rng.random((2, inputs), np.float32), steps, keys)
    if coding == "rate":
        return RateInput(rng.random((2, inputs), np.float32), steps, 0.05, keys, (inputs,))
    return EventInput(Events.from_dense(spike_trains(rng, (steps, 2, inputs), 0.02, graded=False)), keys)


@pytest.mark.parametrize("coding", ["events", "direct", "rate"])
def test_peak_memory_of_a_long_sequence(coding: str) -> None:
    """Segments of 64 of 4000 steps take less than a fifth of the memory, for the same loss to the bit."""
    steps, inputs, hidden = 4000, 32, 128
    batch = long_batch(coding, steps, inputs)
    layers: Layers = [{"dense": hidden}, "lif", {"dense": hidden}, "lif", {"dense": 4}, "li"]
    labels = np.arange(2)
    loss = make_loss(LossChoice.of("cross_entropy"))
    peaks: list[int] = []
    results: list[tuple[float, Gradients]] = []
    for segments in (Segments(), Segments(), Segments(recompute_every=64)):
        network = Network.from_config(layers, input_shape=(inputs,), seed=1)
        for name in ("0.weight", "2.weight"):
            network.parameters[name][...] *= 4
        tracemalloc.start()
        try:
            step = network.train_step(batch, labels, loss, Penalties(), threads=1, segments=segments)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert step.spikes > 10_000
        results.append((step.loss, dict(step.gradients)))
    _, whole, recomputed = peaks  # the first one compiled
    assert recomputed < whole / 5, peaks
    assert results[2][0] == results[1][0]
    assert_close(results[2][1], results[1][1], 5e-5)  # sums of 4000 steps in float32
