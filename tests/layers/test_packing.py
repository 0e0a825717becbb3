"""Packed rows in whole networks: the same bits as without, and never those of an earlier step."""

import numpy as np
import pytest

from oracles import assert_same_bits
from snnsim import Events, Network
from snnsim.layers import packing
from strategies import FloatArray

LIF = {"lif": {"beta": 0.9, "recurrent": True}}
LAYERS = [{"dense": 72}, LIF, {"dense": 100}, {"lif": {"beta": 0.9}}, {"dense": 5}, "li"]


def network() -> Network:
    return Network.from_config(LAYERS, input_shape=(90,), seed=3)


def batch(density: float, samples: int = 40) -> tuple[Events, "np.ndarray[tuple[int], np.dtype[np.int64]]"]:
    rng = np.random.default_rng(5)
    return Events.from_dense(rng.random((30, samples, 90)) < density), rng.integers(0, 5, samples)


def results(of: Network, density: float, samples: int = 40) -> dict[str, FloatArray]:
    events, labels = batch(density, samples)
    _, gradients = of.loss_and_gradients(events, labels, threads=2)
    return {"logits": of.run(events, threads=2).logits, **gradients}


def assert_same(found: dict[str, FloatArray], expected: dict[str, FloatArray]) -> None:
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert_same_bits(array, expected[name])


@pytest.mark.parametrize("density", [0.02, 0.1, 0.25])
def test_packing_changes_no_bit(monkeypatch: pytest.MonkeyPatch, density: float) -> None:
    """Whether weights and deltas are packed always, never or where it pays: equal logits and gradients."""
    expected = results(network(), density)
    for buckets, events in ((10**9, 10**9), (0, -1)):
        monkeypatch.setattr(packing, "BUCKETS_PER_PACKING", buckets)
        monkeypatch.setattr(packing, "EVENTS_PER_BUCKET", events)
        monkeypatch.setattr(packing, "EVENTS_PER_PACKED_ROW", events)
        monkeypatch.setattr(packing, "EVENTS_PER_INPUT", events)
        assert_same(results(network(), density), expected)


def test_weights_are_packed_anew_for_every_batch() -> None:
    """After an update of the weights, and after batches too small to pack for, results are a fresh network's."""
    used, fresh = network(), network()
    results(used, 0.2)
    results(used, 0.2, samples=1)
    for one in (used, fresh):
        one.parameters["0.weight"][...] *= 1.5
        one.parameters["2.weight"][...] *= 1.5
    for samples in (1, 40):
        assert_same(results(used, 0.2, samples), results(fresh, 0.2, samples))


def test_what_is_not_packed() -> None:
    """Weights are packed for many buckets, more than two blocks of columns, not too many rows, into the same memory."""
    wide, narrow = np.ones((9, packing.NARROW + 1), np.float32), np.ones((9, packing.NARROW), np.float32)
    many = packing.BUCKETS_PER_PACKING
    assert packing.pack_weights(wide, many - 1, packing.NOT_PACKED) is packing.NOT_PACKED
    assert packing.pack_weights(narrow, many, packing.NOT_PACKED) is packing.NOT_PACKED
    long = np.ones((packing.MOST_ROWS + 1, packing.NARROW + 1), np.float32)
    assert packing.pack_weights(long, many, packing.NOT_PACKED) is packing.NOT_PACKED
    packed = packing.pack_weights(wide, many, packing.NOT_PACKED)
    assert packed.shape == (3, 9, 32)
    assert packing.pack_weights(wide, many, packed) is packed
