"""Times of every kernel and matrix product in every layer, without a change in the library.

While a `KernelClock` is open, layers' methods, compiled kernels, `np.dot` and `np.matmul` go through it. Everything
must have run before, so that nothing is compiled meanwhile: a kernel takes the functions it calls as it finds them
then. On one thread only: there is one clock.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any

import numpy as np

from snnsim.layers.base import Layer

# Which phase a layer's public methods belong to.
PHASES = {
    "forward": ("forward", "summed_forward", "constant_forward", "activity", "add_activity"),
    "backward": ("backward", "constant_backward", "active", "needed_through"),
    "count": ("tally", "count", "fan_out", "recurrent_fan_out"),
    "prepare": ("prepare",),
}
PRODUCTS = ("dot", "matmul")
Place = tuple[str, str]
ELSEWHERE: Place = ("", "")


class KernelClock:
    """Seconds of kernels by layer and phase.

    Attributes
    ----------
    kernels
        (layer's title, phase, kernel) to seconds; ("", "", kernel) outside of layers.
    layers
        (layer's title, phase) to seconds.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.kernels: dict[tuple[str, str, str], float] = defaultdict(float)
        self.layers: dict[Place, float] = defaultdict(float)
        self._watched = layers
        self._place = ELSEWHERE
        self._inside = False
        self._stack = ExitStack()

    def __enter__(self) -> "KernelClock":
        with ExitStack() as stack:
            for layer in self._watched:
                for phase, names in PHASES.items():
                    for name in names:
                        if method := getattr(layer, name, None):
                            stack.enter_context(replaced(layer, name, self._as_layer((layer.title, phase), method)))
            for holder, name, function in _kernels():
                stack.enter_context(replaced(holder, name, self._as_kernel(_title(function), function)))
            for name in PRODUCTS:
                stack.enter_context(replaced(np, name, self._as_kernel(f"np.{name}", getattr(np, name))))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _as_layer(self, place: Place, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            if self._place != ELSEWHERE:
                return method(*arguments, **named)
            self._place, began = place, time.perf_counter()
            try:
                return method(*arguments, **named)
            finally:
                self.layers[place] += time.perf_counter() - began
                self._place = ELSEWHERE

        return timed

    def _as_kernel(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            if self._inside:
                return function(*arguments, **named)
            self._inside, began = True, time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.kernels[*self._place, name] += time.perf_counter() - began
                self._inside = False

        return timed


def _kernels() -> Iterator[tuple[object, str, Any]]:
    """Yield every module of snnsim that knows a compiled kernel, the name it has there, and the kernel."""
    for title, module in list(sys.modules.items()):
        if title.partition(".")[0] == "snnsim":
            for name, value in list(vars(module).items()):
                if not name.startswith("_") and hasattr(value, "py_func"):
                    yield module, name, value


def _title(function: Any) -> str:
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__}"


@contextmanager
def replaced(holder: object, name: str, value: object) -> Iterator[None]:
    """Let a module or a layer have something else under a name."""
    own = vars(holder)
    before = own.get(name, _ABSENT)
    setattr(holder, name, value)
    yield
    if before is _ABSENT:
        delattr(holder, name)
    else:
        setattr(holder, name, before)


_ABSENT = object()
