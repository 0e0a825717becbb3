import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnsim.encoders import encode, encoded_shape, encoded_steps, latency_events
from snnsim.layers.base import SampleKeys, Workspace
from snnsim.spec import EncoderChoice, Latency

values = st.lists(st.floats(0, 1, width=32), min_size=6, max_size=6)


def test_large_values_fire_early() -> None:
    """Value v fires at step floor((1 - v) * T); 1 at the first, a small one at the last, 0 never."""
    x = np.array([[1.0, 0.75, 0.5, 0.01, 0.0]], np.float32)

    events = latency_events(x, 4, 0.0, (5,))

    assert np.argwhere(events.to_dense()[:, 0]).tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]


def test_cutoff_and_values_out_of_range() -> None:
    """Values up to the cutoff and negative ones never fire; values above 1 fire at the first step."""
    x = np.array([[0.2, 0.21, -1.0, 7.0]], np.float32)

    events = latency_events(x, 10, 0.2, (4,))

    assert np.argwhere(events.to_dense()[:, 0]).tolist() == [[0, 3], [7, 1]]


@given(st.lists(values, min_size=1, max_size=4), st.integers(1, 30))
def test_every_positive_value_fires_once(rows: list[list[float]], steps: int) -> None:
    """No input fires twice, larger values never later, and the events are well formed."""
    x = np.array(rows, np.float32)

    events = latency_events(x, steps, 0.0, (2, 3))

    events.check()
    dense = events.to_dense().reshape(steps, len(rows), 6)
    np.testing.assert_array_equal(dense.sum(axis=0), x > 0)
    times = np.where(x > 0, dense.argmax(axis=0), steps)
    order = np.argsort(-x, axis=1, kind="stable")
    assert (np.diff(np.take_along_axis(times, order, axis=1), axis=1) >= 0).all()


def test_in_the_configuration() -> None:
    """A short form gives the number of steps; shape and steps are those of the network's input."""
    choice = EncoderChoice.of({"latency": 8})
    assert choice.options == Latency(num_steps=8, cutoff=0.0)
    assert (encoded_shape(choice, (1, 2, 3)), encoded_steps(choice, (1, 2, 3))) == ((1, 2, 3), 8)
    keys = SampleKeys(0, 0, np.arange(1))

    batch = encode(choice, np.ones((1, 6), np.float32), (1, 2, 3), keys)

    assert (batch.batch, batch.steps) == (1, 8)
    signal = batch.signal(0, 1, Workspace())
    assert signal.shape == (1, 2, 3)  # type: ignore[union-attr]


@pytest.mark.parametrize("wrong", [{"cutoff": 1.0}, {"cutoff": -0.1}, {"num_steps": 0}])
def test_ranges(wrong: dict[str, float]) -> None:
    """A cutoff that nothing exceeds, or no steps at all, are refused."""
    with pytest.raises(ValueError, match="latency"):
        EncoderChoice.of({"latency": wrong})
