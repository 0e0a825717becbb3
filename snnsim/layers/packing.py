"""When a table of rows is packed by blocks of columns before events read it: see `snnsim.kernels.row_sums`.

No bit depends on it. The constants were measured on one core (Zen 3, AVX2, L2 cache of 512 KB).
"""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels import row_sums
from snnsim.layers.base import MicroBatch
from snnsim.layers.signals import FloatArray
from snnsim.memory import aligned_zeros

NOT_PACKED: FloatArray = np.empty((0, 0, 0), np.float32)

# Up to two blocks of columns gain nothing.
NARROW = 2 * row_sums.WIDTH
# A block of so many rows takes half of the L2 cache; of 10,000 rows it was slower than the table as it lies.
MOST_ROWS = 2048

# A weight costs 0.5 ns to pack, and an event's then costs 0.015 ns less to read: at a density of 3 % that pays from
# a thousand buckets on, whatever the shape. A bucket read block by block takes as long as ten events save; with ten
# (W4 of docs/performance.md, Zen 4, L2 cache of 1 MB) nothing was gained, with sixty (W2) a fifth.
BUCKETS_PER_PACKING = 1000
EVENTS_PER_BUCKET = 16

# An event's delta costs 0.026 ns less to read from packed rows; to pack one costs 0.17 ns, and 0.31 ns are lost
# for every input, whose row of the gradient is then not written in one go.
EVENTS_PER_PACKED_ROW = 7
EVENTS_PER_INPUT = 12


def pack_weights(weight: FloatArray, buckets: int, packed: FloatArray) -> FloatArray:
    """Return the weights [F, N] packed if ``buckets`` of events may be enough; into ``packed`` where that has room."""
    inputs, targets = weight.shape
    if targets <= NARROW or inputs > MOST_ROWS or buckets < BUCKETS_PER_PACKING:
        return NOT_PACKED
    if packed is NOT_PACKED:
        packed = aligned_zeros((-(-targets // row_sums.WIDTH), inputs, row_sums.WIDTH))
    row_sums.pack(weight, packed)
    return packed


def read_packed(events: int, buckets: int) -> bool:
    """Say whether so many events in so many buckets read packed weights faster."""
    return events > EVENTS_PER_BUCKET * buckets


def add_weight_gradient(
    starts: NDArray[np.int64],
    buckets: NDArray[np.int32],
    delta: FloatArray,
    gradient: FloatArray,
    micro: MicroBatch,
) -> None:
    """Add to ``gradient`` [F, N] the row of ``delta`` [rows, N] of every event, sorted by `propagate.sort_by_input`."""
    inputs, targets = gradient.shape
    packed = NOT_PACKED
    least = EVENTS_PER_PACKED_ROW * delta.shape[0] + EVENTS_PER_INPUT * inputs
    if targets > NARROW and delta.shape[0] <= MOST_ROWS and starts[-1] > least:
        # One for all layers: it is used up at once.
        shape = (-(-targets // row_sums.WIDTH), micro.size * micro.steps, row_sums.WIDTH)
        packed = micro.workspace.array("packed delta", shape)
        row_sums.pack(delta, packed)
    row_sums.add_weight_gradient(starts, buckets, delta, packed, gradient)
