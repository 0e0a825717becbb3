"""The one place that owns Numba's options."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function over arrays and numbers, cached on disk, running without the interpreter lock.

    No fastmath: it would let the compiler reorder sums (results would differ between machines) and drop checks for
    NaN. A kernel calls only functions of its own file, of `vectors`, `scans`, `lanes` and `dots`: Numba's cache does
    not notice an edit elsewhere.
    """
    return _compiled(function, fastmath=False)


def dot_kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of dot products: their sums may be taken in another order, as any BLAS does.

    Without that the compiler may not use vectors for a sum. NaN and infinity stay what they are.
    """
    return _compiled(function, fastmath={"reassoc", "nsz", "contract"})


def _compiled(function: Callable[P, R], fastmath: bool | set[str]) -> Callable[P, R]:
    jitted = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=fastmath)(function)  # noqa: TID251
    return cast("Callable[P, R]", jitted)
