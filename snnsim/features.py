"""Feature distillation: how often a student's hidden neurons fire, against what layers of its teacher put out.

A sample's term is ``weight`` times the mean over neurons of ``(s - f)^2``: s [N] are a firing layer's spikes averaged
over time, f the teacher's features (KDSNN: Xu et al. 2023, arXiv:2304.05627). Where there are not as many features as
neurons, a linear regressor ``W s + b`` learns to make them from s (FitNets: Romero et al. 2015, arXiv:1412.6550).

A spike's gradient is the same at every step, so the term is a penalty on spikes like others, of a batch whose
features it knows. A teacher never gets a gradient.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snnsim import spec
from snnsim.errors import InputError, KeyPath
from snnsim.layers import Dense, FiringNeurons, Layer
from snnsim.layers.products import row_products
from snnsim.memory import require_memory
from snnsim.passes import hidden_firing
from snnsim.regularizers import Float64Array, FloatArray, HiddenSpikes, SpikePenalty

REGRESSOR_STREAM = 2
AT: KeyPath = ("distill", "method", "features", "layers")


@dataclass(frozen=True, eq=False)
class Pair:
    """A layer of the student and its regressor.

    ``position`` is the layer's among the hidden firing ones; ``regressor`` is None where sizes are equal, and
    ``gradients`` are its gradients' buffers, under the names of its parameters.
    """

    position: int
    regressor: Dense | None
    gradients: Mapping[str, FloatArray]


class FeaturePairs:
    """All pairs of a feature distillation, with their regressors.

    Parameters
    ----------
    options
        Which layers, with which weight.
    student
        The student's layers.
    sizes
        The number of features of each pair.
    seed
        Draws the regressors' first weights, uniform in +-1/sqrt(fan_in) as a dense layer's.

    Attributes
    ----------
    teacher_layers : list of int
        Which layer of the teacher each pair looks at.
    parameters : dict
        ``features.<pair>.weight`` (features, neurons) and ``features.<pair>.bias`` of pairs of unequal sizes.

    Raises
    ------
    InputError
        A layer of the student that does not exist, fire, or lie before the readout; a regressor beyond the memory.
    """

    def __init__(self, options: spec.Features, student: Sequence[Layer], sizes: Sequence[int], seed: int) -> None:
        self._weight = options.weight
        self.teacher_layers = [pair.teacher for pair in options.layers]
        self.pairs: list[Pair] = []
        self.parameters: dict[str, FloatArray] = {}
        require_pairs(options, student, sizes)
        hidden = [layer.index for layer in hidden_firing(student)]
        for k, (pair, size) in enumerate(zip(options.layers, sizes, strict=True)):
            layer = student[pair.student]
            regressor, gradients = None, {}
            if layer.size != size:
                rng = np.random.default_rng([seed, k, REGRESSOR_STREAM])
                regressor = Dense(k, (layer.size,), size, bias=True, rng=rng)
                gradients = {name: np.empty_like(array) for name, array in regressor.parameters.items()}
                self.parameters |= {_named(k, name): array for name, array in regressor.parameters.items()}
            self.pairs.append(Pair(hidden.index(pair.student), regressor, gradients))

    def penalty(self, features: Sequence[FloatArray]) -> "FeaturePenalty":
        """Return the penalty of a batch, of which the teacher's features are [B, F] for each pair."""
        batch = features[0].shape[0]
        inputs = [np.empty((batch, 0 if p.regressor is None else p.regressor.fan_in), np.float32) for p in self.pairs]
        slopes = [np.empty((batch, 0 if p.regressor is None else p.regressor.size), np.float32) for p in self.pairs]
        return FeaturePenalty(self.pairs, self._weight, features, inputs, slopes)

    def load(self, stored: Mapping[str, ArrayLike], source: str) -> None:
        """Copy stored parameters into place; ``source`` is what messages call them.

        Raises
        ------
        InputError
            One is missing, of another shape, or not finite.
        """
        for name in sorted(stored.keys() - self.parameters.keys()):
            raise InputError(f"{source}: {name} belongs to no pair of layers of unequal sizes")
        for name, array in self.parameters.items():
            found = np.asarray(stored.get(name, np.empty(0)))
            if found.shape != array.shape or found.dtype.kind not in "iuf" or not np.isfinite(found).all():
                raise InputError(f"{source}: needs {name}, finite numbers of shape {list(array.shape)}")
            array[...] = found


@dataclass(frozen=True, eq=False)
class FeaturePenalty(SpikePenalty):
    """The term of a batch, or of some of its samples; keeps what the regressors' gradients are made of.

    Attributes
    ----------
    pairs, weight
        What is compared.
    features
        The teacher's, float32 [B, F] for each pair.
    inputs, slopes
        Of each pair with a regressor: what went into it, float32 [B, N], and the terms' gradients of what came out,
        [B, F]; without one [B, 0].
    """

    pairs: Sequence[Pair]
    weight: float
    features: Sequence[FloatArray]
    inputs: Sequence[FloatArray]
    slopes: Sequence[FloatArray]

    def for_samples(self, part: slice) -> "FeaturePenalty":
        """Return the penalty of some samples; what it keeps is a part of this one's."""
        features, inputs, slopes = ([x[part] for x in each] for each in (self.features, self.inputs, self.slopes))
        return replace(self, features=features, inputs=inputs, slopes=slopes)

    def __call__(self, hidden: Sequence[HiddenSpikes]) -> tuple[Float64Array, list[Float64Array]]:
        """Return the samples' terms [M] and, per hidden layer, each spike's gradient."""
        terms: Float64Array = np.zeros(self.features[0].shape[0])
        gradients: list[Float64Array] = [np.zeros((1, 1)) for _ in hidden]
        for k, (pair, wanted) in enumerate(zip(self.pairs, self.features, strict=True)):
            layer = hidden[pair.position]
            error = self._made(k, layer.counts / layer.steps) - wanted
            terms += self.weight * (error**2).mean(axis=1)
            slope = self._back(k, 2 * self.weight / error.shape[1] * error)
            gradients[pair.position] = gradients[pair.position] + slope / layer.steps
        return terms, gradients

    def _made(self, k: int, rates: Float64Array) -> Float64Array:
        """Return what a pair compares with the features: rates [M, N], or what the regressor makes of them [M, F]."""
        regressor = self.pairs[k].regressor
        if regressor is None:
            return rates
        self.inputs[k][...] = rates
        made = row_products(self.inputs[k], regressor.parameters["weight"].T) + regressor.parameters["bias"]
        return made.astype(np.float64)

    def _back(self, k: int, slope: Float64Array) -> Float64Array:
        """Return the terms' gradient of the rates, for that of what was made of them."""
        regressor = self.pairs[k].regressor
        if regressor is None:
            return slope
        self.slopes[k][...] = slope
        return row_products(self.slopes[k], regressor.parameters["weight"]).astype(np.float64)

    def gradients(self, run: Callable[..., None]) -> dict[str, FloatArray]:
        """Return the regressors' gradients of the mean over the batch, in buffers that the next batch overwrites."""
        named: dict[str, FloatArray] = {}
        for k, pair in enumerate(self.pairs):
            if pair.regressor is not None:
                mean = self.slopes[k] * np.float32(1 / self.slopes[k].shape[0])
                pair.regressor.constant_backward(self.inputs[k], mean, pair.gradients, run)
                named |= {_named(k, name): array for name, array in pair.gradients.items()}
        return named


def require_pairs(options: spec.Features, student: Sequence[Layer], sizes: Sequence[int]) -> None:
    """Check the student's layers of a feature distillation, and that the regressors can fit into memory.

    Parameters
    ----------
    sizes
        The number of features of each pair.

    Raises
    ------
    InputError
        They cannot, or a layer does not exist, fire, or lie before the readout; names the key.
    """
    hidden = [layer.index for layer in hidden_firing(student)]
    for k, (pair, size) in enumerate(zip(options.layers, sizes, strict=True)):
        if pair.student not in hidden:
            raise _unfit("the student", student, pair.student, hidden, "a hidden firing layer", (*AT, k, "student"))
        neurons = student[pair.student].size
        if neurons != size:
            # Weights, gradients, and up to two moments of the optimizer.
            require_memory(4 * 4 * size * (neurons + 1), (*AT, k))


def feature_sizes(options: spec.Features, teacher: Sequence[Layer]) -> list[int]:
    """Return the number of features that the teacher's layer of each pair has.

    Raises
    ------
    InputError
        It does not exist, or is neither relu nor firing; names the key.
    """
    usable = [layer.index for layer in teacher if layer.name == "relu" or isinstance(layer, FiringNeurons)]
    for k, pair in enumerate(options.layers):
        if pair.teacher not in usable:
            raise _unfit("the teacher", teacher, pair.teacher, usable, "a relu or firing layer", (*AT, k, "teacher"))
    return [teacher[pair.teacher].size for pair in options.layers]


def _unfit(whose: str, layers: Sequence[Layer], index: int, usable: list[int], kind: str, at: KeyPath) -> InputError:
    there = (
        f"{whose}'s layer {index} is {layers[index].name}" if index < len(layers) else f"{whose} has no layer {index}"
    )
    mend = f"take one of {', '.join(map(str, usable))}" if usable else "there is none"
    return InputError(f"method features compares {kind}, and {there}; {mend}", at)


def given_features(
    options: spec.Features | None,
    features: Sequence[ArrayLike] | None,
    regressors: Mapping[str, ArrayLike] | None,
    student: Sequence[Layer],
    batch: int,
) -> FeaturePenalty | None:
    """Check the features of a batch that were given in Python; return their penalty.

    Parameters
    ----------
    features
        [B, F], or [B, C, H, W], for each pair.
    regressors
        The regressors' parameters, see `FeaturePairs`.

    Raises
    ------
    InputError
        Missing, not asked for, of another shape, or not finite.
    """
    if options is None:
        for name, given in (("teacher_features", features), ("regressors", regressors)):
            if given is not None:
                raise InputError(f"{name}: this loss takes none")
        return None
    count = len(options.layers)
    if features is None or len(features) != count:
        got = "none" if features is None else str(len(features))
        raise InputError(
            f"teacher_features: method features needs {count} arrays [{batch}, ...], one a pair (got {got})"
        )
    checked = [_checked(np.asarray(given), batch, k) for k, given in enumerate(features)]
    pairs = FeaturePairs(options, student, [array.shape[1] for array in checked], seed=0)
    pairs.load(regressors or {}, "regressors")
    return pairs.penalty(checked)


def _checked(given: NDArray[Any], batch: int, k: int) -> FloatArray:
    if given.ndim < 2 or given.shape[0] != batch or given.size == 0 or given.dtype.kind not in "iuf":
        raise InputError(
            f"teacher_features.{k}: must be numbers of shape [{batch}, ...] (got {list(given.shape)}, {given.dtype})"
        )
    with np.errstate(over="ignore"):
        flat: FloatArray = given.reshape(batch, -1).astype(np.float32)
    if not np.isfinite(flat).all():
        raise InputError(f"teacher_features.{k}: holds NaN, infinite values, or values too large for float32")
    return flat


def _named(pair: int, name: str) -> str:
    return f"features.{pair}.{name}"
