"""The one place that owns Numba's options."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function over arrays and numbers, cached on disk, running without the interpreter lock.

    No fastmath: it would let the compiler reorder sums (results would differ between machines) and drop checks for
    NaN. A kernel calls only functions of its own file: Numba's cache does not notice an edit elsewhere.
    """
    return cast("Callable[P, R]", numba.njit(cache=True, nogil=True, error_model="numpy")(function))  # noqa: TID251
