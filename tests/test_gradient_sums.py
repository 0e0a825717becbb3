"""Sums of gradients: micro-batches add to them in order, whoever carries them; what is cut into pieces is whole."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnsim import Events, Network
from snnsim.encoders import EventInput
from snnsim.execution import PIECE, pieces
from snnsim.gradient_sums import SUMS, GradientSums, Share
from snnsim.losses import Loss, SoftmaxCrossEntropy
from snnsim.regularizers import Penalties


@given(st.lists(st.integers(0, 3 * PIECE), max_size=6))
def test_pieces_cover_all(sizes: list[int]) -> None:
    """Every number of every array is in one piece, in order, and no task has more than it should."""
    tasks = pieces(sizes)
    assert all(sum(part.stop - part.start for _, part in task) <= PIECE for task in tasks)
    for number, size in enumerate(sizes):
        parts = [part for task in tasks for which, part in task if which == number]
        assert [part.start for part in parts] == [0, *(part.stop for part in parts)][: len(parts)]
        assert (parts[-1].stop if parts else 0) == size
    assert len(tasks) == max(1, -(-sum(sizes) // PIECE))


def network() -> Network:
    return Network.from_config([{"dense": 6}, "lif", {"dense": 3}, "li"], input_shape=(4,), seed=1)


def shares(count: int) -> tuple[GradientSums, list[Share]]:
    sums = GradientSums(network().layers)
    return sums, sums.shares(count, None)


def in_turn(task: Callable[[int], None], count: int) -> None:
    for k in range(count):
        task(k)


def test_turns() -> None:
    """A micro-batch waits for the one before in its sum, layer by layer; others it does not wait for."""
    _, of_batch = shares(SUMS + 1)
    first, last = of_batch[0], of_batch[SUMS]
    for share in of_batch[:SUMS]:
        share.of(0)["weight"][...] = 1
    begun, finished = Event(), Event()

    def later() -> None:
        begun.set()
        last.of(0)["weight"][...] += 1
        finished.set()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(later)
        begun.wait()
        assert not finished.wait(0.05)
        first.done(2)  # another layer's
        assert not finished.wait(0.05)
        first.done(0)
        waiting.result(timeout=10)
    assert (first.of(0)["weight"] == 2).all()
    assert (of_batch[1].of(0)["weight"] == 1).all()


def test_sums_begin_at_zero_and_are_added() -> None:
    """What a batch before has left is gone; the total is that of all sums, and another batch's sums are the same."""
    sums, of_batch = shares(3)
    for _ in range(2):
        for k, share in enumerate(of_batch):
            for layer in (2, 0):
                for gradient in share.of(layer).values():
                    gradient += 10**k
                share.done(layer)
        total = sums.total(3, None, in_turn)
        for gradients in total.values():
            for gradient in gradients.values():
                assert (gradient == 111).all()
        assert list(total) == [0, 2]
        of_batch = sums.shares(3, None)


class Failing(SoftmaxCrossEntropy):
    """A loss that fails on its second call."""

    calls = 0
    error: BaseException

    def __call__(self, z: Any, targets: Any, steps: int) -> Any:
        type(self).calls += 1
        if self.calls == 2:
            raise self.error
        return super().__call__(z, targets, steps)


@pytest.mark.parametrize("error", [RuntimeError("as if memory had run out"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_failure_keeps_nobody_waiting(threads: int, error: BaseException) -> None:
    """An error in one micro-batch, or Ctrl-C, reaches the caller, and the next batch is as if nothing had been."""
    rng = np.random.default_rng(0)
    batch = EventInput(Events.from_dense(rng.random((200, 150, 4)) < 0.3))
    labels = rng.integers(0, 3, 150)
    one, other = network(), network()
    Failing.calls, Failing.error = 0, error
    loss: Loss = Failing(0.0)
    with pytest.raises(type(error)):
        one.train_step(batch, labels, loss, Penalties(), threads=threads)
    expected = other.train_step(batch, labels, SoftmaxCrossEntropy(0.0), Penalties(), threads=threads)
    step = one.train_step(batch, labels, SoftmaxCrossEntropy(0.0), Penalties(), threads=threads)
    assert step.loss == expected.loss
    for name, gradient in expected.gradients.items():
        np.testing.assert_array_equal(step.gradients[name], gradient)
