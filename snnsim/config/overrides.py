"""``key=value`` words that change a configuration before it is validated."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_origin

from snnsim.config.reader import read
from snnsim.config.schema import Config
from snnsim.errors import ConfigError, KeyPath
from snnsim.spec import Choice, LayerChoice, Spec, spec_kind

# Keys of which only one group can be given: setting one of them takes the others' place.
_RIVALS: tuple[tuple[frozenset[str], ...], ...] = (
    (
        frozenset({"name"}),
        frozenset({"npz", "targets"}),
        frozenset({"events", "sensor", "classes"}),
        frozenset({"yin-yang"}),
        frozenset({"randman"}),
    ),
    (frozenset({"beta"}), frozenset({"tau_mem"})),
    (frozenset({"alpha"}), frozenset({"tau_syn"})),
)

# Keys that go with the last of the time constants they belong to.
_TIME_CONSTANTS = frozenset({"tau_mem", "tau_syn"})
_OF_TIME_CONSTANTS = frozenset({"dt", "discretization"})


@dataclass(frozen=True)
class Override:
    """One ``key=value``: the words as given, the path they name, and the value."""

    text: str
    path: KeyPath
    value: Any

    @classmethod
    def parse(cls, text: str) -> "Override":
        """Read ``train.epochs=3``; the value is read as YAML.

        Raises
        ------
        ConfigError
            There is no ``=``, the key is not a dotted path, or the value is not YAML.
        """
        key, equals, value = text.partition("=")
        parts = key.strip().split(".")
        if not equals or not all(parts):
            raise ConfigError([f"override {text}: must be key=value with a dotted key, like train.epochs=3"])
        path = tuple(int(part) if part.isdecimal() and part.isascii() else part for part in parts)
        if value in (">", ">="):  # to YAML, an unquoted > begins a block of text
            return cls(text, path, value)
        document = read(value)
        if document.faults:
            raise ConfigError([f"override {text}: {fault.message}" for _, fault in document.faults])
        return cls(text, path, document.data)


def apply(data: object, overrides: Sequence[Override]) -> Any:
    """Return a copy of a configuration's plain data with the overrides set, in their order.

    A bare name or a short form on the way is written out; another name of a choice (encoder, optimizer, ...)
    replaces the choice; the key of a rival group (``data.npz`` and ``data.name``) replaces the group.

    Raises
    ------
    ConfigError
        An override points into nothing: past the end of a list, or into a layer of another kind.
    """
    tree = _Tree(copy.deepcopy(data) if isinstance(data, dict) else {})
    found: list[str] = []
    for override in overrides:
        try:
            tree.set(override)
        except _MisfitError as error:
            found.append(f"override {override.text}: {error}")
    if found:
        raise ConfigError(found)
    return tree.data


class _MisfitError(Exception):
    """An override that cannot be set where it points."""


class _Tree:
    """Plain data that overrides are set in, guided by the schema."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.set_by_override: set[KeyPath] = set()

    def set(self, override: Override) -> None:
        node: Any = self.data
        kind: type[Spec] | None = Config
        for depth, part in enumerate(override.path):
            last = depth == len(override.path) - 1
            if isinstance(node, list):
                _check_index(node, part, override.path[:depth])
                below = kind
            else:
                below = _below(kind, part)
                self._make_room(node, kind, override.path[: depth + 1], last)
            if last:
                _put(node, part, override.value)
            else:
                node = _open(node, part, below, list if _holds_list(node, kind, part) else dict)
            kind = below
        self.set_by_override.add(override.path)

    def _make_room(self, node: dict[str, Any], kind: type[Spec] | None, path: KeyPath, last: bool) -> None:
        """Take out what cannot stand beside the key that is about to be set."""
        part = path[-1]
        if kind is None:
            return
        if issubclass(kind, Choice):
            known = kind.keys()
            other = next((name for name in node if name != part), None)
            if other is not None and issubclass(kind, LayerChoice) and part in known and not last:
                where = ".".join(map(str, path[:-1]))
                raise _MisfitError(
                    f"{where} is a {other!r} layer; to put a {part!r} there, set {where}={{{part}: ...}}"
                )
            for name in [name for name in node if name != part]:
                del node[name]
            return
        for groups in _RIVALS:
            if any(part in group for group in groups):
                taken = {key for group in groups if part not in group for key in group}
                if taken & _TIME_CONSTANTS and not (node.keys() - taken) & _TIME_CONSTANTS:
                    taken |= _OF_TIME_CONSTANTS
                for name in taken:
                    if (*path[:-1], name) not in self.set_by_override:
                        node.pop(name, None)


def _below(kind: type[Spec] | None, part: str | int) -> type[Spec] | None:
    name = kind.keys().get(str(part)) if kind is not None else None
    return spec_kind(kind.model_fields[name].annotation) if kind is not None and name else None


def _holds_list(node: Any, kind: type[Spec] | None, part: str | int) -> bool:
    name = kind.keys().get(str(part)) if kind is not None and isinstance(node, dict) else None
    return kind is not None and name is not None and get_origin(kind.model_fields[name].annotation) is list


def _check_index(node: list[Any], part: str | int, path: KeyPath) -> None:
    where = ".".join(map(str, path))
    if not isinstance(part, int):
        raise _MisfitError(f"{where} is a list: a number must follow, like {where}.0")
    if part > len(node):
        raise _MisfitError(f"{where} has {len(node)} entries, numbered from 0")


def _put(node: Any, part: Any, value: Any) -> None:
    if not isinstance(node, list):
        node[str(part)] = value
    elif part == len(node):
        node.append(value)
    else:
        node[part] = value


def _open(node: Any, part: Any, kind: type[Spec] | None, empty: type[dict[str, Any]] | type[list[Any]]) -> Any:
    """Return the map or list below ``part``, making one where there is a short form or nothing."""
    if isinstance(node, list):
        present = part < len(node)
        value = node[part] if present else None
    else:
        value = node.get(str(part))
    if kind is not None and issubclass(kind, Choice):
        value = kind.long_form(value)
    if not isinstance(value, (dict, list)) or (empty is list and isinstance(value, dict)):
        value = empty()
    _put(node, part, value)
    return value
