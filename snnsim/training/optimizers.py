"""Optimizers, with the names and formulas of torch.optim."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from snnsim.errors import InputError
from snnsim.execution import pieces, share, thread_count
from snnsim.kernels import update
from snnsim.spec import Adam, AdamW, OptimizerChoice, Sgd

FloatArray = NDArray[np.float32]
Parameters = Mapping[str, FloatArray]


class Optimizer(Protocol):
    """What the training loop needs: a step in place, and a state that can be stored."""

    lr: float

    def step(self, gradients: Parameters, lr: float) -> None:
        """Update the parameters with gradients of the same names, at learning rate ``lr``."""

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Return the state as arrays, to be stored."""

    def load(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over a stored state."""


class SgdOptimizer:
    """Stochastic gradient descent with momentum, Nesterov's form on request, and L2 weight decay.

    Parameters
    ----------
    options
        Learning rate and factors.
    parameters
        Name to array; updated in place.
    """

    def __init__(self, options: Sgd, parameters: Parameters) -> None:
        self.lr = options.lr
        self._options = options
        self._parameters = parameters
        self._velocity = {name: np.zeros(array.size, np.float32) for name, array in parameters.items()}

    def step(self, gradients: Parameters, lr: float) -> None:
        """Update the parameters."""
        options = self._options
        for name, parameter in self._parameters.items():
            update.sgd(
                flat(parameter),
                flat_like(gradients[name], parameter),
                self._velocity[name],
                np.float32(lr),
                np.float32(options.momentum),
                options.nesterov,
                np.float32(options.weight_decay),
            )

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Return the velocities."""
        return {f"velocity/{name}": array for name, array in self._velocity.items()}

    def load(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over the velocities."""
        take_over(self._velocity, state, "velocity")


class AdamOptimizer:
    """Adam (Kingma & Ba 2015), and AdamW (Loshchilov & Hutter 2019) whose weight decay is not part of the gradient.

    Parameters
    ----------
    options
        Learning rate and factors; an `AdamW` spec decouples the decay.
    parameters
        Name to array; updated in place.
    threads
        Workers; one per core by default. Changes no bit.
    """

    def __init__(self, options: Adam, parameters: Parameters, threads: int | None = None) -> None:
        self.lr = options.lr
        self._threads = thread_count(threads)
        self._options = options
        self._decoupled = isinstance(options, AdamW)
        self._parameters = parameters
        self._first = {name: np.zeros(array.size, np.float32) for name, array in parameters.items()}
        self._second = {name: np.zeros(array.size, np.float32) for name, array in parameters.items()}
        self._steps = 0

    def step(self, gradients: Parameters, lr: float) -> None:
        """Update the parameters."""
        options = self._options
        beta_1, beta_2 = options.betas
        self._steps += 1
        decay = options.weight_decay
        arrays = [
            (flat(parameter), flat_like(gradients[name], parameter), self._first[name], self._second[name])
            for name, parameter in self._parameters.items()
        ]
        factors = (
            np.float32(lr / (1 - beta_1**self._steps)),
            np.float32(beta_1),
            np.float32(beta_2),
            np.float32(1 - beta_1),
            np.float32(1 - beta_2),
            np.float32(np.sqrt(1 - beta_2**self._steps)),
            np.float32(options.eps),
            np.float32(0 if self._decoupled else decay),
            np.float32(1 - lr * decay if self._decoupled else 1),
        )
        tasks = pieces([parameter.size for parameter, *_ in arrays])

        def update_some(k: int) -> None:
            for number, part in tasks[k]:
                parameter, gradient, first, second = arrays[number]
                update.adam(parameter[part], gradient[part], first[part], second[part], *factors)

        share(update_some, len(tasks), self._threads)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Return both moments and the number of steps."""
        state: dict[str, NDArray[np.generic]] = {"steps": np.array([self._steps], np.int64)}
        state |= {f"first/{name}": array for name, array in self._first.items()}
        return state | {f"second/{name}": array for name, array in self._second.items()}

    def load(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over moments and number of steps."""
        take_over(self._first, state, "first")
        take_over(self._second, state, "second")
        self._steps = int(np.asarray(state["steps"], np.int64)[0])


def make_optimizer(choice: OptimizerChoice, parameters: Parameters, threads: int | None = None) -> Optimizer:
    """Return the optimizer of a spec, for these parameters; ``threads`` changes no bit."""
    options = choice.options
    if isinstance(options, Sgd):
        return SgdOptimizer(options, parameters)
    assert isinstance(options, Adam)
    return AdamOptimizer(options, parameters, threads)


def clip_norm(gradients: Parameters, longest: float) -> float:
    """Scale all gradients in place so that their common Euclidean norm is at most ``longest``; return the norm."""
    squares = [float(np.square(flat(array), dtype=np.float64).sum()) for array in gradients.values()]
    norm = float(np.sqrt(sum(squares)))
    if norm > longest:
        for array in gradients.values():
            array *= np.float32(longest / norm)
    return norm


def flat(array: FloatArray) -> FloatArray:
    """Return an array's elements in the order of its memory, as a view."""
    view = array.T.reshape(-1) if array.flags.f_contiguous else array.reshape(-1)
    assert np.shares_memory(view, array) or array.size == 0
    return view


def flat_like(array: FloatArray, parameter: FloatArray) -> FloatArray:
    """Return a gradient's elements in the order of its parameter's memory."""
    return np.ascontiguousarray(array.T if parameter.flags.f_contiguous else array, np.float32).reshape(-1)


def take_over(target: Mapping[str, FloatArray], state: Mapping[str, NDArray[np.generic]], prefix: str) -> None:
    """Copy stored arrays into place.

    Raises
    ------
    InputError
        The state is of other parameters.
    """
    for name, array in target.items():
        stored = state.get(f"{prefix}/{name}")
        if stored is None or stored.shape != array.shape:
            raise InputError(f"optimizer state: {prefix}/{name} is missing or has another shape")
        array[...] = stored
