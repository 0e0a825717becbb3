"""The sweep file: a configuration, what varies in it, over which seeds, and what is compared with what."""

import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator

from snnsim.config.loading import located
from snnsim.config.reader import Document, Place, read
from snnsim.config.sources import find, text_of
from snnsim.errors import ConfigError, KeyPath
from snnsim.spec import Fault, Spec, faults, nearest, show
from snnsim.spec.choices import rule

Kind = TypeVar("Kind", bound=Spec)
Overrides = dict[str, Any]
Text = Annotated[str, Field(min_length=1)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]


class Method(Spec):
    """One method of a comparison, at one or more settings.

    ``set`` holds for all of them; ``points`` lists them one by one, ``grid`` gives every combination of its values.
    """

    set: Overrides = Field(default_factory=dict, description="dotted keys and their values, for every setting")
    points: Annotated[list[Overrides], Field(min_length=1)] | None = Field(
        default=None, description="settings, each a map of dotted keys and values"
    )
    grid: Annotated[dict[Text, Annotated[list[Any], Field(min_length=1)]], Field(min_length=1)] | None = Field(
        default=None, description="dotted keys, each with a list of values; beside points, further settings"
    )

    def settings(self) -> Iterator[Overrides]:
        """Yield what varies in each setting: of a method without points and grid one, in which nothing does."""
        if self.points is None and self.grid is None:
            yield {}
        yield from self.points or []
        if self.grid is not None:
            for values in itertools.product(*self.grid.values()):
                yield dict(zip(self.grid, values, strict=True))


class Sweep(Spec):
    """A comparison: methods, each at its settings, on the same seeds."""

    base: Text = Field(description="configuration that all runs start from: a ready one's name, or a file")
    seeds: Annotated[list[Seed], Field(min_length=1)] = Field(default_factory=lambda: [0])
    set: Overrides = Field(default_factory=dict, description="dotted keys and their values, for every run")
    against: Text = Field(description="the method that the others are compared with, at its best setting")
    gain: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0,
        description="of a method's settings whose validation accuracy exceeds that of `against` by so much, or more, "
        "the one with the fewest SynOps is shown beside the most accurate one",
    )
    methods: Annotated[dict[Text, Method], Field(min_length=1)]

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, value: list[int]) -> list[int]:
        if len(set(value)) < len(value):
            raise rule("names a seed twice")
        return value

    @model_validator(mode="after")
    def _known(self) -> "Sweep":
        if self.against not in self.methods:
            raise rule(f"against: no method {self.against!r}{nearest(self.against, self.methods)}")
        return self


@dataclass(frozen=True, eq=False)
class LoadedSweep:
    """A valid sweep file: what it says, its short name, its text, and what messages call it."""

    sweep: Sweep
    name: str
    text: str
    shown: str


@dataclass(frozen=True, eq=False)
class SweepFile:
    """A sweep file as it stands, before it is known to be valid: its short name, and what messages call it."""

    name: str
    text: str
    shown: str
    document: Document

    @property
    def data(self) -> dict[str, Any]:
        """What it holds.

        Raises
        ------
        ConfigError
            It is not valid YAML, or no map.
        """
        broken = [located(self.shown, place, fault) for place, fault in self.document.faults]
        if broken:
            raise ConfigError(broken)
        data = self.document.data
        if not isinstance(data, dict):
            wanted = "must be a map with the keys base, against and methods, or base and search"
            raise self.error([Fault((), f"{wanted} (got {show(data)})")])
        return data

    def validated(self, kind: type[Kind]) -> Kind:
        """Return what it says.

        Raises
        ------
        ConfigError
            It is not valid; lists every fault, one a line.
        """
        try:
            return kind.model_validate(self.data)
        except ValidationError as error:
            raise self.error(faults(error, kind)) from None

    def error(self, found: Iterable[Fault]) -> ConfigError:
        """Say where in the file faults stand: at the key, or at the nearest one above it."""
        return ConfigError([located(self.shown, self._place(fault.path), fault) for fault in found])

    def _place(self, path: KeyPath) -> Place | None:
        places = self.document.values | self.document.keys
        above = (path[:length] for length in range(len(path), -1, -1))
        return next((places[at] for at in above if at in places), None)


def open_sweep(name_or_path: str | os.PathLike[str]) -> SweepFile:
    """Read a ready sweep by name, or a file.

    Raises
    ------
    ConfigError
        It cannot be read.
    """
    shown = os.fspath(name_or_path)
    source = find(shown, "sweep", "sweeps")
    text = text_of(source, shown)
    return SweepFile(Path(source.name).stem, text, shown, read(text))


def load_sweep(name_or_path: str | os.PathLike[str]) -> LoadedSweep:
    """Load a comparison of methods: a ready one by name, or a YAML file.

    Raises
    ------
    ConfigError
        It cannot be read, or is not valid; lists every fault, one a line.
    """
    file = open_sweep(name_or_path)
    return LoadedSweep(file.validated(Sweep), file.name, file.text, file.shown)


def as_words(overrides: Mapping[str, Any]) -> dict[str, str]:
    """Write overrides as on the command line, by their keys. JSON is YAML: a value arrives as it stood in the file."""
    return {key: f"{key}={as_json(value)}" for key, value in overrides.items()}


def as_json(value: Any) -> str:
    """Write a value in one line, so that different values have different texts."""
    return json.dumps(value, ensure_ascii=False)


def merged(*overrides: Mapping[str, Any]) -> Overrides:
    """Return overrides with later ones in the place of earlier ones of the same key, in the order given last."""
    together: Overrides = {}
    for each in overrides:
        for key, value in each.items():
            together.pop(key, None)
            together[key] = value
    return together
