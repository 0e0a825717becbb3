"""Counter-based random numbers: a number depends on its key alone, never on what was drawn before.

A key is hashed word by word with the 64-bit finaliser of SplitMix64 (Steele, Lea, Flood 2014,
doi:10.1145/2660193.2660195); the top 24 bits become a uniform float32 in [0, 1).
"""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import kernel

FloatArray = NDArray[np.float32]

STEP = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
S27, S30, S31, S40 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(40)
UNIT = np.float32(1 / (1 << 24))

# Streams of one sample that must not be the same numbers.
RATE_STREAM, DROPOUT_STREAM = 1, 2  # dropout's is that of layer 0; those of the others follow
SHIFT_STREAM = 1 << 32


@kernel
def _mix(z: np.uint64) -> np.uint64:
    z = (z ^ (z >> S30)) * MIX_1
    z = (z ^ (z >> S27)) * MIX_2
    return z ^ (z >> S31)


@kernel
def _key(seed: int, epoch: int, stream: int, sample: int) -> np.uint64:
    z = _mix(np.uint64(seed) + STEP)
    z = _mix(z + np.uint64(epoch) * STEP)
    z = _mix(z + np.uint64(stream) * STEP)
    return _mix(z + np.uint64(sample) * STEP)


@kernel
def _uniform(key: np.uint64, counter: int) -> np.float32:
    return np.float32(_mix(key + np.uint64(counter + 1) * STEP) >> S40) * UNIT


@kernel
def rate_events(
    seed: int,
    epoch: int,
    samples: NDArray[np.int64],
    x: FloatArray,
    gain: np.float32,
    steps: int,
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
) -> None:
    """Bernoulli coding: input i of sample b fires at step t with probability ``gain * x[b, i]``, clipped to [0, 1].

    ``x`` [M, F]; written: ``indptr`` [M * T + 1] and ``indices`` [at least M * T * F].
    """
    inputs = x.shape[1]
    total = 0
    indptr[0] = 0
    for b in range(x.shape[0]):
        key = _key(seed, epoch, RATE_STREAM, samples[b])
        for t in range(steps):
            for i in range(inputs):
                p = gain * x[b, i]
                if p > np.float32(0) and _uniform(key, t * inputs + i) < p:
                    indices[total] = i
                    total += 1
            indptr[b * steps + t + 1] = total


@kernel
def draw_shifts(seed: int, epoch: int, samples: NDArray[np.int64], largest: int, shifts: NDArray[np.int64]) -> None:
    """Write ``shifts`` [M, 2]: whole numbers from -largest to largest, all as likely."""
    choices = 2 * largest + 1
    for b in range(shifts.shape[0]):
        key = _key(seed, epoch, SHIFT_STREAM, samples[b])
        for axis in range(2):
            shifts[b, axis] = np.int64(np.float64(_uniform(key, axis)) * choices) - largest


@kernel
def dropout_mask(
    seed: int,
    epoch: int,
    layer: int,
    samples: NDArray[np.int64],
    p: float,
    scale: np.float32,
    mask: FloatArray,
) -> None:
    """Write ``mask`` [M, N]: ``scale`` with probability 1 - p, else 0."""
    for b in range(mask.shape[0]):
        key = _key(seed, epoch, DROPOUT_STREAM + layer, samples[b])
        for j in range(mask.shape[1]):
            mask[b, j] = np.float32(0) if _uniform(key, j) < p else scale


@kernel
def mask_events(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    values: FloatArray,
    steps: int,
    mask: FloatArray,
    out_indptr: NDArray[np.int64],
    out_indices: NDArray[np.int32],
    out_values: FloatArray,
) -> None:
    """Copy the events whose ``mask`` [M, N] is not zero, with their values multiplied by it."""
    total = 0
    out_indptr[0] = 0
    for r in range(indptr.size - 1):
        kept = mask[r // steps]
        for j in range(indptr[r], indptr[r + 1]):
            i = indices[j]
            if kept[i] != np.float32(0):
                out_indices[total] = i
                out_values[total] = kept[i] * values[j] if values.size else kept[i]
                total += 1
        out_indptr[r + 1] = total
