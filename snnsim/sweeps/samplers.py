"""How Optuna chooses the values of a trial: from a generator of the trial's own, whichever process asks.

Imported by `study` alone, since Optuna is an extra.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from snnsim.sweeps.language import as_json
from snnsim.sweeps.space import Search, Values


class PlacedSampler(BaseSampler):
    """Draws the values of each trial from a generator that the search's seed and the trial's place decide.

    Optuna's own samplers draw from one generator a process: a process that is started again would propose the first
    trials once more, and so would a second one beside it.

    Parameters
    ----------
    place_of
        Gives a trial's place among the trials of the search.
    """

    def __init__(self, search: Search, place_of: Callable[[FrozenTrial], int]) -> None:
        self._search, self._place_of = search, place_of
        self._inner: BaseSampler = self._sampler(0)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Begin a trial."""
        self._inner = self._sampler(self._place_of(trial))
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the keys that are drawn together."""
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw them."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw another one."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """End a trial."""
        self._inner.after_trial(study, trial, state, values)

    def _sampler(self, place: int) -> BaseSampler:
        choice = self._search.sampler
        seed = int(np.random.SeedSequence((self._search.seed, place)).generate_state(1)[0])
        if choice.grid is not None:
            return _Cell(self._search, place)
        if choice.tpe is not None:
            return TPESampler(n_startup_trials=choice.tpe.startup, constant_liar=True, seed=seed)
        if choice.nsga_ii is not None:
            return NSGAIISampler(population_size=choice.nsga_ii.population, seed=seed)
        return RandomSampler(seed=seed)


class _Cell(RandomSampler):
    """The combination of a grid at a place.

    Optuna's sampler of grids looks for a combination that nobody has finished, so that processes beside each other do
    some of them twice.
    """

    def __init__(self, search: Search, place: int) -> None:
        super().__init__(seed=0)
        self._distributions = distributions(search.space)
        # A place beyond the grid is asked for where two processes meet at its end, and is given back.
        cell = search.cell(place % search.asked)
        self._cell = {key: encoded(search.space[key], value) for key, value in cell.items()}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._cell


def distributions(space: Mapping[str, Values]) -> dict[str, BaseDistribution]:
    """Return what Optuna calls the values of each key."""
    return {key: _distribution(values) for key, values in space.items()}


def _distribution(values: Values) -> BaseDistribution:
    if values.ends is None:
        return CategoricalDistribution([encoded(values, value) for value in values.samples()])
    low, high = values.ends
    is_log = values.log_range is not None
    if values.is_whole:
        return IntDistribution(low, high, log=is_log, step=int(values.step or 1))
    return FloatDistribution(float(low), float(high), log=is_log, step=values.step)


def encoded(values: Values, value: Any) -> Any:
    """Return what stands for a value in the study: of a list its text, so that values of any kind can be in it."""
    return value if values.ends is not None else as_json(value)


def decoded(values: Values, value: Any) -> Any:
    """Return the value that stands in the study; the reverse of `encoded`."""
    if values.ends is None:
        return next(known for known in values.samples() if as_json(known) == value)
    if values.step is None:
        return value
    return values.at(round((value - values.ends[0]) / values.step))
