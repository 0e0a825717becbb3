from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from snnsim.datasets import Samples
from snnsim.datasets.samples import RawSet
from snnsim.datasets.splits import fixed_order, limited_rows, split, stratified_test_rows, training_rows
from snnsim.errors import DataError

label_lists = st.lists(st.integers(0, 6), min_size=1, max_size=120).map(lambda y: np.array(y, dtype=np.int64))


def own(y: NDArray[np.int64], y_test: NDArray[np.int64] | None = None) -> RawSet:
    """Make a set whose values tell the row: x[i] = [i, 2 * i], 1000 more in the test part."""

    def rows(count: int, first: int) -> NDArray[np.float32]:
        column = np.arange(first, first + count, dtype=np.float32)
        return np.stack([column, 2 * column], axis=1)

    x_test = None if y_test is None else rows(len(y_test), 1000)
    return RawSet("own", rows(len(y), 0), y, x_test, y_test, int(y.max()) + 1, 1.0)


def test_the_order_never_changes() -> None:
    """The fixed order is the one that was published, so that splits stay the same over all versions."""
    assert fixed_order(12, 1).tolist() == [11, 1, 0, 10, 2, 7, 4, 8, 9, 3, 6, 5]
    assert fixed_order(12, 2).tolist() == [0, 5, 2, 3, 9, 7, 4, 11, 10, 8, 6, 1]


def test_mixing_is_splitmix64() -> None:
    """The keys are SplitMix64's: sorting its published outputs gives the order of purpose 0."""
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]

    assert fixed_order(4, 0).tolist() == sorted(range(4), key=published.__getitem__)


@given(st.integers(0, 500), st.integers(0, 3))
def test_order_is_a_permutation(count: int, purpose: int) -> None:
    """Every row occurs exactly once."""
    assert sorted(fixed_order(count, purpose).tolist()) == list(range(count))


@settings(deadline=None)
@given(label_lists.filter(lambda y: len(y) > 1))
def test_stratified_rows_keep_the_proportions(y: NDArray[np.int64]) -> None:
    """No class gives its last row; each gives its share of ceil(N/5) rows, up or down by less than one."""
    rows = stratified_test_rows(y)

    sizes = np.bincount(y)
    chosen = np.bincount(y[rows], minlength=len(sizes))
    assert len(set(rows.tolist())) == len(rows)
    assert rows.tolist() == sorted(rows.tolist())
    assert (chosen < sizes)[sizes > 0].all()
    if (sizes[sizes > 0] > 1).all():
        assert len(rows) == -(-len(y) // 5)
        assert (np.abs(chosen - sizes * len(rows) / len(y)) < 1).all()


@settings(deadline=None)
@given(label_lists, st.none() | st.integers(2, 130))
def test_parts_cover_the_set_without_overlap(y: NDArray[np.int64], limit: int | None) -> None:
    """No row is in two parts; without a limit each is in one; values, labels and row numbers belong together."""
    raw = own(y)
    try:
        parts = split(raw, limit)
    except DataError:
        assert len(y) - len(stratified_test_rows(y)) < 2 or np.bincount(y).max() < 2
        return

    rows = np.concatenate([part.index for part in (parts.train, parts.valid, parts.test)]).tolist()
    assert len(set(rows)) == len(rows)
    if limit is None:
        assert sorted(rows) == list(range(len(y)))
    else:
        assert len(parts.train) + len(parts.valid) <= limit
        assert len(parts.test) <= limit
    for part in (parts.train, parts.valid, parts.test):
        assert len(part) > 0
        np.testing.assert_array_equal(part.x, raw.x[part.index])
        np.testing.assert_array_equal(part.y, y[part.index])


@given(st.integers(2, 300))
def test_a_tenth_is_for_validation(count: int) -> None:
    """Validation is the last tenth of the shuffled training rows, at least one."""
    train, valid = training_rows(count, None)

    assert len(valid) == max(1, count // 10)
    assert [*train, *valid] == fixed_order(count, 2).tolist()


def test_limit_keeps_the_first_of_the_fixed_order() -> None:
    """A limit is taken of all training samples, before validation is taken off."""
    train, valid = training_rows(1000, 50)

    assert [*train, *valid] == fixed_order(1000, 2)[:50].tolist()
    assert len(valid) == 5


@pytest.mark.parametrize("limit", [100, 101, 10**9, None])
def test_limit_beyond_the_set_is_all_of_it(limit: int | None) -> None:
    """A limit that is as large as the set or larger changes nothing."""
    assert [len(rows) for rows in training_rows(100, limit)] == [90, 10]
    assert limited_rows(100, limit).tolist() == list(range(100))


def test_limited_test_rows_are_ascending_and_spread() -> None:
    """A limited test part is not simply the first rows, which may all be of one class."""
    rows = limited_rows(1000, 20).tolist()

    assert rows == sorted(set(rows))
    assert len(rows) == 20
    assert max(rows) > 500


def test_limit_below_the_number_of_classes() -> None:
    """With fewer samples than classes the number of classes stays that of the whole set."""
    parts = split(own(np.arange(100) % 10), limit=3)

    assert (len(parts.train), len(parts.valid), len(parts.test)) == (2, 1, 3)
    assert parts.classes == 10


def test_limit_of_one_leaves_nothing_to_validate() -> None:
    """A limit of one sample is refused, and the key to change is named."""
    with pytest.raises(DataError, match="at least 2 samples are needed") as caught:
        split(own(np.arange(100) % 10), limit=1)

    assert caught.value.path == ("data", "limit")


def test_own_test_part_is_used() -> None:
    """With x_test nothing is set aside: all of x is for training and validation."""
    parts = split(own(np.arange(30) % 3, np.arange(12) % 3))

    assert len(parts.train) + len(parts.valid) == 30
    assert parts.test.index.tolist() == list(range(12))
    assert parts.test.values[:, 0].tolist() == list(range(1000, 1012))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0], "no class has a second sample"),
        ([0, 1, 2], "no class has a second sample"),
        ([0, 0], "at least 2 samples are needed"),
    ],
)
def test_too_small_to_split(y: list[int], message: str) -> None:
    """A set that cannot fill three parts is refused with the reason."""
    with pytest.raises(DataError, match=message):
        split(own(np.array(y)))


def test_same_parts_every_time() -> None:
    """Two splits of one set are equal, whatever random numbers were drawn in between."""
    y = np.arange(200) % 7

    def flat(parts: Any) -> list[int]:
        samples: list[Samples] = [parts.train, parts.valid, parts.test]
        return [int(row) for part in samples for row in part.index]

    first = flat(split(own(y)))
    np.random.default_rng().random(10)
    assert flat(split(own(y))) == first
