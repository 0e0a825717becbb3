"""Optimizer updates in one pass over flat arrays."""

import numpy as np
from numpy.typing import NDArray

from snnsim.kernels._jit import kernel

FloatArray = NDArray[np.float32]


@kernel
def sgd(
    parameter: FloatArray,
    gradient: FloatArray,
    velocity: FloatArray,
    lr: np.float32,
    momentum: np.float32,
    nesterov: bool,
    weight_decay: np.float32,
) -> None:
    """Take one step of SGD; ``velocity`` starts at zero and holds ``momentum * velocity + gradient``."""
    for k in range(parameter.size):
        g = gradient[k] + weight_decay * parameter[k]
        velocity[k] = momentum * velocity[k] + g
        parameter[k] -= lr * (g + momentum * velocity[k] if nesterov else velocity[k])


@kernel
def adam(
    parameter: FloatArray,
    gradient: FloatArray,
    first: FloatArray,
    second: FloatArray,
    step_size: np.float32,
    beta_1: np.float32,
    beta_2: np.float32,
    rest_1: np.float32,
    rest_2: np.float32,
    root_correction: np.float32,
    eps: np.float32,
    coupled_decay: np.float32,
    kept: np.float32,
) -> None:
    """Take one step of Adam; ``kept`` is AdamW's factor ``1 - lr * weight_decay``, ``coupled_decay`` is Adam's L2.

    ``rest_i = 1 - beta_i``, ``step_size = lr / (1 - beta_1^t)``, ``root_correction = sqrt(1 - beta_2^t)``.
    """
    for k in range(parameter.size):
        g = gradient[k] + coupled_decay * parameter[k]
        first[k] = beta_1 * first[k] + rest_1 * g
        second[k] = beta_2 * second[k] + rest_2 * (g * g)
        update = first[k] / (np.sqrt(second[k]) / root_correction + eps)
        parameter[k] = kept * parameter[k] - step_size * update
