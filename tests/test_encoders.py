"""Encoders and dropout: a sample's random numbers are its own, whatever happens around it."""

from typing import Any

import numpy as np
import pytest

from oracles import assert_same_bits, assert_same_events
from snnsim import Events, Network
from snnsim.encoders import EVALUATION_EPOCH, BatchInput, ConstantInput, EventInput, RateInput, encode
from snnsim.layers.base import SampleKeys, Workspace
from snnsim.layers.signals import Analog
from snnsim.losses import make_loss
from snnsim.regularizers import make_penalties
from snnsim.spec import EncoderChoice, LossChoice
from strategies import FloatArray

SHAPE = (1, 8, 8)


def rate(num_steps: int = 20, gain: float = 1.0) -> EncoderChoice:
    return EncoderChoice.model_validate({"rate": {"num_steps": num_steps, "gain": gain}})


def pixels(batch: int) -> FloatArray:
    return np.random.default_rng(0).random((batch, 64), np.float32)


def events_of(batch: BatchInput, start: int = 0, stop: int | None = None) -> Events:
    signal = batch.signal(start, batch.batch if stop is None else stop, Workspace())
    assert isinstance(signal, Events)
    signal.check()
    return signal


def encoded(x: FloatArray, choice: EncoderChoice, *, seed: int = 0, epoch: int = 1, samples: object = None) -> Events:
    numbers = np.arange(len(x)) if samples is None else np.asarray(samples)
    return events_of(encode(choice, x, SHAPE, SampleKeys(seed, epoch, numbers)))


def test_direct_coding_passes_the_values_on() -> None:
    """Direct coding gives the first layer the analog values, once for all steps."""
    x = pixels(3)
    batch = encode(EncoderChoice.model_validate({"direct": {"num_steps": 7}}), x, SHAPE, SampleKeys(0, 1, np.arange(3)))
    assert isinstance(batch, ConstantInput)
    assert (batch.batch, batch.steps) == (3, 7)
    signal = batch.signal(1, 3, Workspace())
    assert isinstance(signal, Analog)
    assert_same_bits(signal.values, x[1:3, None])


def test_rate_coding_gives_binary_events_of_the_samples_shape() -> None:
    """Rate coding gives binary events, T steps of a sample's own shape."""
    batch = encode(rate(7), pixels(3), SHAPE, SampleKeys(0, 1, np.arange(3)))
    assert isinstance(batch, RateInput)
    events = events_of(batch)
    assert (events.num_steps, events.batch, events.shape, events.values) == (7, 3, SHAPE, None)


def test_a_samples_events_do_not_depend_on_its_batch() -> None:
    """Split, shuffled or alone: a sample's events are the same."""
    x = pixels(12)
    whole = encoded(x, rate())
    parts = encode(rate(), x, SHAPE, SampleKeys(0, 1, np.arange(12)))
    assert_same_events(Events.join([events_of(parts, 0, 5), events_of(parts, 5, 6), events_of(parts, 6)]), whole)
    order = np.random.default_rng(1).permutation(12)
    shuffled = encoded(x[order], rate(), samples=order)
    for place, b in enumerate(order):
        assert_same_events(shuffled.samples(place, place + 1), whole.samples(b, b + 1))


@pytest.mark.parametrize("other", [{"seed": 1}, {"epoch": 2}, {"samples": np.arange(100, 112)}])
def test_seed_epoch_and_sample_key_the_events(other: dict[str, Any]) -> None:
    """Another seed, another epoch and another sample draw other events, as many as chance gives."""
    x = np.full((12, 64), 0.5, np.float32)
    one, two = encoded(x, rate()).to_dense(), encoded(x, rate(), **other).to_dense()
    assert 0.47 < (one == two).mean() < 0.53


def test_more_steps_begin_like_fewer() -> None:
    """A sample's first steps do not depend on how many follow."""
    x = pixels(3)
    assert_same_bits(encoded(x, rate(20)).to_dense()[:5], encoded(x, rate(5)).to_dense())


@pytest.mark.parametrize("gain", [0.5, 1.0, 3.0])
def test_mean_rates(gain: float) -> None:
    """A pixel's rate over many steps is gain times its value, clipped to 1, within what chance allows."""
    x = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (20, 1))
    dense = encoded(x, rate(200, gain)).to_dense().reshape(200, 20, 64)
    p = np.minimum(gain * x[0], 1)
    deviation = np.sqrt(p * (1 - p) / (200 * 20))
    rates = dense.mean(axis=(0, 1))
    assert (np.abs(rates - p) <= 4.5 * deviation).all()
    assert (rates[p == 1] == 1).all()
    assert rates[0] == 0


def test_training_and_evaluation_draw_from_different_streams() -> None:
    """No epoch of training has the events of evaluation, which are the same whenever it runs."""
    x = np.full((4, 64), 0.5, np.float32)
    evaluation = encoded(x, rate(), epoch=EVALUATION_EPOCH).to_dense()
    for epoch in range(5):
        assert 0.45 < (encoded(x, rate(), epoch=epoch).to_dense() == evaluation).mean() < 0.55
    assert EVALUATION_EPOCH < 0


DROPOUT = [{"dense": 30}, {"lif": {"beta": 0.9, "threshold": 0.25}}, {"dropout": 0.4}, {"dense": 3}, "li"]


def test_dropout_is_nothing_in_evaluation() -> None:
    """A run has the same bits with and without dropout."""
    x = pixels(5)[None]
    with_it = Network.from_config(DROPOUT, input_shape=(64,))
    without = Network.from_config([layer for layer in DROPOUT if layer != {"dropout": 0.4}], input_shape=(64,))
    for (_, one), (_, other) in zip(without.parameters.items(), with_it.parameters.items(), strict=True):
        one[...] = other
    options: dict[str, Any] = {"input_coding": "direct", "num_steps": 6, "threads": 1}
    assert_same_bits(with_it.run(x, **options).logits, without.run(x, **options).logits)


def masks_seen(p: float, epoch: int, x: FloatArray, samples: list[int]) -> FloatArray:
    """Return the masks [B, F] of a dropout layer on the input, read off the gradient of an identity readout."""
    size = x.shape[2]
    network = Network.from_config([{"dropout": p}, {"dense": {"out": 2, "bias": False}}, "li"], input_shape=(size,))
    network.parameters["1.weight"][...] = 0
    masks = []
    for b, sample in enumerate(samples):
        # All logits are 0: the gradient of class 1's weights is -1/2 times the input as it came through, weighted.
        batch = EventInput(Events.from_dense(x[:, b : b + 1]), SampleKeys(0, epoch, np.array([sample])))
        step = network.train_step(batch, np.array([1]), make_loss(LossChoice.of("cross_entropy")), make_penalties([]))
        masks.append(step.gradients["1.weight"][1].copy() / -0.5)
    return np.array(masks)


def test_dropout_masks() -> None:
    """A sample's mask is constant over time, scales what it keeps by 1 / (1 - p), and changes with epoch and sample."""
    steps, size, p = 6, 200, 0.25
    # Input i has its only event at step i % T: were masks drawn per step, the same input would come and go with it.
    x = np.zeros((steps, 3, size), np.float32)
    x[np.arange(size) % steps, :, np.arange(size)] = 1
    weights = masks_seen(0.0, 1, x, [0, 1, 2])
    masks = masks_seen(p, 1, x, [0, 1, 2]) / weights
    kept = masks > 0.1
    np.testing.assert_allclose(masks[kept], 1 / (1 - p), rtol=1e-5)
    assert (masks[~kept] == 0).all()
    assert 0.6 < kept.mean() < 0.9
    all_steps = masks_seen(p, 1, np.ones((steps, 3, size), np.float32), [0, 1, 2]) > 0.1
    assert np.array_equal(all_steps, kept)
    assert np.array_equal(masks_seen(p, 1, x[:, ::-1], [2, 0, 1]) > 0.1, kept[[2, 0, 1]])
    assert (kept[0] != kept[1]).any()
    assert ((masks_seen(p, 2, x, [0, 1, 2]) > 0.1) != kept).any()
