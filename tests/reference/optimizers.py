"""Optimizers as in torch.optim, and learning-rate schedules."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Optimizer:
    """Steps of ``sgd``, ``adam`` or ``adamw`` on a dict of float64 arrays, which it replaces."""

    def __init__(self, name: str, options: Mapping[str, Any], parameters: Mapping[str, NDArray[Any]]) -> None:
        self.name = name
        self.options = options
        self.parameters = {key: np.array(array, np.float64) for key, array in parameters.items()}
        self.first = {key: np.zeros_like(array) for key, array in self.parameters.items()}
        self.second = {key: np.zeros_like(array) for key, array in self.parameters.items()}
        self.steps = 0

    def step(self, gradients: Mapping[str, NDArray[Any]], lr: float) -> None:
        """Move every parameter."""
        self.steps += 1
        move = self._sgd if self.name == "sgd" else self._adam
        for key in self.parameters:
            move(key, np.asarray(gradients[key], np.float64), lr)

    def _sgd(self, key: str, g: Array, lr: float) -> None:
        momentum = self.options.get("momentum", 0.0)
        g = g + self.options.get("weight_decay", 0.0) * self.parameters[key]
        velocity = self.first[key] = momentum * self.first[key] + g
        self.parameters[key] = self.parameters[key] - lr * (
            g + momentum * velocity if self.options.get("nesterov", False) else velocity
        )

    def _adam(self, key: str, g: Array, lr: float) -> None:
        beta_1, beta_2 = self.options.get("betas", (0.9, 0.999))
        parameter = self.parameters[key]
        decay = self.options.get("weight_decay", 0.01 if self.name == "adamw" else 0.0)
        if self.name == "adamw":  # the decay shrinks the parameter and stays out of the moments
            parameter = parameter * (1 - lr * decay)
        else:
            g = g + decay * parameter
        self.first[key] = beta_1 * self.first[key] + (1 - beta_1) * g
        self.second[key] = beta_2 * self.second[key] + (1 - beta_2) * g**2
        mean = self.first[key] / (1 - beta_1**self.steps)
        square = self.second[key] / (1 - beta_2**self.steps)
        self.parameters[key] = parameter - lr * mean / (np.sqrt(square) + self.options.get("eps", 1e-8))


def learning_rate(schedule: dict[str, Any], base: float, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Return the rate of a step, counted from 0, of ``constant``, ``cosine`` or ``step``, each with ``warmup`` epochs.

    The rate rises linearly over the warmup and is ``base`` at its last step. The cosine runs over the steps that
    remain; the steps of ``step`` count from the beginning.
    """
    ((name, options),) = schedule.items()
    warmup = round(float(options.get("warmup", 0)) * steps_per_epoch)
    if step < warmup:
        return base * (step + 1) / warmup
    if name == "cosine":
        low = options.get("min_lr", 0.0)
        remaining = max(1, steps_per_epoch * epochs - warmup)
        part = min(1.0, (step - warmup) / remaining)
        return float(low + (base - low) * (1 + math.cos(math.pi * part)) / 2)
    if name == "step":
        return float(base * options.get("factor", 0.1) ** (step // (options.get("every", 10) * steps_per_epoch)))
    return base
