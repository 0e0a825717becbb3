"""The Yin-Yang set: points in the plane, to be told whether they lie in the yin, the yang or a dot of the sign [1]_.

The points are those of the authors' own code, drawn in the same order from the same generator, so that its seeds
(42 for training, 40 for testing) give the published set.

References
----------
.. [1] Kriener, Göltz & Petrovici, The Yin-Yang dataset, NICE 2022. doi:10.1145/3517343.3517380
"""

import math

import numpy as np
from numpy.typing import NDArray

from snnsim.datasets.samples import Labels, RawSet
from snnsim.spec.data import YinYang

RADIUS, DOT = 0.5, 0.1
CLASSES = 3  # 0 yang, 1 yin, 2 dot: the numbers of the authors' code


def generate_yin_yang(options: YinYang) -> RawSet:
    """Generate the set: x [N, inputs] of float32 in [0, 1], in the order x, y, 1 - x, 1 - y, and 1 as the fifth.

    The points for testing have the seed of those for training less 2, as the published ones.
    """
    x, y = _points(options.train, options.seed, options.inputs)
    x_test, y_test = _points(options.test, (options.seed - 2) % 2**32, options.inputs)
    return RawSet("yin-yang", x, y, x_test, y_test, CLASSES, 1.0)


def _points(count: int, seed: int, inputs: int) -> tuple[NDArray[np.float32], Labels]:
    # The legacy generator is what the authors use, and NumPy keeps its numbers for ever.
    draw = np.random.RandomState(seed)
    points = np.ones((count, inputs), np.float32)
    labels = np.empty(count, np.int64)
    for k in range(count):
        goal = draw.randint(CLASSES)
        while True:
            x, y = draw.rand(2) * 2 * RADIUS
            if math.sqrt((x - RADIUS) ** 2 + (y - RADIUS) ** 2) <= RADIUS and class_of(x, y) == goal:
                break
        points[k, :4] = x, y, 1 - x, 1 - y
        labels[k] = goal
    return points, labels


def class_of(x: float, y: float) -> int:
    """Return the class of a point of the sign, which fills the circle of radius 0.5 around (0.5, 0.5)."""
    right = math.sqrt((x - 1.5 * RADIUS) ** 2 + (y - RADIUS) ** 2)
    left = math.sqrt((x - 0.5 * RADIUS) ** 2 + (y - RADIUS) ** 2)
    if right < DOT or left < DOT:
        return 2
    in_left_bulge = DOT < left <= 0.5 * RADIUS
    above = y > RADIUS and right > 0.5 * RADIUS
    return int(right <= DOT or in_left_bulge or above)
