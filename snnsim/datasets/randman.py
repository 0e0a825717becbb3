"""Random manifolds: classes that differ in nothing but the relative times of their spikes [1]_.

Every class is a smooth random manifold of a few dimensions in the space of all units' firing times; a sample is a point
of it: each unit fires once. A manifold is a product over its dimensions d of random functions

    f(z) = sum over k >= 1 of a_k / (k + 1)^smoothness * sin(2 pi (k z b_k + c_k)),   a, b, c uniform in [0, 1),

one per unit and dimension, standardised over the class's samples to fill the duration. The spectrum is cut where its
amplitudes fall below 0.001.

References
----------
.. [1] Zenke & Vogels, The remarkable robustness of surrogate gradient learning for instilling complex function in
   spiking neural networks, Neural Computation 2021. doi:10.1162/neco_a_01367; the functions and their standardisation
   are those of the authors' code, the random numbers are not.
"""

import numpy as np
from numpy.typing import NDArray

from snnsim.datasets.recordings import Binning, bin_recordings
from snnsim.datasets.samples import RawSet
from snnsim.spec.data import Randman

_PRECISION, _MOST_FREQUENCIES = 1e-3, 1000


def generate_randman(options: Randman, binning: Binning) -> RawSet:
    """Generate the set: ``classes * samples`` recordings of ``units`` spikes each, the classes in turn."""
    rng = np.random.default_rng([options.seed, 0x52414E44])
    times = np.stack([_class_times(options, rng) for _ in range(options.classes)], axis=1)
    y = np.tile(np.arange(options.classes), options.samples)
    t = np.minimum((times.reshape(-1, options.units) * options.duration).astype(np.int64), options.duration - 1)
    order = np.argsort(t, axis=1, kind="stable")
    recordings = (("randman", t[k][order[k]], order[k]) for k in range(len(t)))
    x = bin_recordings(recordings, binning, (options.units,))
    return RawSet("randman", x, y, None, None, options.classes, 1.0)


def _class_times(options: Randman, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the firing times [samples, units] in [0, 1] of one class."""
    frequencies = int(min(np.ceil(_PRECISION ** (-1 / options.smoothness)), _MOST_FREQUENCIES))
    k = np.arange(1, frequencies)
    spectrum = 1 / (k + 1.0) ** options.smoothness
    a, b, c = rng.random((3, options.units, options.dim, frequencies - 1))
    z = rng.random((options.samples, options.dim))
    times = np.ones((options.samples, options.units))
    for unit in range(options.units):
        for d in range(options.dim):
            phase = np.outer(z[:, d], k * b[unit, d]) + c[unit, d]
            times[:, unit] *= (np.sin(2 * np.pi * phase) * (a[unit, d] * spectrum)).sum(axis=1)
    low, high = times.min(axis=0), times.max(axis=0)
    scaled: NDArray[np.float64] = (times - low) / (high - low + 1e-7)
    return scaled
