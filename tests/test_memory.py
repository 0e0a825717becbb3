"""Peak memory is set by the micro-batches in flight, not by the batch."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

from snnsim import Events, Network
from snnsim.encoders import BatchInput, EventInput, encode
from snnsim.layers.base import SampleKeys
from snnsim.losses import make_loss
from snnsim.regularizers import make_penalties
from snnsim.spec import EncoderChoice, LossChoice, RegularizerChoice
from strategies import spike_trains

INPUTS, HIDDEN, STEPS = 64, 256, 20
LAYERS: list[Any] = [
    {"dense": HIDDEN},
    {"lif": {"threshold": 0.1}},
    {"dropout": 0.2},
    {"dense": HIDDEN},
    {"lif": {"threshold": 0.1}},
    {"dense": 10},
    "li",
]
SMALL, LARGE = 128, 1024  # the smaller one already fills all workers' buffers


def batch_of(size: int, coding: str) -> BatchInput:
    rng = np.random.default_rng(0)
    keys = SampleKeys(0, 1, np.arange(size))
    if coding == "events":
        events = Events.from_dense(spike_trains(rng, (STEPS, size, INPUTS), 0.2, graded=False))
        return EventInput(events, keys)
    choice = EncoderChoice.model_validate({coding: {"num_steps": STEPS}})
    return encode(choice, rng.random((size, INPUTS), np.float32), (INPUTS,), keys)


def peak(batch: BatchInput, *, train: bool) -> int:
    """Return the bytes that a new network takes at most for a batch that exists already."""
    network = Network.from_config(LAYERS, input_shape=(INPUTS,))
    loss = make_loss(LossChoice.of("cross_entropy"))
    penalties = make_penalties([RegularizerChoice.model_validate({"rate_upper": 0.1})])
    labels = np.arange(batch.batch) % 10
    tracemalloc.start()
    try:
        if train:
            network.train_step(batch, labels, loss, penalties, threads=1)
        else:
            network.evaluate_batch(batch, threads=1)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("train", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("coding", ["events", "rate", "direct"])
def test_peak_memory_does_not_grow_with_the_batch(coding: str, train: bool) -> None:
    """Eight times the samples take no more memory, but for what is the batch's own: input currents, logits, counters.

    Membranes of 1024 samples would take 21 MB a layer.
    """
    peak(batch_of(SMALL, coding), train=train)
    small, large = (peak(batch_of(size, coding), train=train) for size in (SMALL, LARGE))
    # Direct coding keeps one current and one delta per sample and neuron, for all steps. Counters are 13 integers a
    # layer and sample, at most twice while they are joined.
    per_sample = (2 * 4 * HIDDEN if coding == "direct" else 0) + len(LAYERS) * 13 * 8 * 2 + 1024
    assert large - small < (LARGE - SMALL) * per_sample
    assert small > SMALL * STEPS, "nothing was measured"
