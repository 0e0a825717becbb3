"""Accuracy and cost against the number of steps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runs import run_small, summary, table
from snnsim import Network
from snnsim.by_step import MOST_ROWS, ByStep
from snnsim.inference import evaluate_model
from snnsim.losses import make_loss
from snnsim.spec import LossChoice, parse


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run whose input is the same at every step, so that fewer steps are a setting of the model."""
    folder = tmp_path_factory.mktemp("by-step")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("snnsim.figures.draw_figures", lambda *arguments: None)
        return run_small(folder, "encoder.direct.num_steps=6")


def test_the_last_row_is_the_test(run: Path) -> None:
    """At the end stand the figures of the summary, to the bit."""
    test, rows = summary(run)["test"], table(run / "steps.csv")
    assert [int(row["steps"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    for key in ("accuracy", "spikes_per_sample", "synops_per_sample"):
        assert float(rows[-1][key]) == test[key]


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_a_row_is_a_test_of_so_many_steps(run: Path, steps: int) -> None:
    """Stopping after t steps answers and costs what running for t steps does."""
    test = evaluate_model(run, [f"encoder.direct.num_steps={steps}"])["test"]
    row = table(run / "steps.csv")[steps - 1]
    for key in ("accuracy", "spikes_per_sample", "synops_per_sample"):
        assert float(row[key]) == test[key]


@pytest.mark.parametrize("readout", ["mean", "sum", "max", "last", "count", "rate"])
def test_every_readout(readout: str) -> None:
    """The answers after t steps are those of a run of t steps, also over more batches than workers."""
    end: Any = {"lif": {"readout": readout, "threshold": 0.3}} if readout in ("count", "rate") else None
    end = end or {"li": {"readout": readout}}
    network = Network.from_config([{"dense": 12}, {"lif": {"threshold": 0.3}}, {"dense": 4}, end], input_shape=(6,))
    rng = np.random.default_rng(3)
    x, y = rng.random((1, 200, 6)).astype(np.float32), rng.integers(0, 4, 200)
    watched = ByStep(network, make_loss(parse(LossChoice, "cross_entropy")))

    def shorter(steps: int) -> Any:
        return network.run(x, input_coding="direct", num_steps=steps, record="step_counts")

    watched(shorter(5), y)
    for row in watched.rows():
        alone = shorter(row["steps"])
        assert row["accuracy"] == (alone.predictions == y).mean()
        assert row["synops_per_sample"] == (alone.counts.total("acs") + alone.counts.total("macs")).mean()
        assert row["spikes_per_sample"] == alone.counts.total("spikes").mean()


def test_a_regression_has_its_loss() -> None:
    """Of values there is no accuracy but the mean squared error of the outputs so far."""
    network = Network.from_config([{"dense": 4}, {"lif": {"threshold": 0.3}}, {"dense": 2}, "li"], input_shape=(3,))
    rng = np.random.default_rng(0)
    x, y = rng.random((1, 9, 3)).astype(np.float32), rng.random((9, 2))
    watched = ByStep(network, make_loss(parse(LossChoice, "mse")))
    result = network.run(x, input_coding="direct", num_steps=3, record="step_counts")
    watched(result, y)
    assert result.step_logits is not None
    for row in watched.rows():
        mean = result.step_logits[: row["steps"]].mean(axis=0)
        # The sum over the steps is one product at the last step and a sum of float32 before.
        assert row["loss"] == pytest.approx(np.square(mean - y).mean(), rel=1e-5)
        assert row["accuracy"] is None


def test_the_first_output_to_fire_is_the_answer() -> None:
    """A loss that names the answer in another way is asked for it."""
    network = Network.from_config(
        [{"dense": {"out": 2, "bias": False}}, {"if": {"readout": "count", "reset": "zero"}}], input_shape=(2,)
    )
    network.parameters["0.weight"][...] = [[0.4, 0], [0, 0.6]]
    watched = ByStep(network, make_loss(parse(LossChoice, "first_spike_cross_entropy")))
    watched(network.run([[[1, 1]]], input_coding="direct", num_steps=4, record="step_counts"), np.array([1]))
    assert [row["accuracy"] for row in watched.rows()] == [0.0, 1.0, 1.0, 1.0]


def test_an_ann_has_one_step() -> None:
    """It sees its input once."""
    network = Network.from_config([{"dense": 4}, "relu", {"dense": 2}], input_shape=(3,))
    watched = ByStep(network, make_loss(parse(LossChoice, "cross_entropy")))
    result = network.run(np.ones((1, 5, 3)), input_coding="direct", num_steps=7, record="step_counts")
    watched(result, np.zeros(5, np.int64))
    assert [row["steps"] for row in watched.rows()] == [1]


def test_long_runs_are_looked_at_here_and_there() -> None:
    """Of many steps a few dozen are rows, the first and the last among them."""
    network = Network.from_config([{"dense": 2}, {"if": {"readout": "count"}}], input_shape=(2,))
    watched = ByStep(network, make_loss(parse(LossChoice, "cross_entropy")))
    watched(network.run(np.ones((300, 1, 2)), record="step_counts"), np.array([1]))
    steps = [row["steps"] for row in watched.rows()]
    assert (len(steps), steps[0], steps[-1]) == (MOST_ROWS, 1, 300)
    assert steps == sorted(set(steps))
