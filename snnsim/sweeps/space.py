"""The sweep file of a search: a configuration, the keys to search over, and how their values are chosen."""

import itertools
import math
import os
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from snnsim.spec import Choice, Fault, Spec, show
from snnsim.spec.choices import rule
from snnsim.sweeps.language import Overrides, Seed, Sweep, SweepFile, Text, as_json, open_sweep

MOST_TRIALS = 1_000_000

Objective = Literal["accuracy", "synops"]


class Values(Spec):
    """What a key may be: one of a list, or a number of a range, ends included.

    A range whose ends are both whole numbers holds whole numbers only.
    """

    values: list[Any] | None = Field(default=None, description="values of any kind; a list alone stands for it")
    range: list[Any] | None = Field(default=None, description="[low, high], all parts of it equally likely")
    log_range: list[Any] | None = Field(default=None, description="[low, high], all magnitudes equally likely")
    step: Annotated[float, Field(gt=0)] | None = Field(default=None, description="of range: low, low + step, ...")

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: object) -> object:
        if isinstance(value, list):
            return {"values": value}
        if not isinstance(value, dict | cls):
            raise rule(
                f"must be a list of values, {{range: [low, high]}} or {{log_range: [low, high]}} (got {show(value)})"
            )
        return value

    @field_validator("range", "log_range")
    @classmethod
    def _ordered(cls, value: list[Any] | None) -> list[Any] | None:
        if value is not None and not (len(value) == 2 and all(map(_is_number, value)) and value[0] < value[1]):
            raise rule(f"must be two numbers, the smaller one first, like [0.5, 2.0] (got {_shown(value)})")
        return value

    @field_validator("log_range")
    @classmethod
    def _positive(cls, value: list[Any] | None) -> list[Any] | None:
        if value is not None and value[0] <= 0:
            raise rule(f"must lie above 0 (got {_shown(value)})")
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> "Values":
        given = [name for name in ("values", "range", "log_range") if getattr(self, name) is not None]
        if len(given) != 1:
            raise rule(
                f"must have one of range and log_range, or be a list of values (got {' and '.join(given) or 'none'})"
            )
        words = [as_json(value) for value in self.values or ()]
        if self.values is not None and not words:
            raise rule("must have at least one value (got an empty list)")
        if len(set(words)) < len(words):
            raise rule(f"names {next(word for word in words if words.count(word) > 1)} twice")
        if self.step is not None:
            self._require_steps(self.step)
        return self

    def _require_steps(self, size: float) -> None:
        if self.range is None:
            raise rule("step: is for range alone")
        low, high, step = (Decimal(str(number)) for number in (*self.range, size))
        if self.is_whole and step % 1:
            raise rule(f"step: must be a whole number, as the ends of range are (got {size})")
        if (high - low) % step:
            raise rule(f"step: range {_shown(self.range)} is not a whole number of steps of {size}")

    @property
    def ends(self) -> tuple[Any, Any] | None:
        """The smallest and the largest number of a range; None of a list."""
        ends = self.range or self.log_range
        return None if ends is None else (ends[0], ends[1])

    @property
    def is_whole(self) -> bool:
        """Whether this is a range of whole numbers."""
        return self.ends is not None and all(isinstance(end, int) for end in self.ends)

    @property
    def spacing(self) -> float | None:
        """The distance from one number of a range to the next; None where there is none."""
        if self.range is None:
            return None
        return self.step if self.step is not None else 1 if self.is_whole else None

    @property
    def count(self) -> int | None:
        """How many values there are; None where a range has no steps."""
        if self.values is not None:
            return len(self.values)
        if self.spacing is None or self.range is None:
            return None
        low, high, step = (Decimal(str(number)) for number in (*self.range, self.spacing))
        return int((high - low) / step) + 1

    def at(self, place: int) -> Any:
        """Return a value by its place in the list, or among the steps of the range: 0.7, not 0.7000000000000001."""
        if self.values is not None:
            return self.values[place]
        assert self.range is not None
        assert self.spacing is not None
        value = Decimal(str(self.range[0])) + place * Decimal(str(self.spacing))
        return int(value) if self.is_whole else float(value)

    def samples(self) -> list[Any]:
        """Return the values of a list, or the ends of a range: what is tried out before a search."""
        return list(self.values) if self.values is not None else list(self.ends or ())


class Grid(Spec):
    """Every combination, in the order of the file, the last key varying fastest."""


class Random(Spec):
    """Independent draws."""


class Tpe(Spec):
    """Tree-structured Parzen estimator: draws where earlier trials did well [1]_.

    References
    ----------
    .. [1] Bergstra, Bardenet, Bengio & Kegl, Algorithms for hyper-parameter optimization, NIPS 2011.
    """

    startup: Annotated[int, Field(ge=1)] = Field(default=10, description="trials that are drawn at random first")


class Nsga2(Spec):
    """A genetic algorithm that sorts by domination and keeps the front spread out [1]_.

    References
    ----------
    .. [1] Deb, Pratap, Agarwal & Meyarivan, A fast and elitist multiobjective genetic algorithm: NSGA-II, IEEE
       Transactions on Evolutionary Computation 6, 2002. doi:10.1109/4235.996017
    """

    population: Annotated[int, Field(ge=2)] = Field(default=20, description="trials of a generation")


class SamplerChoice(Choice):
    """How a trial's values are chosen."""

    NOUN = "sampler"

    grid: Grid | None = None
    random: Random | None = None
    tpe: Tpe | None = None
    nsga_ii: Nsga2 | None = Field(default=None, alias="nsga-ii")


class Search(Spec):
    """A search: a configuration, the keys that vary in it, and by which rule and for what."""

    base: Text = Field(description="configuration that all trials start from: a ready one's name, or a file")
    set: Overrides = Field(default_factory=dict, description="dotted keys and their values, for every trial")
    space: Annotated[dict[Text, Values], Field(min_length=1)] = Field(
        alias="search", description="dotted keys, each with a list of values or a range"
    )
    sampler: SamplerChoice = Field(default_factory=lambda: SamplerChoice.of("tpe"))
    objectives: Annotated[list[Objective], Field(min_length=1)] = Field(
        default_factory=lambda: list(get_args(Objective)),
        description="accuracy (as much as can be) and synops (as few as can be), both on validation data",
    )
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)] | None = Field(
        default=None, description="number of trials in all; of a grid all combinations, where it is not given"
    )
    seed: Seed = Field(default=0, description="of the sampler; that of the runs is the configuration's")

    @field_validator("objectives")
    @classmethod
    def _distinct(cls, value: list[Objective]) -> list[Objective]:
        if len(set(value)) < len(value):
            raise rule("names an objective twice")
        return value

    @model_validator(mode="after")
    def _enough(self) -> "Search":
        if self.sampler.grid is None and self.trials is None:
            raise rule(f"missing key 'trials': how many the sampler {self.sampler.name} is to make in all")
        return self

    def misfits(self) -> list[Fault]:
        """Return what does not suit the sampler: of a grid, ranges without steps, and too many combinations."""
        if self.sampler.grid is None:
            return []
        wanted = "a grid needs a list of values, or a range of whole numbers or with a step"
        found = [Fault(("search", key), wanted) for key, values in self.space.items() if values.count is None]
        if not found and self.trials is None and self._combinations > MOST_TRIALS:
            found = [
                Fault(("search",), f"{self._combinations} combinations are too many; set trials, or coarser steps")
            ]
        return found

    @property
    def _combinations(self) -> int:
        return math.prod(values.count or 0 for values in self.space.values())

    @property
    def asked(self) -> int:
        """The number of trials."""
        if self.sampler.grid is None:
            assert self.trials is not None
            return self.trials
        return min(self._combinations, self.trials or MOST_TRIALS)

    def cell(self, place: int) -> dict[str, Any]:
        """Return the combination of a grid at a place, the last key varying fastest."""
        found: dict[str, Any] = {}
        for key, values in reversed(self.space.items()):
            assert values.count is not None
            place, here = divmod(place, values.count)
            found[key] = values.at(here)
        return {key: found[key] for key in self.space}

    def tried_out(self) -> list[tuple[str | None, Overrides]]:
        """Return what is to be tried out before a search, with the key that differs from the first.

        First (None) stands the first value of every key together, then each key's other `Values.samples` beside the
        first of all other keys.
        """
        first = {key: values.samples()[0] for key, values in self.space.items()}
        others = ([(key, first | {key: value}) for value in values.samples()[1:]] for key, values in self.space.items())
        return [(None, first), *itertools.chain.from_iterable(others)]


@dataclass(frozen=True, eq=False)
class LoadedSearch:
    """A valid search: what it says, and the file it came from."""

    search: Search
    file: SweepFile

    @property
    def name(self) -> str:
        """Its short name: the file's, without the ending."""
        return self.file.name


def is_search(name_or_path: str | os.PathLike[str]) -> bool:
    """Tell a search from a comparison of methods, by the keys of the sweep file.

    Raises
    ------
    ConfigError
        The file cannot be read, or is no map.
    """
    keys = open_sweep(name_or_path).data.keys()
    own = Search.keys().keys() - Sweep.keys().keys()
    return "search" in keys or ("methods" not in keys and bool(own & keys))


def load_search(name_or_path: str | os.PathLike[str]) -> LoadedSearch:
    """Load a search: a ready one by name, or a YAML file.

    Raises
    ------
    ConfigError
        It cannot be read, or is not valid; lists every fault, one a line.
    """
    file = open_sweep(name_or_path)
    search = file.validated(Search)
    misfits = search.misfits()
    if misfits:
        raise file.error(misfits)
    return LoadedSearch(search, file)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _shown(value: list[Any]) -> str:
    return f"[{', '.join(map(show, value))}]"
