"""Events: the compressed form of spike trains, and what it refuses."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from oracles import assert_same_bits, assert_same_events
from snnsim import Events, InputError
from strategies import FloatArray, dense_events


@given(dense_events())
def test_dense_to_events_and_back(x: FloatArray) -> None:
    """Dense spike trains come back from their events unchanged, graded ones with their values."""
    events = Events.from_dense(x)
    events.check()
    assert_same_bits(events.to_dense(), x)
    assert events.indices.size == np.count_nonzero(x)
    assert (events.values is None) == np.isin(x, [0, 1]).all()
    assert events.size == np.prod(x.shape[2:])


@given(dense_events())
def test_buckets_are_sample_major(x: FloatArray) -> None:
    """Bucket b * T + t holds the neurons, row-major and sorted, of sample b at step t."""
    events = Events.from_dense(x)
    steps, batch = x.shape[:2]
    for b in range(batch):
        for t in range(steps):
            r = b * steps + t
            bucket = events.indices[events.indptr[r] : events.indptr[r + 1]]
            assert bucket.tolist() == np.flatnonzero(x[t, b].reshape(-1)).tolist()


@given(dense_events())
def test_events_per_sample(x: FloatArray) -> None:
    """per_sample counts the events of each sample over all steps."""
    expected = np.count_nonzero(x.swapaxes(0, 1).reshape(x.shape[1], -1), axis=1)
    assert Events.from_dense(x).per_sample.tolist() == expected.tolist()


@given(dense_events(), st.data())
def test_samples_are_cut_out(x: FloatArray, data: st.DataObject) -> None:
    """Some of the samples are events in canonical form themselves, in the same memory."""
    events = Events.from_dense(x)
    start = data.draw(st.integers(0, events.batch - 1))
    stop = data.draw(st.integers(start + 1, events.batch))
    part = events.samples(start, stop)
    part.check()
    assert_same_bits(part.to_dense(), x[:, start:stop])
    assert (part.values is None) == (events.values is None)
    assert part.indices.size == 0 or np.shares_memory(part.indices, events.indices)


@given(dense_events(), st.data())
def test_steps_are_cut_out(x: FloatArray, data: st.DataObject) -> None:
    """Some of the steps are events in canonical form themselves."""
    events = Events.from_dense(x)
    start = data.draw(st.integers(0, events.num_steps - 1))
    stop = data.draw(st.integers(start + 1, events.num_steps))
    part = events.steps(start, stop)
    part.check()
    assert_same_bits(part.to_dense(), x[start:stop])
    assert (part.values is None) == (events.values is None)


@given(dense_events(), st.data())
def test_joining_undoes_cutting(x: FloatArray, data: st.DataObject) -> None:
    """Parts of a batch, one after another, are the batch."""
    events = Events.from_dense(x)
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, events.batch - 1)), max_size=3)) - {events.batch})
    bounds = [0, *cuts, events.batch]
    parts = [events.samples(a, b) for a, b in pairwise(bounds)]
    assert_same_events(Events.join(parts), events)


@given(dense_events())
def test_copies_share_no_memory(x: FloatArray) -> None:
    """A copy equals the original and does not change with it."""
    events = Events.from_dense(x)
    copy = events.copy()
    assert_same_events(copy, events)
    for name in ("indptr", "indices", "values"):
        mine, theirs = getattr(copy, name), getattr(events, name)
        assert mine is None or not np.shares_memory(mine, theirs)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float64])
def test_any_number_type(dtype: type) -> None:
    """Spike trains may be of any type of number; values become float32."""
    x: NDArray[Any] = np.array([[[0, 1, 1]], [[1, 0, 0]]]).astype(dtype)
    assert Events.from_dense(x).values is None
    assert Events.from_dense(x).to_dense().dtype == np.float32
    graded = Events.from_dense(x.astype(np.float64) * 2)
    assert graded.values is not None
    assert graded.values.dtype == np.float32
    assert graded.values.tolist() == [2, 2, 2]


@pytest.mark.parametrize("x", [0, [1, 0], [[1, 0]]])
def test_too_few_axes(x: object) -> None:
    """An array without steps, samples and neurons is refused with its shape."""
    with pytest.raises(InputError, match=r"x: must be \[steps, samples, \.\.\.\], none of them empty \(got shape"):
        Events.from_dense(x)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers(bad: float) -> None:
    """NaN and infinity are no events."""
    with pytest.raises(InputError, match="x: holds NaN, infinite values"):
        Events.from_dense([[[0, bad]]])


def example(*, graded: bool = False) -> Events:
    """Two samples of two steps, four neurons: buckets [0 2], [1], [], [0 3]."""
    values = np.array([1, 2, 3, 4, 5], np.float32) if graded else None
    indptr, indices = np.array([0, 2, 3, 3, 5]), np.array([0, 2, 1, 0, 3], np.int32)
    return Events(indptr, indices, values, 2, 2, (4,))


@pytest.mark.parametrize("graded", [False, True])
def test_sound_events_pass_the_check(graded: bool) -> None:
    """Events in canonical form pass, binary and graded, and say what they are."""
    events = example(graded=graded)
    events.check()
    assert repr(events) == f"Events(5 {'graded' if graded else 'binary'}, batch=2, num_steps=2, shape=(4,))"


INT = np.int32
DAMAGE: dict[str, tuple[dict[str, Any], str]] = {
    "no steps": ({"num_steps": 0}, "steps"),
    "no samples": ({"batch": 0}, "samples"),
    "indptr of another type": ({"indptr": np.array([0, 2, 3, 3, 5], INT)}, "indptr must be int64"),
    "indices of another type": ({"indices": np.array([0, 2, 1, 0, 3])}, "indices int32"),
    "indptr too short": ({"indptr": np.array([0, 2, 3, 5])}, r"batch \* num_steps \+ 1 entries"),
    "indptr too long": ({"indptr": np.array([0, 2, 3, 3, 5, 5])}, r"batch \* num_steps \+ 1 entries"),
    "indptr begins late": ({"indptr": np.array([1, 2, 3, 3, 5])}, "begin with 0"),
    "indptr falls": ({"indptr": np.array([0, 3, 2, 3, 5])}, "must not fall"),
    "indptr ends early": ({"indptr": np.array([0, 2, 3, 3, 4])}, "end with the number of events"),
    "indptr ends late": ({"indptr": np.array([0, 2, 3, 3, 6])}, "end with the number of events"),
    "neuron below": ({"indices": np.array([-1, 2, 1, 0, 3], INT)}, "outside the layer of 4"),
    "neuron above": ({"indices": np.array([0, 2, 1, 0, 4], INT)}, "outside the layer of 4"),
    "layer smaller": ({"shape": (3,)}, "outside the layer of 3"),
    "bucket not sorted": ({"indices": np.array([2, 0, 1, 0, 3], INT)}, "sorted"),
    "neuron twice": ({"indices": np.array([0, 2, 1, 3, 3], INT)}, "at most once"),
    "too few values": ({"values": np.ones(4, np.float32)}, "one finite value per event"),
    "value not a number": ({"values": np.array([1, np.nan, 1, 1, 1], np.float32)}, "one finite value per event"),
    "value infinite": ({"values": np.array([1, np.inf, 1, 1, 1], np.float32)}, "one finite value per event"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_events_are_refused(kind: str) -> None:
    """Each kind of damage is refused before a kernel could read outside its arrays."""
    changes, message = DAMAGE[kind]
    with pytest.raises(InputError, match=message):
        replace(example(), **changes).check()


@pytest.mark.parametrize(
    "changes",
    [
        {"indices": np.array([[0, 2, 1, 0, 3]], INT)},
        {"values": np.ones(5, np.float64)},
        {"values": np.array([1, 0, 1, 1, 1], np.float32)},
    ],
    ids=["indices of two axes", "values of another type", "value zero"],
)
def test_what_is_no_event_is_refused(changes: dict[str, Any]) -> None:
    """Indices that are no list, values that are no float32, and events of value zero (counted, yet nothing) go."""
    with pytest.raises(InputError, match="events: "):
        replace(example(), **changes).check()
