"""What signals reach, counted with as few sums as the fan-out allows, against plain products."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from snnsim import Events
from snnsim.layers.fan_out import FanOut
from snnsim.layers.signals import Analog
from strategies import densities, seeds, spike_trains

INPUTS = 5
FAN_OUTS = {
    "the same for all": [[7, 7]] * INPUTS,
    "the same for all, some weights zero": [[7, 4]] * INPUTS,
    "dense, some weights zero": [[7, 7], [7, 5], [7, 0], [7, 7], [7, 6]],
    "borders": [[4, 4], [6, 6], [9, 9], [6, 6], [4, 4]],
    "borders, some weights zero": [[4, 3], [6, 6], [9, 5], [6, 0], [4, 4]],
    "borders, all weights zero": [[4, 0], [6, 0], [9, 0], [6, 0], [4, 0]],
}


def reached(present: NDArray[np.bool_], synapses: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what inputs [M, T, F] reach, [2, M]."""
    return np.asarray((present.sum(axis=1) @ synapses).T)


@pytest.mark.parametrize("rows", FAN_OUTS.values(), ids=FAN_OUTS)
@given(steps=st.integers(1, 4), samples=st.integers(1, 3), density=densities, seed=seeds)
def test_reached(rows: list[list[int]], steps: int, samples: int, density: float, seed: int) -> None:
    """Of events, of those of the first steps, and of values that are not zero; the number of events comes first."""
    synapses = np.array(rows)
    fan_out = FanOut(synapses)
    assert fan_out.total == synapses[:, 0].sum()
    dense = spike_trains(np.random.default_rng(seed), (steps, samples, INPUTS), density, graded=True)
    present = np.moveaxis(dense, 0, 1) != 0
    events = Events.from_dense(dense)
    for first in range(steps + 1):
        tally = fan_out.tally_first(events, first)
        assert tally[0].tolist() == present[:, :first].sum(axis=(1, 2)).tolist()
        np.testing.assert_array_equal(fan_out.reached(tally), reached(present[:, :first], synapses))
    for signal in (events, Analog(np.ascontiguousarray(np.moveaxis(dense, 0, 1), np.float32))):
        tally = fan_out.tally(signal)
        assert tally[0].tolist() == present.sum(axis=(1, 2)).tolist()
        np.testing.assert_array_equal(fan_out.reached(tally), reached(present, synapses))
