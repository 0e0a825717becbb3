"""From a file or a ready configuration's name to a validated `Config`, or to every fault with its place."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from snnsim.config.overrides import Override, apply
from snnsim.config.reader import Document, Place, read
from snnsim.config.schema import Config
from snnsim.config.sources import find, text_of
from snnsim.errors import ConfigError, InputError, key_name
from snnsim.ready import ready_names
from snnsim.spec import Fault, faults, show


@dataclass(frozen=True, eq=False)
class LoadedConfig:
    """A valid configuration and where it came from.

    Parameters
    ----------
    config
        What it says, overrides and defaults included.
    name
        Its short name (``digits``): the file's name without the ending.
    filename
        The file's name without its folder (``digits.yaml``).
    """

    config: Config
    name: str
    filename: str
    _origin: "_Origin" = field(repr=False)

    def explain(self, error: InputError) -> ConfigError:
        """Add file, line and column to an error about a key of this configuration (its ``path``)."""
        if not error.path:
            return ConfigError([f"{self._origin.shown}: {error}"])
        message = str(error).removeprefix(f"{key_name(error.path)}: ")
        return ConfigError([self._origin.say(Fault(error.path, message))])

    def with_overrides(self, overrides: Sequence[str]) -> "LoadedConfig":
        """Validate the same file's text with these overrides in the place of its own.

        Raises
        ------
        ConfigError
            Lists every fault.
        """
        return _validated(self._origin.document, overrides, self.filename, self._origin.shown)


@dataclass(frozen=True, eq=False)
class _Origin:
    """Where every key of a configuration came from: a place in a file, or an override."""

    shown: str
    document: Document
    overrides: tuple[Override, ...]

    def override(self, fault: Fault) -> Override | None:
        """Return the override that set the faulty value, if one did."""
        for override in reversed(self.overrides):
            if fault.path[: len(override.path)] == override.path:
                return override
        if fault.path in self.document.values:
            return None
        # A map that only overrides brought into being.
        below = (other for other in self.overrides if other.path[: len(fault.path)] == fault.path)
        return next(below, None) if fault.path else None

    def place(self, fault: Fault) -> Place | None:
        """Return where the faulty key stands, or the nearest one above it."""
        keys, values = self.document.keys, self.document.values
        for length in range(len(fault.path), -1, -1):
            at = fault.path[:length]
            if at in values:
                # Of a wrong value the value's own place says most; of a wrong key or map, the key's.
                is_key = length == len(fault.path) and fault.about_key
                is_map = any(len(other) > length and other[:length] == at for other in values)
                return keys.get(at, values[at]) if is_key or is_map else values[at]
        return None

    def say(self, fault: Fault) -> str:
        override = self.override(fault)
        if override is not None:
            text = fault.message if override.path == fault.path else str(fault)
            return f"override {override.text}: {text}"
        return located(self.shown, self.place(fault), fault)

    def order(self, fault: Fault) -> tuple[int, int, int]:
        """Sort faults of the file by place, before those of overrides."""
        override = self.override(fault)
        if override is not None:
            return 1, self.overrides.index(override), 0
        place = self.place(fault)
        return (0, place.line, place.column) if place else (0, 0, 0)


def located(shown: str, place: Place | None, fault: Fault) -> str:
    """Write ``file:line:column: key: message``."""
    where = f"{shown}:{place.line}:{place.column}" if place else shown
    return f"{where}: {fault}"


def load(name_or_path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> LoadedConfig:
    """Load a ready configuration by name, or a YAML file, and set overrides (``train.epochs=3``) in it.

    Raises
    ------
    ConfigError
        The file cannot be read, or the whole is not valid; lists every fault, one a line.
    """
    shown = os.fspath(name_or_path)
    source = find_config(shown)
    text = text_of(source, shown)
    name = source.name
    document = read(text)
    if not document.faults and document.data is None:
        raise ConfigError([f"{shown}: is empty; a configuration needs at least data and network"])
    return _validated(document, overrides, name, shown)


def from_mapping(data: Mapping[str, Any], overrides: Sequence[str] = (), filename: str = "config.yaml") -> LoadedConfig:
    """Validate a configuration given as plain data, for example one stored in a model.

    Raises
    ------
    ConfigError
        Lists every fault; messages name ``filename`` and the key.
    """
    return _validated(Document(data=dict(data)), overrides, filename, filename)


def _validated(document: Document, overrides: Sequence[str], filename: str, shown: str) -> LoadedConfig:
    broken = [(place, located(shown, place, fault)) for place, fault in document.faults]
    if document.data is None:
        raise ConfigError([text for _, text in broken])
    if not isinstance(document.data, dict):
        where = located(shown, document.values.get(()), Fault((), "must be a map with the keys data and network"))
        raise ConfigError([f"{where} (got {show(document.data)})"])
    parsed = _parse_overrides(overrides)
    origin = _Origin(shown, document, parsed)
    try:
        config = Config.model_validate(apply(document.data, parsed))
    except ValidationError as error:
        raise ConfigError(_in_order(document, origin, faults(error, Config))) from None
    if broken:
        raise ConfigError([text for _, text in broken])
    return LoadedConfig(config, Path(filename).stem, Path(filename).name, origin)


def _parse_overrides(overrides: Sequence[str]) -> tuple[Override, ...]:
    parsed: list[Override] = []
    found: list[str] = []
    for text in overrides:
        try:
            parsed.append(Override.parse(text))
        except ConfigError as error:
            found.extend(error.faults)
    if found:
        raise ConfigError(found)
    return tuple(parsed)


def _in_order(document: Document, origin: _Origin, found: list[Fault]) -> list[str]:
    """Merge the faults of YAML and of the schema, in the order of the file."""
    entries = [
        ((0, place.line, place.column) if place else (0, 0, 0), located(origin.shown, place, fault))
        for place, fault in document.faults
    ]
    # A value that YAML could not read is None in the data, and has been complained about.
    entries += [(origin.order(fault), origin.say(fault)) for fault in found if fault.path not in document.unread]
    return [text for _, text in sorted(entries, key=lambda entry: entry[0])]


def config_names() -> list[str]:
    """Return the names of the ready configurations, sorted."""
    return ready_names()


def find_config(name_or_path: str) -> Traversable:
    """Return the ready configuration of a name, or the file of a path; see `sources.find`."""
    return find(name_or_path)
