"""From the values of a trial to its configuration; and whether all values can be had, before the first trial."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snnsim import datasets
from snnsim.config import Config, LoadedConfig, load
from snnsim.errors import ConfigError, InputError
from snnsim.experiment import prepare
from snnsim.inference import check
from snnsim.spec import Fault
from snnsim.sweeps.language import Overrides, as_words, merged
from snnsim.sweeps.space import LoadedSearch
from snnsim.sweeps.trials import short_key, short_value, teacher_of


class Candidates:
    """The configurations that a search can come to.

    Raises
    ------
    ConfigError
        Keys or values that are not accepted; lists every fault with its place in the sweep file.
    """

    def __init__(self, loaded: LoadedSearch) -> None:
        self._loaded, self._set = loaded, loaded.search.set
        self._names = _names(loaded.search.space)
        (_, first), *others = loaded.search.tried_out()
        self.first = self._placed(None, first)
        self._tried: list[tuple[str | None, Overrides, LoadedConfig]] = [(None, first, self.first)]
        found: list[str] = []
        for key, values in others:
            try:
                self._tried.append((key, values, self._placed(key, values)))
            except ConfigError as error:
                found += [line for line in error.faults if line not in found]
        if found:
            raise ConfigError(found)

    def at(self, values: Mapping[str, Any]) -> LoadedConfig:
        """Return the configuration with these values.

        Raises
        ------
        ConfigError
            They do not go together.
        """
        return self.first.with_overrides(list(self._words(values).values()))

    def require_fitting(self, data_dir: Path | None) -> None:
        """Check data and sizes: of the first values wholly, of all others as far as that needs no data.

        Raises
        ------
        InputError
            Data that are missing, sizes that do not fit, or a regression, which has no accuracy.
        """
        prepared = prepare(self.first, data_dir)
        if "accuracy" in self._loaded.search.objectives and prepared.config.targets == "values":
            path = ("objectives",) if "objectives" in self._loaded.file.data else ("base",)
            raise self._loaded.file.error([Fault(path, "a regression has no accuracy to search for")])
        self.check_sizes()

    def check_sizes(self) -> None:
        """Check that every value's sizes fit, where they are known without the data.

        Raises
        ------
        ConfigError
            They do not; names the key of the sweep file.
        """
        for key, values, loaded in self._tried:
            if datasets.known_sizes(loaded.config.data) is not None:
                try:
                    check(loaded)
                except InputError as error:
                    raise self._said(error, key, self._words(values)) from None

    def teacher(self, out: Path) -> tuple[Config, Path] | None:
        """Return the one teacher that whatever is searched leaves as it is, to be trained once, and its folder."""
        wanted = [teacher_of(loaded.config, out) for _, _, loaded in self._tried]
        found = {teacher[1]: teacher for teacher in wanted if teacher is not None}
        return next(iter(found.values())) if len(found) == 1 else None

    def label(self, values: Mapping[str, Any]) -> str:
        """Say what a trial is: ``threshold=0.8, tt=4``."""
        return ", ".join(f"{self._names[key]}={short_value(value)}" for key, value in values.items())

    def _placed(self, key: str | None, values: Overrides) -> LoadedConfig:
        words = self._words(values)
        try:
            if key is None:
                return load(self._loaded.search.base, list(words.values()))
            return self.first.with_overrides(list(words.values()))
        except InputError as error:
            raise self._said(error, key, words) from None

    def _words(self, values: Mapping[str, Any]) -> dict[str, str]:
        return as_words(merged(self._set, values))

    def _said(self, error: InputError, key: str | None, words: Mapping[str, str]) -> ConfigError:
        """Put the places of the sweep file before what is said of overrides that come from it."""
        found = []
        for line in str(error).splitlines():
            own = next((name for name, word in words.items() if line.startswith(f"override {word}: ")), key)
            found.append(self._loaded.file.error([self._fault(own, line)]).faults[0])
        return ConfigError(found)

    def _fault(self, key: str | None, said: str) -> Fault:
        if key is None:
            return Fault(("base",), said)
        return Fault(("search" if key in self._loaded.search.space else "set", key), said)


def _names(space: Mapping[str, Any]) -> dict[str, str]:
    """Return short names of keys; whole keys where two would have the same."""
    short = {key: short_key(key) for key in space}
    return short if len(set(short.values())) == len(short) else {key: key for key in space}
