"""Layers in any order against the reference: forwards on every path, and back."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from problems import Problem, assert_alive, assert_gradients_agree, make_problem
from reference.forward import forward, named
from snnsim import Network

Layers = list[str | dict[str, Any]]

READOUTS = ("mean", "sum", "max", "last", "count", "rate")
SURROGATES = ("fast_sigmoid", "superspike", "atan", "sigmoid", "triangle", "boxcar", "straight_through")
CROSS_ENTROPIES = ("cross_entropy", "step_cross_entropy")
quarters = st.integers(0, 4).map(lambda k: k / 4)


@st.composite
def firing(draw: st.DrawFn, readout: str | None = None) -> dict[str, Any]:
    """Draw a layer of IF or LIF neurons with any options."""
    options: dict[str, Any] = {
        "threshold": draw(st.integers(64, 320)) / 256,
        "reset": draw(st.sampled_from(("subtract", "zero", "none"))),
        "reset_delay": draw(st.booleans()),
        "spike_at": draw(st.sampled_from((">", ">="))),
        "detach_reset": draw(st.booleans()),
        "surrogate": draw(st.sampled_from(SURROGATES)),
    }
    if readout is not None:
        options["readout"] = readout
    return {"lif": {"beta": draw(quarters), **options}} if draw(st.booleans()) else {"if": options}


@st.composite
def compositions(draw: st.DrawFn) -> Layers:
    """Draw a spiking network whose layers stand in any order: products, neurons, ``relu`` and ``dropout`` in rows."""
    dense = st.builds(
        lambda out, bias: {"dense": {"out": out, "bias": bias}}, out=st.integers(1, 8), bias=st.booleans()
    )
    others = st.sampled_from(("relu", "flatten", {"dropout": 0.5}, {"dropout": 0.75}))
    layers: list[Any] = draw(st.lists(st.one_of(dense, firing(), others), max_size=4))
    layers += [{"dense": draw(st.integers(2, 5))}, *draw(st.lists(others, max_size=1))]
    readout = draw(st.sampled_from(READOUTS))
    if readout in ("count", "rate"):
        return [*layers, draw(firing(readout))]
    return [*layers, {"li": {"beta": draw(quarters), "readout": readout}}]


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Draw a network in any order with a small batch; few steps, so that membranes stay exact."""
    return make_problem(
        draw(compositions()),
        seed=draw(st.integers(0, 2**20)),
        steps=draw(st.integers(1, 4)),
        batch=draw(st.integers(1, 5)),
        inputs=draw(st.integers(2, 8)),
        drive=draw(st.sampled_from((0.5, 1.0, 2.0))),
        loss={draw(st.sampled_from(CROSS_ENTROPIES)): {}},
        input_coding=draw(st.sampled_from(("events", "direct"))),
    )


@settings(max_examples=100)
@given(problem=problems())
def test_forwards_on_every_path(problem: Problem) -> None:
    """One event at a time or as a product, spikes are the reference's, and membranes and logits as float32 allows."""
    network = problem.snnsim()
    trace = forward(problem.network, problem.parameters, problem.x, input_coding=problem.input_coding)
    for path in ("events", "dense"):
        run = network.run(
            problem.x, record=("spikes", "membrane"), input_coding=problem.input_coding, path=path, threads=1
        )
        for index, spikes in trace.spikes.items():
            np.testing.assert_array_equal(run.spikes[index], spikes, err_msg=f"spikes of layer {index}, {path}")
        for index, membrane in trace.membrane.items():
            largest = max(1, np.abs(membrane).max())
            found = np.broadcast_to(run.membrane[index], membrane.shape)
            np.testing.assert_allclose(found, membrane, rtol=0, atol=1e-5 * largest)
        largest = max(1, np.abs(trace.step_logits).max())
        assert run.step_logits is not None
        np.testing.assert_allclose(run.step_logits, trace.step_logits, rtol=0, atol=1e-5 * largest)
        np.testing.assert_allclose(run.logits, trace.logits, rtol=0, atol=1e-5 * largest * len(problem.x))


@settings(max_examples=150)
@given(problem=problems())
def test_gradients(problem: Problem) -> None:
    """Whatever follows what, gradients are the reference's."""
    assert_gradients_agree(problem)


PRODUCTS: dict[str, Layers] = {
    "two": [{"dense": 6}, {"dense": 4}],
    "three": [{"dense": 6}, {"dense": 5}, {"dense": 4}],
    "after neurons": [{"dense": 6}, {"lif": {"beta": 0.75}}, {"dense": 5}, {"dense": 4}],
    "dropout between": [{"dense": 6}, {"dropout": 0.5}, {"dense": 4}],
    "relu between": [{"dense": 6}, "relu", {"dense": 4}],
}


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("readout", ["mean", "sum", "last", "max"])
@pytest.mark.parametrize("loss", CROSS_ENTROPIES)
@pytest.mark.parametrize("input_coding", ["events", "direct"])
def test_products_in_a_row(name: str, readout: str, loss: str, input_coding: str) -> None:
    """Several products below a leaky integrator are one linear map: each has its gradient, whatever its readout."""
    network = [*PRODUCTS[name], {"li": {"beta": 0.5, "readout": readout}}]
    problem = make_problem(network, seed=1, batch=6, loss={loss: {}}, input_coding=input_coding)
    assert_alive(*assert_gradients_agree(problem))


WITHOUT_PRODUCT: dict[str, dict[str, Any]] = {
    "li": {"li": {"beta": 0.5}},
    "cuba_li": {"cuba_li": {"beta": 0.5, "alpha": 0.75}},
    "count": {"lif": {"beta": 0.5, "readout": "count"}},
}


@pytest.mark.parametrize("end", WITHOUT_PRODUCT)
@pytest.mark.parametrize(
    "regularizer",
    [
        {"spike_l1": {"weight": 2.0}},
        {"synops": {"weight": 2.0}},
        {"rate_upper": {"weight": 2.0, "max_rate": 0.25}},
        {"rate_lower": {"weight": 2.0, "min_rate": 0.75}},
    ],
    ids=lambda choice: next(iter(choice)),
)
def test_regularizers_where_no_product_follows(regularizer: dict[str, Any], end: str) -> None:
    """Hidden spikes that go to no synapse cost spikes and rates, and no synapses."""
    network: Layers = [{"dense": 6}, {"lif": {"beta": 0.5, "threshold": 0.5}}, WITHOUT_PRODUCT[end]]
    problem = make_problem(network, seed=1)
    spikes = forward(network, problem.parameters, problem.x).spikes[1]
    rates, batch = spikes.mean(axis=0), spikes.shape[1]
    expected = {
        "spike_l1": spikes.sum() / batch,
        "synops": 0.0,
        "rate_upper": (np.maximum(rates - 0.25, 0) ** 2).sum() / batch,
        "rate_lower": (np.maximum(0.75 - rates, 0) ** 2).sum() / batch,
    }[next(iter(regularizer))]
    assert (expected > 0) == ("synops" not in regularizer)
    net = problem.snnsim()
    plain, _ = net.loss_and_gradients(problem.x, problem.y)
    penalised, _ = net.loss_and_gradients(problem.x, problem.y, regularizers=[regularizer])
    assert penalised - plain == pytest.approx(2 * expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(
    ("discretization", "beta"), [({}, np.exp(-0.25)), ({"discretization": "euler"}, 0.75)], ids=["exp", "euler"]
)
@pytest.mark.parametrize("name", ["lif", "li"])
def test_time_constants(name: str, discretization: dict[str, str], beta: float) -> None:
    """A layer with tau_mem and dt is the layer with the beta they give, to the bit."""
    constants = {"tau_mem": 8.0, "dt": 2.0, **discretization}
    logits = []
    for options in (constants, {"beta": float(beta)}):
        neuron = {name: options}
        layers: Layers = [{"dense": 6}, "lif", {"dense": 3}, "li"]
        layers = [neuron if named(layer)[0] == name else layer for layer in layers]
        network = Network.from_config(layers, input_shape=(5,), seed=2)
        x = np.random.default_rng(0).random((1, 4, 5))
        logits.append(network.run(3 * x, input_coding="direct", num_steps=9, threads=1).logits)
    np.testing.assert_array_equal(logits[0], logits[1])
    assert logits[0].any()
