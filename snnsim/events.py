"""Spike trains of a batch as time-bucketed event queues."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnsim.errors import InputError


@dataclass(frozen=True, eq=False)
class Events:
    """Spike trains in compressed form: one bucket per sample and step; that of sample b and step t is ``b * T + t``.

    Attributes
    ----------
    indptr : int64 [B * T + 1]
        Bucket r holds the events ``indptr[r]`` to ``indptr[r + 1]``.
    indices : int32 [events]
        Which neuron fired (row-major in ``shape``), sorted within a bucket, no neuron twice.
    values : float32 [events] or None
        Sizes of graded events; None for binary ones.
    num_steps, batch : int
        T and B.
    shape : tuple of int
        Shape of the layer that fires, for example ``(256,)`` or ``(2, 34, 34)``.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.float32] | None
    num_steps: int
    batch: int
    shape: tuple[int, ...]

    @classmethod
    def from_dense(cls, x: ArrayLike) -> "Events":
        """Take the nonzero entries of ``x`` [T, B, ...] as events: binary if all are 1, otherwise graded.

        Raises
        ------
        InputError
            ``x`` has fewer than three axes, or holds NaN or infinity.
        """
        dense = np.asarray(x)
        if dense.ndim < 3 or 0 in dense.shape:
            raise InputError(f"x: must be [steps, samples, ...], none of them empty (got shape {list(dense.shape)})")
        steps, batch = dense.shape[:2]
        rows = np.moveaxis(as_float32(dense), 0, 1).reshape(batch * steps, -1)
        row, index = np.nonzero(rows)
        size = rows[row, index]
        indptr = np.zeros(batch * steps + 1, np.int64)
        np.cumsum(np.bincount(row, minlength=batch * steps), out=indptr[1:])
        values = None if (size == 1).all() else size
        return cls(indptr, index.astype(np.int32), values, steps, batch, dense.shape[2:])

    @classmethod
    def join(cls, parts: "list[Events]") -> "Events":
        """Put the samples of several parts (same steps, same shape) one after another."""
        offsets = np.cumsum([0, *(part.indices.size for part in parts)])
        indptr = [np.zeros(1, np.int64)]
        indptr += [part.indptr[1:] + offset for part, offset in zip(parts, offsets, strict=False)]
        graded = parts[0].values is not None
        return cls(
            np.concatenate(indptr),
            np.concatenate([part.indices for part in parts]),
            np.concatenate([part.values for part in parts if part.values is not None]) if graded else None,
            parts[0].num_steps,
            sum(part.batch for part in parts),
            parts[0].shape,
        )

    @property
    def size(self) -> int:
        """Number of neurons of the layer that fires."""
        return math.prod(self.shape)

    @cached_property
    def per_sample(self) -> NDArray[np.int64]:
        """Number of events of each sample, int64 [B]."""
        return self.in_first(self.num_steps)

    def in_first(self, steps: int) -> NDArray[np.int64]:
        """Return the number of events of each sample in its first steps, int64 [B]."""
        return self.indptr[steps :: self.num_steps][: self.batch] - self.indptr[: -1 : self.num_steps]

    def by_step(self, amounts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Add up an amount of each event [events] by step and sample, int64 [T, B]."""
        sums = np.concatenate([[0], np.cumsum(amounts)])
        return np.diff(sums[self.indptr]).reshape(self.batch, self.num_steps).T

    def samples(self, start: int, stop: int) -> "Events":
        """Return the samples ``start`` to ``stop`` (a view of the same events)."""
        indptr = self.indptr[start * self.num_steps : stop * self.num_steps + 1]
        first, last = indptr[0], indptr[-1]
        values = None if self.values is None else self.values[first:last]
        return Events(indptr - first, self.indices[first:last], values, self.num_steps, stop - start, self.shape)

    def steps(self, start: int, stop: int) -> "Events":
        """Return the events of the steps ``start`` to ``stop``, in memory of their own."""
        rows = np.arange(self.batch)[:, None] * self.num_steps + np.arange(start, stop + 1)
        ends = self.indptr[rows]
        indptr = np.zeros(self.batch * (stop - start) + 1, np.int64)
        np.cumsum(np.diff(ends), out=indptr[1:])
        ranges = list(zip(ends[:, 0].tolist(), ends[:, -1].tolist(), strict=True))
        indices = np.concatenate([self.indices[first:last] for first, last in ranges])
        values = self.values
        if values is not None:
            values = np.concatenate([values[first:last] for first, last in ranges])
        return Events(indptr, indices, values, stop - start, self.batch, self.shape)

    def copy(self) -> "Events":
        """Return the same events in memory of their own."""
        values = None if self.values is None else self.values.copy()
        return Events(self.indptr.copy(), self.indices.copy(), values, self.num_steps, self.batch, self.shape)

    def to_dense(self) -> NDArray[np.float32]:
        """Return the spike trains as float32 [T, B, ...]: a view for people, never the path."""
        dense = np.zeros((self.batch * self.num_steps, self.size), np.float32)
        rows = np.repeat(np.arange(self.indptr.size - 1), np.diff(self.indptr))
        dense[rows, self.indices] = 1 if self.values is None else self.values
        return np.moveaxis(dense.reshape(self.batch, self.num_steps, *self.shape), 1, 0)

    def total(self) -> NDArray[np.float32]:
        """Return the events summed over time, float32 [B, N]."""
        cells = np.repeat(np.arange(self.batch) * self.size, self.per_sample) + self.indices
        summed = np.bincount(cells, self.values, minlength=self.batch * self.size)
        return summed.astype(np.float32).reshape(self.batch, self.size)

    def check(self) -> None:
        """Check what the kernels rely on.

        Raises
        ------
        InputError
            A bucket that is not sorted, a neuron outside the layer, or arrays that do not fit together.
        """
        if self.num_steps < 1 or self.batch < 1:
            raise InputError(f"events: {self.batch} samples of {self.num_steps} steps")
        if self.indptr.dtype != np.int64 or self.indices.dtype != np.int32 or self.indices.ndim != 1:
            raise InputError("events: indptr must be int64 and indices int32, each of one axis")
        if self.indptr.shape != (self.batch * self.num_steps + 1,) or self.indptr[0] != 0:
            raise InputError("events: indptr must begin with 0 and have batch * num_steps + 1 entries")
        if (np.diff(self.indptr) < 0).any() or self.indptr[-1] != self.indices.size:
            raise InputError("events: indptr must not fall and must end with the number of events")
        if self.indices.size and not 0 <= self.indices.min() <= self.indices.max() < self.size:
            raise InputError(f"events: an index lies outside the layer of {self.size} neurons")
        buckets = np.repeat(np.arange(self.indptr.size - 1), np.diff(self.indptr))
        same = buckets[1:] == buckets[:-1]
        if (np.diff(self.indices)[same] <= 0).any():
            raise InputError("events: the indices of a bucket must be sorted, each at most once")
        if self.values is not None:
            fits = self.values.shape == self.indices.shape and self.values.dtype == np.float32
            if not fits or not np.isfinite(self.values).all() or not self.values.all():
                raise InputError("events: there must be one finite value per event, float32 and not zero")

    def __repr__(self) -> str:
        kind = "binary" if self.values is None else "graded"
        return f"Events({self.indices.size} {kind}, batch={self.batch}, num_steps={self.num_steps}, shape={self.shape})"


def as_float32(x: NDArray[Any]) -> NDArray[np.float32]:
    """Return values as float32.

    Raises
    ------
    InputError
        They are not numbers, or some is NaN, infinite, or too large for float32.
    """
    if x.dtype.kind not in "biuf":
        raise InputError(f"x: must be numbers (got {x.dtype})")
    with np.errstate(over="ignore"):
        values = x.astype(np.float32, copy=False)
    if x.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError("x: holds NaN, infinite values, or values too large for float32")
    return values
