"""Edges of a dense layer: what events do to the currents of their targets, and what deltas do to the weights."""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import dot_kernel, kernel

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int32]
CountArray = NDArray[np.int64]


@kernel
def gather_graded(
    indptr: CountArray,
    indices: IndexArray,
    values: FloatArray,
    weight: FloatArray,
    bias: FloatArray,
    current: FloatArray,
) -> None:
    """Like `row_sums.gather` for graded events: ``current[r] = bias + sum_i value_i * weight[i]``."""
    for r in range(indptr.size - 1):
        out = current[r]
        j = indptr[r]
        end = indptr[r + 1]
        for k in range(out.size):
            out[k] = bias[k]
        while j + 3 < end:
            w0 = weight[indices[j]]
            w1 = weight[indices[j + 1]]
            w2 = weight[indices[j + 2]]
            w3 = weight[indices[j + 3]]
            v0 = values[j]
            v1 = values[j + 1]
            v2 = values[j + 2]
            v3 = values[j + 3]
            for k in range(out.size):
                out[k] += (v0 * w0[k] + v1 * w1[k]) + (v2 * w2[k] + v3 * w3[k])
            j += 4
        while j < end:
            w0 = weight[indices[j]]
            v0 = values[j]
            for k in range(out.size):
                out[k] += v0 * w0[k]
            j += 1


@kernel
def sort_by_input(
    indptr: CountArray, indices: IndexArray, starts: CountArray, rows: IndexArray, order: IndexArray
) -> None:
    """Sort a chunk's events by input, counting: ``rows[starts[i]:starts[i + 1]]`` are the buckets that input i is in.

    ``starts`` [F + 1] and ``rows`` [at least the events of the chunk] are overwritten, and so is ``order``, unless it
    is empty: the event's place in ``indices``, counted from the chunk's first event. Stable: sums have a fixed order.
    """
    # Unsigned indices need no check for wrap-around: a third of the time.
    first = indptr[0]
    one = np.uint64(1)
    keep = order.size > 0
    for i in range(starts.size):
        starts[i] = 0
    for j in range(first, indptr[-1]):
        starts[np.uint64(indices[j]) + one] += 1
    for i in range(1, starts.size):
        starts[i] += starts[i - 1]
    for r in range(indptr.size - 1):
        for j in range(indptr[r], indptr[r + 1]):
            one_input = np.uint64(indices[j])
            place = np.uint64(starts[one_input])
            rows[place] = r
            if keep:
                order[place] = j - first
            starts[one_input] += 1
    for i in range(starts.size - 1, 0, -1):
        starts[i] = starts[i - 1]
    starts[0] = 0


@kernel
def add_weight_gradient_graded(
    starts: CountArray,
    rows: IndexArray,
    order: IndexArray,
    values: FloatArray,
    delta: FloatArray,
    gradient: FloatArray,
) -> None:
    """Like `row_sums.add_weight_gradient` for graded events; ``values`` are the chunk's, in the order of its events."""
    for i in range(starts.size - 1):
        out = gradient[i]
        for j in range(starts[i], starts[i + 1]):
            d0 = delta[rows[j]]
            v0 = values[order[j]]
            for k in range(out.size):
                out[k] += v0 * d0[k]


@dot_kernel
def needed_products(
    indptr: CountArray, indices: IndexArray, delta: FloatArray, weight: FloatArray, out: FloatArray
) -> None:
    """Multiply deltas back through the weights where somebody needs it: ``out[r, i] = delta[r] . weight[i]``.

    Bucket r of ``indptr`` and ``indices`` lists the i of row r, every other place is zero. ``delta`` [rows, N],
    ``weight`` [F, N], ``out`` [rows, F] (overwritten). A product's bits do not depend on which others are needed.
    """
    for r in range(indptr.size - 1):
        d = delta[r]
        target = out[r]
        for k in range(target.size):
            target[k] = np.float32(0)
        for j in range(indptr[r], indptr[r + 1]):
            w = weight[indices[j]]
            total = np.float32(0)
            for k in range(d.size):
                total += w[k] * d[k]
            target[indices[j]] = total


@kernel
def weighted_activity(
    indptr: CountArray,
    indices: IndexArray,
    values: FloatArray,
    step_weights: FloatArray,
    activity: FloatArray,
) -> None:
    """Sum events over time with a weight per step: ``activity[b, i] += sum_t step_weights[t] * s[t, b, i]``.

    ``step_weights`` [T], ``activity`` [M, F] (added to); ``values`` is empty for binary events.
    """
    steps = step_weights.size
    graded = values.size > 0
    for b in range(activity.shape[0]):
        out = activity[b]
        for t in range(steps):
            w = step_weights[t]
            # Unsigned indices need no check for wrap-around.
            if graded:
                for j in range(indptr[b * steps + t], indptr[b * steps + t + 1]):
                    out[np.uint32(indices[j])] += w * values[j]
            else:
                for j in range(indptr[b * steps + t], indptr[b * steps + t + 1]):
                    out[np.uint32(indices[j])] += w


@kernel
def weighted_sum(values: FloatArray, step_weights: FloatArray, total: FloatArray) -> None:
    """Sum analog values over time with a weight per step: ``total[b] += sum_t step_weights[t] * values[b, t]``.

    ``values`` [M, T, F], ``total`` [M, F] (added to).
    """
    for b in range(values.shape[0]):
        out = total[b]
        for t in range(values.shape[1]):
            row = values[b, t]
            for k in range(out.size):
                out[k] += step_weights[t] * row[k]


@kernel
def scatter_dense(indptr: CountArray, indices: IndexArray, values: FloatArray, dense: FloatArray) -> None:
    """Write buckets as rows: ``dense[r, i] = value`` where bucket r holds an event of i, else 0."""
    for r in range(indptr.size - 1):
        out = dense[r]
        for k in range(out.size):
            out[k] = np.float32(0)
        for j in range(indptr[r], indptr[r + 1]):
            out[indices[j]] = values[j] if values.size else np.float32(1)


@kernel
def count_delivered(
    indptr: CountArray, indices: IndexArray, fan_out: CountArray, steps: int, delivered: int, counts: CountArray
) -> None:
    """Add up, event by event, the synapses that each sample's events of the first ``delivered`` steps reach.

    ``fan_out`` [F]: synapses per input; ``counts`` [M], overwritten.
    """
    for b in range(counts.size):
        # A part of its own and unsigned indices need no check for wrap-around: a third of the time.
        part = indices[indptr[b * steps] : indptr[b * steps + delivered]]
        total = 0
        for j in range(part.size):
            total += fan_out[np.uint64(part[j])]
        counts[b] = total


@kernel
def count_reached(values: FloatArray, fan_out: CountArray, counts: CountArray) -> None:
    """Add up, value by value, the synapses that each sample's values other than zero reach.

    ``values`` [M, S, F], ``fan_out`` [F]: synapses per input; ``counts`` [M], overwritten.
    """
    for b in range(counts.size):
        total = 0
        for s in range(values.shape[1]):
            row = values[b, s]
            for i in range(row.size):
                reached = fan_out[i]  # read whatever the value is: no branch
                total += reached if row[i] != np.float32(0) else 0
        counts[b] = total


@kernel
def count_nonzero(weight: FloatArray, counts: CountArray) -> None:
    """Count each row's weights that are not zero: ``weight`` [F, N], ``counts`` [F], overwritten."""
    for i in range(counts.size):
        row = weight[i]
        total = np.int32(0)
        for k in range(row.size):
            total += np.int32(row[k] != np.float32(0))
        counts[i] = total


@kernel
def alike(first: CountArray, second: CountArray) -> tuple[bool, bool, bool]:
    """Say whether all numbers of the first are the same, all of the second, and the first those of the second."""
    of_first = of_second = between = 0
    for i in range(first.size):
        of_first += first[i] != first[0]
        of_second += second[i] != second[0]
        between += first[i] != second[i]
    return of_first == 0, of_second == 0, between == 0


@kernel
def count_events(indptr: CountArray, indices: IndexArray, steps: int, counts: CountArray) -> None:
    """Add up how often each neuron fires: ``counts`` [M, N] is added to."""
    for b in range(counts.shape[0]):
        for j in range(indptr[b * steps], indptr[(b + 1) * steps]):
            counts[b, indices[j]] += 1


@kernel
def delay_one_step(
    indptr: CountArray,
    indices: IndexArray,
    steps: int,
    before: FloatArray,
    late_indptr: CountArray,
    late_indices: IndexArray,
) -> None:
    """Push every event into the next step's bucket; those of the last step are not delivered any more.

    ``before`` [M, N] is nonzero where a neuron fired in the step before the first, or empty. ``late_indptr``
    [M * T + 1] and ``late_indices`` [at least as many as ``indices`` and ``before`` hold] are overwritten.
    """
    total = 0
    late_indptr[0] = 0
    for r in range(indptr.size - 1):
        if r % steps > 0:
            for j in range(indptr[r - 1], indptr[r]):
                late_indices[total] = indices[j]
                total += 1
        elif before.size:
            for i in range(before.shape[1]):
                if before[r // steps, i] != np.float32(0):
                    late_indices[total] = i
                    total += 1
        late_indptr[r + 1] = total
