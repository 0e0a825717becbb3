"""Deterministic splits into training, validation and test samples.

The order is fixed: it depends on the number of samples alone, not on the run's seed, nor on the versions of
Python and NumPy. Row ``i`` gets the key ``mix(i)`` of SplitMix64 [1]_, and the rows are sorted by their keys.

- Test: the set's own test part; where it has none, ``ceil(N/5)`` rows, stratified: each class gives its share
  (largest remainders first) from the front of its rows in the fixed order, and keeps at least one row. Values have
  no classes: all rows are one.
- Training rows are put into a second fixed order; ``limit`` keeps the first rows of it.
- Validation: the last tenth of those (``N // 10``, at least one).

References
----------
.. [1] Steele, Lea & Flood, Fast splittable pseudorandom number generators, OOPSLA 2014.
   doi:10.1145/2660193.2660195
"""

import numpy as np

from snnsim.datasets.samples import Dataset, RawSet, Rows, Samples, Stored, Targets
from snnsim.errors import DataError

_TEST, _SHUFFLE = 1, 2  # each purpose has an order of its own


def fixed_order(count: int, purpose: int) -> Rows:
    """Permute ``0..count-1``, the same way every time."""
    z = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(purpose << 40)
    z = z * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.argsort(z ^ (z >> np.uint64(31))).astype(np.int64, copy=False)


def stratified_test_rows(targets: Targets) -> Rows:
    """Choose a fifth of the rows for testing, the classes in the same proportions; in ascending order."""
    y = targets.astype(np.int64) if targets.ndim == 1 else np.zeros(len(targets), np.int64)
    sizes = np.bincount(y)
    wanted = -(-len(y) // 5)
    quota = np.minimum(sizes * wanted // len(y), np.maximum(sizes - 1, 0))
    remainder = sizes * wanted % len(y)
    for label in np.argsort(-remainder, kind="stable"):
        if quota.sum() < wanted and quota[label] < sizes[label] - 1:
            quota[label] += 1
    order = fixed_order(len(y), _TEST)
    return np.sort(np.concatenate([order[y[order] == label][:size] for label, size in enumerate(quota)]))


def training_rows(count: int, limit: int | None) -> tuple[Rows, Rows]:
    """Give the positions of training and validation samples among ``count`` samples for training.

    Raises
    ------
    DataError
        Fewer than two samples: one is needed for training and one for validation.
    """
    rows = fixed_order(count, _SHUFFLE)[:limit]
    if len(rows) < 2:
        raise DataError(
            f"at least 2 samples are needed, one for training and one for validation (got {len(rows)})",
            ("data", "limit") if count >= 2 else (),
        )
    valid = max(1, len(rows) // 10)
    return rows[:-valid], rows[-valid:]


def limited_rows(count: int, limit: int | None) -> Rows:
    """Give the positions of the test samples under a limit: the first of a fixed order, then ascending."""
    if limit is None or limit >= count:
        return np.arange(count, dtype=np.int64)
    return np.sort(fixed_order(count, _SHUFFLE)[:limit])


def take(x: Stored, y: Targets, rows: Rows) -> Samples:
    """Copy some rows out of a set."""
    return Samples(x[rows], y[rows], rows)


def held_out(raw: RawSet, limit: int | None = None) -> Samples:
    """Give the test part of a set: its own, or a stratified fifth.

    Raises
    ------
    DataError
        The set has no test part and is too small to have one set aside.
    """
    if raw.x_test is not None and raw.y_test is not None:
        return take(raw.x_test, raw.y_test, limited_rows(len(raw.y_test), limit))
    rows = stratified_test_rows(raw.y)
    if not len(rows):
        which = "no class has a second sample" if raw.y.ndim == 1 else "there is no second sample"
        raise DataError(
            f"{raw.name}: {which} that could be set aside for testing; give x_test and y_test, or more samples"
        )
    return take(raw.x, raw.y, rows[limited_rows(len(rows), limit)])


def split(raw: RawSet, limit: int | None = None) -> Dataset:
    """Split a set into its three parts.

    Parameters
    ----------
    raw
        The set as read.
    limit
        At most so many samples for training (validation included), and at most so many for testing.

    Raises
    ------
    DataError
        Too few samples for three parts that are not empty.
    """
    rows = np.arange(len(raw.y), dtype=np.int64)
    if raw.x_test is None:
        rows = np.delete(rows, stratified_test_rows(raw.y))
    test = held_out(raw, limit)
    train, valid = training_rows(len(rows), limit)
    return Dataset(
        name=raw.name,
        train=take(raw.x, raw.y, rows[train]),
        valid=take(raw.x, raw.y, rows[valid]),
        test=test,
        input_shape=raw.x.shape[1:],
        classes=raw.classes,
        scale=raw.scale,
        skipped=raw.skipped,
        class_names=raw.class_names,
    )
