"""The limit view: the work that counters ask for, times of kernels from outside, the machine's rates."""

from typing import Any

import limits
import machine
import numpy as np
import pytest
from kernel_clock import KernelClock
from limits_report import markdown
from machine import Rates
from work import Work, needed

import snnsim
from snnsim import Events, Network
from snnsim.encoders import ConstantInput, EventInput
from snnsim.kernels import row_sums
from snnsim.layers import Dense
from snnsim.losses import make_loss
from snnsim.passes import Plan
from snnsim.regularizers import Penalties
from snnsim.spec import LossChoice

STEPS, SAMPLES = 5, 2
LAYERS = [{"dense": {"out": 3, "bias": False}}, "lif", {"dense": {"out": 2, "bias": False}}, "li"]
SLOW_PRODUCTS = Rates(1e9, 1.0, 1e9, 1e9)
FAST_PRODUCTS = Rates(1.0, 1e9, 1e9, 1e9)


def small() -> tuple[Network, EventInput]:
    """Return a network 4-3-2 whose hidden neurons fire, and events for it."""
    network = Network.from_config(LAYERS, input_shape=(4,))
    network.parameters["0.weight"][...] = 0.7
    rng = np.random.default_rng(0)
    return network, EventInput(Events.from_dense(rng.random((STEPS, SAMPLES, 4)) < 0.5))


def test_work_of_events() -> None:
    """Every count is what the layers' sizes, the events and the spikes make it."""
    network, batch = small()
    counts = network.evaluate_batch(batch).counts
    events, spikes = int(counts.input.events.sum()), int(counts[1].spikes.sum())
    assert spikes > 0
    plan = Plan.of(network.layers, STEPS, constant=False, per_step=False)
    found = needed(plan, counts, 1, SLOW_PRODUCTS, training=True)
    updates = STEPS * SAMPLES * 3
    readout = SAMPLES * 3 * 2
    assert found == {
        ("0 (dense)", "forward"): Work(additions=events * 3),
        ("0 (dense)", "backward"): Work(additions=events * 3),
        ("1 (lif)", "forward"): Work(bytes=16 * updates + 4 * spikes),
        ("1 (lif)", "backward"): Work(bytes=16 * updates),
        ("2 (dense)", "forward"): Work(additions=spikes, multiply_adds=readout),
        ("2 (dense)", "backward"): Work(multiply_adds=2 * readout),
        ("optimizer", "update"): Work(memory=28 * (4 * 3 + 3 * 2)),
    }
    inference = needed(plan, counts, 2, FAST_PRODUCTS, training=False)
    assert inference["0 (dense)", "forward"] == Work(multiply_adds=STEPS * SAMPLES * 4 * 3 / 2)
    assert inference["1 (lif)", "forward"] == Work(bytes=(12 * updates + 4 * spikes) / 2)
    assert {phase for _, phase in inference} == {"forward"}


def test_work_of_constant_input() -> None:
    """It is multiplied once, not at every step; zeros among it cost an event-driven layer nothing."""
    network = Network.from_config(LAYERS, input_shape=(4,))
    x = np.array([[1, 0, 0.5, 0]] * SAMPLES, np.float32)
    counts = network.evaluate_batch(ConstantInput(x, STEPS)).counts
    plan = Plan.of(network.layers, STEPS, constant=True, per_step=False)
    found = needed(plan, counts, 1, SLOW_PRODUCTS, training=True)
    assert found["0 (dense)", "forward"] == Work(additions=SAMPLES * 2 * 3)
    assert needed(plan, counts, 1, FAST_PRODUCTS, training=False)["0 (dense)", "forward"] == Work(
        multiply_adds=SAMPLES * 4 * 3
    )


def test_seconds_add_up() -> None:
    """Operations take their time one after another."""
    work = Work(2, 3, 5, 7) + Work(bytes=5)
    assert work.seconds(Rates(1, 10, 100, 1000)) == pytest.approx(2 + 0.3 + 0.1 + 0.007)
    assert work.over(2).seconds(Rates(1, 10, 100, 1000)) == pytest.approx(1.2035)


def test_kernels_are_timed_where_they_run() -> None:
    """Each in its layer and phase; afterwards everything is as it was, and so are the results."""
    network, batch = small()
    labels, loss, penalties = np.array([0, 1]), make_loss(LossChoice.of("cross_entropy")), Penalties()

    def train() -> dict[str, Any]:
        step = network.train_step(batch, labels, loss, penalties, threads=1)
        return {name: gradient.copy() for name, gradient in step.gradients.items()}

    expected, gather, dot = train(), row_sums.gather, np.dot
    with KernelClock(network.layers) as clock:
        assert row_sums.gather is not gather
        watched = train()
    assert row_sums.gather is gather
    assert np.dot is dot
    assert not any(callable(value) for layer in network.layers for value in vars(layer).values())
    for name, gradient in expected.items():
        np.testing.assert_array_equal(watched[name], gradient)
    assert {("0 (dense)", "forward"), ("0 (dense)", "backward"), ("1 (lif)", "forward")} <= clock.layers.keys()
    assert clock.kernels["0 (dense)", "forward", "row_sums.gather"] > 0
    for place, seconds in clock.layers.items():
        assert sum(took for (*where, _), took in clock.kernels.items() if tuple(where) == place) <= seconds


def test_a_layer_keeps_its_methods_when_something_fails() -> None:
    """An error inside leaves nothing wrapped."""
    network, _ = small()
    layer = network.layers[0]
    assert isinstance(layer, Dense)
    with pytest.raises(ValueError, match="stop"), KernelClock(network.layers):
        raise ValueError("stop")
    assert "forward" not in vars(layer)


def test_a_workload() -> None:
    """Limits, times and parts of training and inference, and tables of them."""
    rates = machine.rates(1, 0.01)
    assert min(rates.plain().values()) > 1e6
    found = limits.measure("W4", {1: rates}, limits.Settings(steps=2, seconds=0.0, batch=2), None)
    for kind in limits.KINDS:
        whole = found[kind]["threads"]["1"]
        assert whole["multiple"] == pytest.approx(whole["measured_ms"] / whole["limit_ms"], rel=0.01)
        parts = found[kind]["parts"]
        assert sum(part["limit_ms"] for part in parts) == pytest.approx(whole["limit_ms"], abs=0.001)
        assert {part["phase"] for part in parts} >= {"forward", "rest"}
    results: dict[str, Any] = {"machine": machine.about(), "rates": {"1": rates.plain()}, "workloads": {"W4": found}}
    table = markdown(results | {"workloads": {"W4": found, "W5": {"missing": "no such data"}}})
    assert "| W4 | training, 2 samples | 1 |" in table
    assert "W5: no such data" in table
    assert results["machine"]["snnsim"] == snnsim.__version__
