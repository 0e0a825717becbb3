"""Inference one sample at a time."""

import latency
import numpy as np
import peers
import pytest
from peers import ours
from workload_data import make_batches
from workloads import WORKLOADS, initial_weights

from snnsim import Events

W4 = WORKLOADS["W4"]


def test_single_samples_are_answered_as_in_the_batch() -> None:
    """Cut out of a batch they are the same samples, and get the same answers."""
    batch = make_batches(W4, 0, None, 3)[0]
    peer = ours.build("snnsim", W4, initial_weights(W4, 0))
    single = latency.singles(batch)
    assert isinstance(batch.x, Events)
    np.testing.assert_array_equal(np.concatenate([one.dense() for one in single], axis=1), batch.dense())
    answers = [peer.infer(peer.encode(one))[0] for one in single]
    np.testing.assert_array_equal(answers, peer.infer(peer.encode(batch)))


def test_latencies_of_a_workload(monkeypatch: pytest.MonkeyPatch) -> None:
    """Median and 95th percentile, events where there are any, and what is not installed."""
    monkeypatch.setitem(peers.ROWS, "torch-loop", peers.Row("pytorch", ("no_such_library",)))
    batches = make_batches(W4, 0, None, 2)
    weights = latency.trained(W4, batches, 2, 0)
    assert not np.array_equal(weights[0], initial_weights(W4, 0)[0])
    found = latency.measure(W4, batches, weights, 0.0)
    assert 0 < found["snnsim"]["median_ms"] <= found["snnsim"]["p95_ms"]
    assert found["snnsim"]["events_a_sample"] == pytest.approx(0.015 * W4.steps * W4.inputs, rel=0.2)
    table = latency.markdown({"workloads": {"W4": found, "W5": {"missing": "no such data"}}})
    assert "| W4 | torch-loop: not installed: no_such_library" in table
    assert "| W5 | no such data |" in table


def test_samples_in_turn_fit_into_memory() -> None:
    """Of long recordings there are fewer, since peers hold them as tensors."""
    assert latency.most_samples(WORKLOADS["W1"]) == 256
    assert latency.most_samples(WORKLOADS["W5"]) == 72
