"""Surrogates of compact support: training, accuracy, spikes, and where their derivative is not zero."""

import itertools
from typing import Any

import compact
import numpy as np
import pytest
from peers.ours import Snnsim
from workload_data import Part, of_images
from workloads import WORKLOADS, initial_weights

from snnsim.datasets import Samples


def test_an_epoch() -> None:
    """Every sample of the training part at most once, in whole batches; of what is held out, all."""
    workload = WORKLOADS["W1"]
    count = 3 * workload.batch + 1
    x = np.repeat(np.arange(count, dtype=np.float32)[:, None], workload.inputs, axis=1)
    part = Part(workload, Samples(x, np.arange(count) % 10, np.arange(count)), 1.0)
    for make, sizes in ((compact.training, [workload.batch] * 3), (compact.testing, [workload.batch] * 3 + [1])):
        batches = list(make(workload, part, np.random.default_rng(0)))
        assert [len(batch.y) for batch in batches] == sizes
        seen = np.concatenate([batch.dense()[:, 0] for batch in batches])
        assert len(set(seen)) == sum(sizes)
        np.testing.assert_array_equal(np.concatenate([batch.y for batch in batches]), seen % 10)


@pytest.mark.parametrize("name", ["W2", "W3"])
def test_where_the_derivative_is_not_zero(name: str) -> None:
    """Nearly everywhere for the full surrogate, less the narrower it is; both ways of a step take time."""
    workload = WORKLOADS[name]
    weights, rng = initial_weights(workload, 0), np.random.default_rng(3)
    batch = of_images(workload, rng.random((2, workload.inputs), np.float32), np.array([3, 7]), rng)
    parts = []
    for surrogate in compact.SURROGATES:
        peer = Snnsim(compact.SURROGATES[surrogate], workload, weights)
        parts.append(compact.active(workload, peer, surrogate, peer.encode(batch)))
        assert min(compact.ways(peer, peer.encode(batch)).values()) > 0
    assert [len(of_layers) for of_layers in parts] == [2] * len(parts)
    assert parts[0] == [1.0, 1.0]
    assert all(np.all(np.less(narrow, wide)) for wide, narrow in itertools.pairwise(parts))


@pytest.mark.slow
def test_measure_and_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """On drawn events all surrogates learn, from the same weights; the table compares them to the full one."""
    monkeypatch.setattr(compact, "DRAWN_STEPS", 60)
    monkeypatch.setattr(compact, "DRAWN_TESTS", 4)
    run = compact.measure(WORKLOADS["W4"], 1, 0, (None, None))
    assert list(run) == list(compact.SURROGATES)
    for name, cell in run.items():
        assert cell["accuracy"] > 0.15  # three times what chance gives
        assert cell["spikes"] > 0
        assert cell["train_sps"] > 0
        assert (cell["step_ms"] is None) == (name == compact.FULL)
    found = compact.summary([run, run])
    assert found["triangle 0.25"]["difference"] == run["triangle 0.25"]["accuracy"] - run[compact.FULL]["accuracy"]
    workloads: dict[str, Any] = {
        "W4": {"epochs": 1, "seeds": 2, "surrogates": found},
        "W5": {"missing": "no such data"},
    }
    table = compact.markdown({"workloads": workloads})
    assert f"| W4 | triangle 0.25 | {100 * found['triangle 0.25']['accuracy']:.1f} ± 0.0 |" in table
    assert "| W5 | no such data |" in table
    assert "Epochs and seeds: W4 1 and 2." in table
