"""Samples moved about: the same shift for all steps, drawn from seed, epoch and sample alone."""

import numpy as np
from numpy.typing import NDArray

from snnsim.events import Events
from snnsim.kernels import random as keyed
from snnsim.layers.base import SampleKeys

Shifts = NDArray[np.int64]


def draw_shifts(keys: SampleKeys, largest: int) -> Shifts:
    """Draw a shift [B, 2] for each sample, down and to the right, whole numbers from -largest to largest."""
    shifts = np.empty((keys.samples.size, 2), np.int64)
    keyed.draw_shifts(keys.seed, keys.epoch, keys.samples, largest, shifts)
    return shifts


def shift_images(x: NDArray[np.generic], shifts: Shifts) -> NDArray[np.generic]:
    """Move images [B, C, H, W]; what comes in from outside is zero."""
    moved = np.zeros_like(x)
    height, width = x.shape[2:]
    for image, target, (down, right) in zip(x, moved, shifts.tolist(), strict=True):
        rows, columns = height - abs(down), width - abs(right)
        if rows <= 0 or columns <= 0:
            continue
        top, left = max(down, 0), max(right, 0)
        source = image[:, max(-down, 0) : max(-down, 0) + rows, max(-right, 0) : max(-right, 0) + columns]
        target[:, top : top + rows, left : left + columns] = source
    return moved


def shift_events(events: Events, shifts: Shifts) -> Events:
    """Move recorded events of shape [2, H, W], or of N units (to the right alone); what leaves the sensor is gone."""
    height, width = events.shape[-2:] if len(events.shape) > 1 else (1, events.shape[0])
    moves = shifts if len(events.shape) > 1 else shifts * [0, 1]
    down, right = np.repeat(moves, events.per_sample, axis=0).T
    indices = events.indices.astype(np.int64)
    row, column = indices // width % height + down, indices % width + right
    kept = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    # All events of a bucket move by the same number of places, so they stay sorted.
    moved = (indices + down * width + right)[kept].astype(np.int32)
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])
    return Events(before[events.indptr], moved, None, events.num_steps, events.batch, events.shape)
