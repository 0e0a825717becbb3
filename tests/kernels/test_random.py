"""Counter-based random numbers: each depends on its key alone, and all are spread as they should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles import assert_same_bits, assert_same_events
from strategies import FloatArray, dense_events, seeds

from snnsim import Events
from snnsim.kernels import random as keyed

MASK = 2**64 - 1


def mix(z: int) -> int:
    """SplitMix64's finaliser in Python's integers."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def reference(seed: int, epoch: int, stream: int, sample: int, counter: int) -> float:
    """One number of the generator in Python's integers."""
    step = 0x9E3779B97F4A7C15
    z = mix((seed + step) & MASK)
    for word in (epoch, stream, sample):
        z = mix((z + word * step) & MASK)
    return (mix((z + (counter + 1) * step) & MASK) >> 40) / 2**24


def draw_events(
    x: FloatArray, steps: int, *, seed: int = 1, epoch: int = 2, gain: float = 1.0, samples: list[int] | None = None
) -> Events:
    """Draw events into buffers of the documented size, with a guard behind."""
    batch, inputs = x.shape
    indptr = np.full(batch * steps + 1, -7)
    most = batch * steps * inputs
    indices = np.full(most + 8, -7, np.int32)
    numbers = np.arange(batch) if samples is None else np.array(samples)
    keyed.rate_events(seed, epoch, numbers, x, np.float32(gain), steps, indptr, indices)
    assert (indices[most:] == -7).all()
    return Events(indptr, indices[: indptr[-1]], None, steps, batch, (inputs,))


@given(seeds, st.integers(-1, 5), st.integers(0, 2**62))
def test_rate_events_follow_their_key(seed: int, epoch: int, sample: int) -> None:
    """An input fires where its number, hashed from seed, epoch, stream, sample, step and input, is below p."""
    x = np.linspace(0, 1, 7, dtype=np.float32)[None]
    events = draw_events(x, 3, seed=seed, epoch=epoch, samples=[sample])
    draws = np.array(
        [[reference(seed, epoch, keyed.RATE_STREAM, sample, t * 7 + i) for i in range(7)] for t in range(3)]
    )
    assert_same_events(events, Events.from_dense((draws < x)[:, None]))


def test_certain_and_impossible_events() -> None:
    """Probability 0 or less never fires, 1 or more fires at every step: the largest draw is below 1."""
    x = np.tile(np.array([-1, 0, 1, 2], np.float32), (50, 1))
    dense = draw_events(x, 40).to_dense()
    assert dense[..., :2].sum() == 0
    assert dense[..., 2:].all()


@pytest.mark.parametrize("p", [0.02, 0.3, 0.9])
def test_mean_rate(p: float) -> None:
    """Inputs fire as often as their probability says, and no more alike from step to step than chance allows."""
    dense = draw_events(np.full((40, 50), p, np.float32), 60).to_dense()
    deviation = np.sqrt(p * (1 - p) / dense.size)
    assert abs(dense.mean() - p) < 4 * deviation
    for axis in range(3):
        means = dense.mean(axis=axis)
        spread = means.std() / np.sqrt(p * (1 - p) / dense.shape[axis])
        assert 0.9 < spread < 1.1
    together = (dense[1:] * dense[:-1]).mean()
    assert abs(together - p * p) < 6 * deviation


def mask_of(p: float, *, seed: int = 1, epoch: int = 2, layer: int = 3, samples: NDArray[np.int64]) -> FloatArray:
    mask = np.full((samples.size, 40), np.nan, np.float32)
    keyed.dropout_mask(seed, epoch, layer, samples, p, np.float32(1.5), mask)
    return mask


def test_dropout_mask() -> None:
    """A mask is the scale with probability 1 - p, otherwise 0, and p = 0 and 1 are certain."""
    samples = np.arange(400)
    mask = mask_of(0.3, samples=samples)
    assert set(np.unique(mask)) == {np.float32(0), np.float32(1.5)}
    assert abs((mask == 0).mean() - 0.3) < 4 * np.sqrt(0.21 / mask.size)
    assert (mask_of(0.0, samples=samples) == 1.5).all()
    assert (mask_of(1.0, samples=samples) == 0).all()


@given(seeds, st.integers(0, 9), st.integers(0, 9), st.integers(0, 2**40))
def test_dropout_mask_follows_its_key(seed: int, epoch: int, layer: int, sample: int) -> None:
    """A neuron's mask is hashed from seed, epoch, layer, sample and neuron."""
    mask = mask_of(0.5, seed=seed, epoch=epoch, layer=layer, samples=np.array([sample]))
    draws = [reference(seed, epoch, keyed.DROPOUT_STREAM + layer, sample, j) for j in range(40)]
    assert (mask[0] > 0).tolist() == [draw >= 0.5 for draw in draws]


def test_every_word_of_the_key_matters() -> None:
    """Another seed, epoch, layer or sample gives another mask, and a layer's is not the rate encoder's stream."""
    samples = np.arange(20)
    masks = [
        mask_of(0.5, samples=samples),
        mask_of(0.5, samples=samples, seed=2),
        mask_of(0.5, samples=samples, epoch=3),
        mask_of(0.5, samples=samples, layer=4),
        mask_of(0.5, samples=samples + 1),
    ]
    for k, mask in enumerate(masks):
        for other in masks[:k]:
            assert 0.4 < (mask == other).mean() < 0.6
    fires = draw_events(np.full((20, 40), 0.5, np.float32), 1).to_dense()[0]
    for layer in range(5):
        assert 0.4 < ((mask_of(0.5, samples=samples, layer=layer) == 0) == (fires == 1)).mean() < 0.6


@given(dense_events(), seeds, st.sampled_from([0.0, 0.5, 1.0]))
def test_mask_events(x: FloatArray, seed: int, kept: float) -> None:
    """Events stay where the mask is not zero, multiplied by it, in buffers no larger than the events."""
    events = Events.from_dense(x)
    rng = np.random.default_rng(seed)
    mask = (2 * (rng.random((events.batch, events.size)) < kept)).astype(np.float32)
    values = np.empty(0, np.float32) if events.values is None else events.values
    indptr = np.full_like(events.indptr, -7)
    indices = np.full(events.indices.size + 1, -7, np.int32)
    out = np.full(indices.size, np.nan, np.float32)
    keyed.mask_events(events.indptr, events.indices, values, events.num_steps, mask, indptr, indices, out)
    masked = Events(
        indptr, indices[: indptr[-1]], out[: indptr[-1]], events.num_steps, events.batch, events.shape
    )
    masked.check()
    assert indices[-1] == -7
    assert_same_bits(masked.to_dense(), x * mask.reshape(1, *x.shape[1:]) + np.float32(0))
