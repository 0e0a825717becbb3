"""Whole networks' gradients under every loss that a readout takes, against the reference."""

from typing import Any

import numpy as np
import pytest

from problems import assert_alive, assert_gradients_agree, make_problem

Layer = dict[str, Any]

ON_ANY: list[dict[str, Any]] = [
    {"cross_entropy": {}},
    {"cross_entropy": {"label_smoothing": 0.2}},
    {"step_cross_entropy": {}},
    {"step_cross_entropy": {"label_smoothing": 0.2}},
    {"mse": {}},
    {"mse": {"correct": 2.0, "incorrect": -0.5}},
]
ON_SPIKES: list[dict[str, Any]] = [
    {"count_mse": {"correct": 0.8, "incorrect": 0.1}},
    {"first_spike_cross_entropy": {}},
    {"first_spike_cross_entropy": {"tau": 3.0}},
]


def lif(**options: Any) -> Layer:
    return {"lif": {"beta": 0.75, "threshold": 0.75, **options}}


def two_hidden(end: Layer) -> list[Layer]:
    """Return dense, LIF, dense, LIF, dense and an end."""
    return [{"dense": 8}, lif(), {"dense": 7}, lif(), {"dense": 4}, end]


@pytest.mark.parametrize("readout", ["mean", "sum", "max", "last"])
@pytest.mark.parametrize("loss", ON_ANY, ids=str)
@pytest.mark.parametrize("beta", [0.5, [0.25, 0.5, 0.75, 1.0]], ids=["one", "each"])
def test_losses_on_leaky_integrators(readout: str, loss: dict[str, Any], beta: float | list[float]) -> None:
    """Every readout of ``li`` under every loss that takes it."""
    network = two_hidden({"li": {"beta": beta, "readout": readout}})
    assert_alive(*assert_gradients_agree(make_problem(network, seed=5, loss=loss)))


@pytest.mark.parametrize("readout", ["mean", "sum", "max", "last"])
@pytest.mark.parametrize("alpha", [0.0, 0.5, [0.25, 0.5, 0.75, 1.0]], ids=["none", "one", "each"])
@pytest.mark.parametrize("input_coding", ["events", "direct"])
def test_integrators_of_a_synaptic_current(readout: str, alpha: float | list[float], input_coding: str) -> None:
    """Every readout of ``cuba_li``; a synaptic current that keeps nothing leaves ``li``."""
    ends: list[Layer] = [{"cuba_li": {"beta": 0.75, "alpha": alpha, "readout": readout}}]
    ends += [{"li": {"beta": 0.75, "readout": readout}}] if alpha == 0.0 else []
    problems = [make_problem(two_hidden(end), seed=5, input_coding=input_coding) for end in ends]
    traces = [assert_gradients_agree(problem) for problem in problems]
    assert_alive(*traces[0])
    for trace, gradients in traces[1:]:
        assert np.array_equal(trace.logits, traces[0][0].logits)
        assert all(np.array_equal(gradients[name], traces[0][1][name]) for name in gradients)


@pytest.mark.parametrize("readout", ["count", "rate"])
@pytest.mark.parametrize("loss", ON_ANY + ON_SPIKES, ids=str)
def test_losses_on_firing_readouts(readout: str, loss: dict[str, Any]) -> None:
    """Both readouts of firing neurons under every loss."""
    network = two_hidden(lif(readout=readout))
    assert_alive(*assert_gradients_agree(make_problem(network, seed=6, loss=loss)))


@pytest.mark.parametrize("input_coding", ["events", "direct"])
@pytest.mark.parametrize("end", [{"li": {"beta": 0.75}}, lif(readout="rate"), None], ids=["li", "lif", "ann"])
def test_values_as_targets(end: Layer | None, input_coding: str) -> None:
    """Regression on values, by integrators, by firing rates and by an ANN."""
    ann: list[Layer] = [{"dense": 8}, {"relu": {}}, {"dense": 4}]
    network = two_hidden(end) if end else ann
    problem = make_problem(network, seed=5, loss={"mse": {}}, input_coding=input_coding)
    values = np.random.default_rng(5).normal(size=(problem.x.shape[1], 4))
    assert_alive(*assert_gradients_agree(problem.with_(y=values)))
