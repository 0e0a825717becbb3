"""Gradients against the reference's backpropagation through time, in float64 and by hand."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from problems import Problem, assert_alive, assert_gradients_agree, make_problem
from reference import backward as by_hand
from reference.surrogates import derivative
from snnsim import surrogates

Layer = dict[str, Any]

SURROGATES = ("fast_sigmoid", "superspike", "atan", "sigmoid", "triangle", "boxcar", "straight_through")
RESETS = list(itertools.product(("subtract", "zero", "none"), (False, True), (">", ">="), (True, False)))
LI_READOUTS = ("mean", "sum", "max", "last")
CROSS_ENTROPIES: list[dict[str, Any]] = [
    {"cross_entropy": {}},
    {"cross_entropy": {"label_smoothing": 0.2}},
    {"step_cross_entropy": {}},
    {"step_cross_entropy": {"label_smoothing": 0.2}},
]
MSE: list[dict[str, Any]] = [{"mse": {}}, {"mse": {"correct": 2.0, "incorrect": -0.5}}]
FIRST_SPIKE: dict[str, Any] = {"first_spike_cross_entropy": {"tau": 3.0}}
COUNT_MSE: dict[str, Any] = {"count_mse": {"correct": 0.8, "incorrect": 0.1}}
REGULARIZERS: list[dict[str, Any]] = [
    {"spike_l1": {"weight": 0.1}},
    {"synops": {"weight": 0.02}},
    {"synops": {"weight": 0.02, "budget": 70.0}},
    {"rate_upper": {"weight": 2.0, "max_rate": 0.25}},
    {"rate_lower": {"weight": 2.0, "min_rate": 0.6}},
    {"logit_l2": {"weight": 0.3}},
]


def lif(**options: Any) -> Layer:
    return {"lif": {"beta": 0.75, "threshold": 0.75, **options}}


def cuba(**options: Any) -> Layer:
    return {"cuba_lif": {"alpha": 0.5, "beta": 0.75, "threshold": 0.75, **options}}


def alif(**options: Any) -> Layer:
    return {"alif": {"beta": 0.75, "rho": 0.75, "adaptation": 0.375, "threshold": 0.75, **options}}


KINDS = {"lif": lif, "cuba_lif": cuba, "alif": alif}
LEARN: dict[str, Any] = {"learn_beta": True, "learn_threshold": True}


def learning(kind: str) -> dict[str, Any]:
    """Return the options of a layer whose every value is learned."""
    return LEARN | ({"learn_alpha": True} if kind == "cuba_lif" else {})


def two_hidden(end: Layer | None = None, **options: Any) -> list[Layer]:
    """Return dense, LIF, dense, LIF, dense and an end."""
    return [{"dense": 8}, lif(**options), {"dense": 7}, lif(**options), {"dense": 4}, end or {"li": {"beta": 0.75}}]


def two_hidden_of(neuron: Layer) -> list[Layer]:
    """Return dense, some neurons, dense, the same neurons, dense and leaky integrators."""
    return [{"dense": 8}, neuron, {"dense": 7}, neuron, {"dense": 4}, {"li": {"beta": 0.75}}]


def options_of(problem: Problem, index: int) -> dict[str, Any]:
    layer = problem.network[index]
    assert isinstance(layer, dict)
    ((_, options),) = layer.items()
    return dict(options)


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize(("reset", "reset_delay", "spike_at", "detach_reset"), RESETS)
def test_every_neuron(surrogate: str, reset: str, reset_delay: bool, spike_at: str, detach_reset: bool) -> None:
    """Each surrogate with each reset, delay, spike test and detachment has the reference's gradients."""
    network = two_hidden(
        surrogate=surrogate, reset=reset, reset_delay=reset_delay, spike_at=spike_at, detach_reset=detach_reset
    )
    for seed in (1, 2):
        assert_alive(*assert_gradients_agree(make_problem(network, seed=seed)))


@pytest.mark.parametrize("recurrent", [False, True], ids=["feedforward", "recurrent"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("reset", "reset_delay", "spike_at", "detach_reset"), RESETS)
def test_every_neuron_with_learned_values(
    kind: str, recurrent: bool, reset: str, reset_delay: bool, spike_at: str, detach_reset: bool
) -> None:
    """Current-based, adaptive and recurrent neurons, their decays, thresholds and recurrent weights, by every reset."""
    options = {"reset": reset, "reset_delay": reset_delay, "spike_at": spike_at, "detach_reset": detach_reset}
    neuron = KINDS[kind](recurrent=recurrent, surrogate={"atan": 3.0}, **options, **learning(kind))
    network = two_hidden_of(neuron)
    for seed, input_coding in ((1, "events"), (2, "direct")):
        assert_alive(*assert_gradients_agree(make_problem(network, seed=seed, input_coding=input_coding)))


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_surrogate_with_feedback(kind: str, surrogate: str) -> None:
    """Every surrogate carries gradients through recurrent weights, adaptation and synaptic current."""
    network = two_hidden_of(KINDS[kind](recurrent=True, detach_reset=False, surrogate=surrogate, **learning(kind)))
    assert_alive(*assert_gradients_agree(make_problem(network, seed=1)))


@pytest.mark.parametrize("kind", KINDS)
def test_one_value_or_one_per_neuron(kind: str) -> None:
    """Values that start equal have gradients that add up to that of the one value they could share."""
    one = make_problem(two_hidden_of(KINDS[kind](**learning(kind))), seed=3, batch=9)
    listed = {key: [value] * 7 if not key.startswith("learn") else value for key, value in options_of(one, 3).items()}
    each = make_problem([*one.network[:3], {kind: listed}, *one.network[4:]], seed=3, batch=9)
    _, shared = assert_gradients_agree(one)
    _, per_neuron = assert_gradients_agree(each)
    for key in ("beta", "alpha", "threshold")[:: 1 if kind == "cuba_lif" else 2]:
        assert shared[f"3.{key}"].shape == ()
        assert per_neuron[f"3.{key}"].shape == (7,)
        assert np.count_nonzero(per_neuron[f"3.{key}"]) > 1
        assert per_neuron[f"3.{key}"].sum() == pytest.approx(float(shared[f"3.{key}"]), rel=1e-9)


@pytest.mark.parametrize("input_coding", ["events", "direct"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("before", [[], ["flatten"], [{"dropout": 0.5}]], ids=str)
def test_neurons_that_the_input_drives_without_weights(kind: str, before: list[Any], input_coding: str) -> None:
    """Below the first dense layer too, learned values and recurrent weights have their gradients."""
    neuron = KINDS[kind](recurrent=True, detach_reset=False, **learning(kind))
    problem = make_problem([*before, neuron, {"dense": 4}, {"li": {"beta": 0.75}}], seed=4, input_coding=input_coding)
    assert_alive(*assert_gradients_agree(problem))


@pytest.mark.parametrize("change", [{"recurrent": True}, {"adaptation": 0.0}, {"rho": 0.0}, {"alpha": 0.0}], ids=str)
def test_feedback_changes_the_gradient(change: dict[str, Any]) -> None:
    """The cases above have something to see: recurrent weights, adaptation and synaptic current each matter."""
    neuron = cuba() if "alpha" in change else alif()
    ((name, options),) = neuron.items()
    _, with_ = assert_gradients_agree(make_problem(two_hidden_of(neuron), seed=1))
    _, without = assert_gradients_agree(make_problem(two_hidden_of({name: options | change}), seed=1))
    assert np.abs(with_["0.weight"] - without["0.weight"]).max() > 0.01 * np.abs(with_["0.weight"]).max()


@pytest.mark.parametrize(
    "surrogate", [*SURROGATES, {"atan": 5.0}, {"sigmoid": {"slope": 4.0}}, {"boxcar": 0.1}], ids=str
)
def test_surrogates_to_their_last_digits(surrogate: str | dict[str, Any]) -> None:
    """Near the threshold and far from it, h is right relative to itself: silent layers learn by its tail."""
    x = np.arange(-640, 641) / 256
    found = surrogates.derivative(surrogate, x)
    np.testing.assert_allclose(found, derivative(surrogate, x), rtol=2e-5, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_a_detached_reset_changes_the_gradient(reset: str, seed: int) -> None:
    """The cases above differ: with the gradient through the reset, the first layer's is another one."""
    detached, attached = (
        assert_gradients_agree(make_problem(two_hidden(reset=reset, detach_reset=choice), seed=seed))[1]
        for choice in (True, False)
    )
    assert np.abs(detached["0.weight"] - attached["0.weight"]).max() > 0.01 * np.abs(detached["0.weight"]).max()


@pytest.mark.parametrize(("reset", "reset_delay", "spike_at", "detach_reset"), RESETS)
def test_membranes_at_the_threshold(reset: str, reset_delay: bool, spike_at: str, detach_reset: bool) -> None:
    """Where membranes meet the threshold exactly, both take the same side, forwards and back, and the tests differ."""
    neuron = lif(
        beta=0.5,
        threshold=1.0,
        reset=reset,
        reset_delay=reset_delay,
        spike_at=spike_at,
        detach_reset=detach_reset,
    )
    network: list[Layer] = [{"dense": 4}, neuron, {"dense": 3}, {"li": {}}]
    problem = make_problem(network, steps=3, batch=6)
    weight = np.full((4, 9), 0.25, np.float32)
    parameters = {**problem.parameters, "0.weight": weight, "0.bias": np.zeros(4, np.float32)}
    trace, gradients = assert_gradients_agree(problem.with_(parameters=parameters))
    assert_alive(trace, gradients)
    at_threshold = trace.membrane[1] == 1
    assert at_threshold[:-1].any()
    assert (trace.spikes[1][at_threshold] == (spike_at == ">=")).all()


@st.composite
def neurons(draw: st.DrawFn, size: int) -> Layer:
    """Draw a firing layer of some size, its values shared or one per neuron, fixed or learned."""

    def values(multiples: st.SearchStrategy[float]) -> float | list[float]:
        return draw(multiples | st.lists(multiples, min_size=size, max_size=size))

    name = draw(st.sampled_from(("lif", "if", "cuba_lif", "alif")))
    quarter = st.integers(0, 4).map(lambda k: k / 4)
    options: dict[str, Any] = {
        "threshold": values(st.integers(64, 320).map(lambda k: k / 256)),
        "reset": draw(st.sampled_from(("subtract", "zero", "none"))),
        "reset_delay": draw(st.booleans()),
        "spike_at": draw(st.sampled_from((">", ">="))),
        "detach_reset": draw(st.booleans()),
        "surrogate": draw(st.sampled_from(SURROGATES)),
        "learn_threshold": draw(st.booleans()),
        "recurrent": draw(st.booleans()),
    }
    if name != "if":
        options |= {"beta": values(quarter), "learn_beta": draw(st.booleans())}
    if name == "cuba_lif":
        options |= {"alpha": values(quarter), "learn_alpha": draw(st.booleans())}
    if name == "alif":
        options |= {"rho": values(quarter), "adaptation": values(st.integers(0, 32).map(lambda k: k / 16))}
    return {name: options}


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Draw a network of one to three hidden layers, any end, any sizes, and a batch."""
    inputs = draw(st.integers(1, 10))
    network: list[Layer] = [draw(neurons(inputs))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3 - len(network)))):
        size = draw(st.integers(1, 12))
        network += [{"dense": {"out": size, "bias": draw(st.booleans())}}, draw(neurons(size))]
    classes = draw(st.integers(2, 5))
    beta = st.integers(0, 4).map(lambda k: k / 4)
    ends = st.sampled_from(LI_READOUTS).flatmap(
        lambda readout: st.fixed_dictionaries(
            {
                "beta": beta | st.lists(beta, min_size=classes, max_size=classes),
                "readout": st.just(readout),
            }
        )
    )
    network += [{"dense": classes}, {"li": draw(ends)}]
    return make_problem(
        network,
        seed=draw(st.integers(0, 2**20)),
        steps=draw(st.integers(1, 5)),
        batch=draw(st.integers(1, 6)),
        inputs=inputs,
        drive=draw(st.sampled_from((0.25, 1.0, 2.0))),
        loss=draw(st.sampled_from(CROSS_ENTROPIES + MSE)),
        regularizers=draw(st.lists(st.sampled_from(REGULARIZERS), max_size=2)),
        input_coding=draw(st.sampled_from(("events", "direct"))),
    )


@settings(max_examples=150)
@given(problem=problems())
def test_any_small_network(problem: Problem) -> None:
    """Any network of firing layers, recurrent or not, values shared or per neuron, has the reference's gradients."""
    assert_gradients_agree(problem)


@pytest.mark.parametrize(("steps", "batch"), [(1, 1), (1, 5), (5, 1), (5, 70)])
@pytest.mark.parametrize("input_coding", ["events", "direct"])
def test_steps_and_batches(input_coding: str, steps: int, batch: int) -> None:
    """One step, one sample, and a batch of several micro-batches."""
    network = two_hidden(detach_reset=False)
    problem = make_problem(network, seed=4, steps=steps, batch=batch, drive=2.0, input_coding=input_coding)
    assert_alive(*assert_gradients_agree(problem))


@pytest.mark.parametrize("kind", KINDS)
def test_batches_of_several_micro_batches_with_feedback(kind: str) -> None:
    """Gradients of learned values and recurrent weights add up over the micro-batches that one worker carries."""
    network = two_hidden_of(KINDS[kind](recurrent=True, **learning(kind)))
    assert_alive(*assert_gradients_agree(make_problem(network, seed=4, batch=70)))


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_a_silent_layer(surrogate: str) -> None:
    """Nothing fires: what follows gets no weight gradient; what precedes, as much as the surrogate reaches."""
    network = [{"dense": 8}, lif(threshold=16.0, surrogate=surrogate), {"dense": 4}, {"li": {"beta": 0.75}}]
    trace, gradients = assert_gradients_agree(make_problem(network))
    assert not trace.spikes[1].any()
    assert not gradients["2.weight"].any()
    assert gradients["2.bias"].any()
    assert gradients["0.weight"].any() == (surrogate not in ("triangle", "boxcar"))


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
def test_a_saturated_layer(reset: str, surrogate: str) -> None:
    """Every neuron fires at every step."""
    options = lif(threshold=0.25, reset=reset, surrogate=surrogate, detach_reset=False)
    problem = make_problem([{"dense": 8}, options, {"dense": 4}, {"li": {"beta": 0.75}}])
    weight = np.abs(problem.parameters["0.weight"])
    parameters = {**problem.parameters, "0.weight": weight, "0.bias": np.full(8, 0.375, np.float32)}
    trace, gradients = assert_gradients_agree(problem.with_(parameters=parameters))
    assert trace.spikes[1].all()
    assert np.abs(gradients["2.weight"]).max() > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threshold", [16.0, 1 / 256], ids=["silent", "saturated"])
@pytest.mark.parametrize("sizes", [(1, 1), (3, 1), (1, 5)], ids=str)
def test_silent_and_saturated_layers_with_feedback(kind: str, threshold: float, sizes: tuple[int, int]) -> None:
    """Learned values and recurrent weights where nothing or everything fires, also for one step or one sample."""
    steps, batch = sizes
    neuron = KINDS[kind](threshold=threshold, recurrent=True, detach_reset=False, reset="none", **learning(kind))
    if kind == "alif":
        neuron["alif"]["adaptation"] = 1 / 256
    network: list[Layer] = [{"dense": 5}, neuron, {"dense": 3}, {"li": {"beta": 0.75}}]
    problem = make_problem(network, steps=steps, batch=batch)
    positive = {name: np.abs(array) for name, array in problem.parameters.items() if array.ndim}
    parameters = {**problem.parameters, **positive, "0.bias": np.full(5, 0.375, np.float32)}
    trace, gradients = assert_gradients_agree(problem.with_(parameters=parameters))
    fires = threshold < 1
    assert trace.spikes[1].all() if fires else not trace.spikes[1].any()
    assert gradients["1.threshold"] != 0
    assert gradients["1.recurrent_weight"].any() == (fires and steps > 1)
    assert (gradients["1.beta"] != 0) == (steps > 1)


@pytest.mark.parametrize("regularizer", REGULARIZERS, ids=str)
@pytest.mark.parametrize("end", [{"li": {"beta": 0.75, "readout": "max"}}, lif(readout="count")], ids=["li", "lif"])
@pytest.mark.parametrize("loss", [{"cross_entropy": {}}, {"step_cross_entropy": {}}], ids=str)
def test_regularizers(regularizer: dict[str, Any], end: Layer, loss: dict[str, Any]) -> None:
    """Every regulariser adds the reference's loss and gradient, and the gradient is another one without it."""
    problem = make_problem(two_hidden(end), seed=8, loss=loss)
    _, plain = assert_gradients_agree(problem)
    trace, gradients = assert_gradients_agree(problem.with_(regularizers=[regularizer]))
    assert_alive(trace, gradients)
    assert np.abs(gradients["0.weight"] - plain["0.weight"]).max() > 0.01 * np.abs(plain["0.weight"]).max()


def test_regularizers_together() -> None:
    """Regularisers add up."""
    problem = make_problem(two_hidden(), seed=8, regularizers=REGULARIZERS, input_coding="direct")
    assert_alive(*assert_gradients_agree(problem))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", [{"cross_entropy": {}}, {"step_cross_entropy": {}}, COUNT_MSE, FIRST_SPIKE], ids=str)
def test_firing_readouts_and_regularizers_with_feedback(kind: str, loss: dict[str, Any]) -> None:
    """A recurrent readout that fires under every loss, and regularisers on spikes that also reach their own layer."""
    neuron, end = (KINDS[kind](recurrent=True, **learning(kind), **more) for more in ({}, {"readout": "rate"}))
    problem = make_problem([{"dense": 8}, neuron, {"dense": 4}, end], seed=6, loss=loss, regularizers=REGULARIZERS)
    assert_alive(*assert_gradients_agree(problem))


@pytest.mark.parametrize("p", [0.5, 0.75])
@pytest.mark.parametrize("input_coding", ["events", "direct"])
def test_dropout(input_coding: str, p: float) -> None:
    """Dropped inputs, spikes and currents send no gradient, kept ones are scaled: given the mask, as the reference."""
    drop: Layer = {"dropout": p}
    network = [drop, {"dense": 8}, drop, lif(), drop, {"dense": 6}, lif(), drop, {"dense": 4}, {"li": {"beta": 0.75}}]
    problem = make_problem(network, seed=3, batch=9, inputs=12, drive=2.0, input_coding=input_coding)
    masks = problem.masks(problem.snnsim())
    assert all(0 < np.count_nonzero(mask) < mask.size for mask in masks.values())
    assert_alive(*assert_gradients_agree(problem))


@pytest.mark.parametrize("loss", CROSS_ENTROPIES + MSE, ids=str)
@pytest.mark.parametrize("input_coding", ["events", "direct"])
def test_anns(input_coding: str, loss: dict[str, Any]) -> None:
    """A network of ``relu`` has the gradients of an ANN, also on events and with dropout."""
    network: list[str | Layer] = ["flatten", {"dense": 8}, "relu", {"dense": 6}, {"relu": {}}, {"dense": 4}]
    for layers in (network, [*network[:3], {"dropout": 0.5}, *network[3:]]):
        problem = make_problem(layers, seed=2, input_coding=input_coding, loss=loss)
        assert_alive(*assert_gradients_agree(problem))
    assert_gradients_agree(make_problem(network, regularizers=[{"logit_l2": {"weight": 0.1}}], loss=loss))


@pytest.mark.parametrize(
    ("part", "which"),
    [
        *(("at_reset", k) for k in range(3)),
        *((part, None) for part in ("derivative", "spread", "shared", "through_integration")),
    ],
)
def test_a_wrong_sign_is_noticed(part: str, which: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison fails when any one part of the reference has the wrong sign."""
    problem = make_problem(two_hidden(detach_reset=False, learn_threshold=True), seed=1)
    assert_gradients_agree(problem)
    right = getattr(by_hand, part)

    def wrong(*arguments: Any) -> Any:
        result = right(*arguments)
        return -result if which is None else tuple(-x if k == which else x for k, x in enumerate(result))

    monkeypatch.setattr(by_hand, part, wrong)
    with pytest.raises(AssertionError, match="gradient of"):
        assert_gradients_agree(problem)


@pytest.mark.parametrize("factor", [1.001, 0.999])
def test_a_small_error_is_noticed(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison fails when the surrogate is off by a thousandth."""
    monkeypatch.setattr(by_hand, "derivative", lambda *arguments: factor * derivative(*arguments))
    with pytest.raises(AssertionError, match="gradient of"):
        assert_gradients_agree(make_problem(two_hidden(), seed=1))
