"""Validation errors put into our own words: where, what must hold, what was found, what was meant."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from snnsim.errors import KeyPath, key_name
from snnsim.spec.choices import Choice, Spec, nearest, show, spec_kind

_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "model_type": "a map of options",
}
_BOUNDS = {
    "greater_than": ("gt", ">"),
    "greater_than_equal": ("ge", ">="),
    "less_than": ("lt", "<"),
    "less_than_equal": ("le", "<="),
}
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: the path of the key (empty for the whole) and what must hold.

    ``about_key`` says that the key itself is wrong, not its value.
    """

    path: KeyPath
    message: str
    about_key: bool = False

    def __str__(self) -> str:
        """Return ``network.1.lif.beta: must be <= 1 (got 3)``."""
        return f"{key_name(self.path)}: {self.message}" if self.path else self.message


def faults(error: ValidationError, kind: type[Spec], at: KeyPath = ()) -> list[Fault]:
    """List every fault of a failed validation of ``kind``, whose own place is ``at``."""
    return [_fault(details, kind, at) for details in error.errors(include_url=False)]


def _fault(details: ErrorDetails, kind: type[Spec], at: KeyPath) -> Fault:
    # Parts in angle brackets are pydantic's names for the branch of a union, not keys.
    path = tuple(part for part in details["loc"] if not str(part).startswith("<"))
    code, value, context = details["type"], details["input"], details.get("ctx", {})
    if code == "missing":
        return Fault((*at, *path[:-1]), f"missing key {str(path[-1])!r}")
    if code == "extra_forbidden":
        return Fault((*at, *path), _unknown(path, kind), about_key=True)
    return Fault((*at, *path), _message(code, value, context) or details["msg"])


def _message(code: str, value: object, context: dict[str, Any]) -> str:
    got = f"(got {show(value)})"
    if code in _BOUNDS:
        key, sign = _BOUNDS[code]
        return f"must be {sign} {str(context[key]).removesuffix('.0')} {got}"
    if code in ("too_short", "too_long"):
        end, length = ("least", context["min_length"]) if code == "too_short" else ("most", context["max_length"])
        return f"must have at {end} {length} {'entry' if length == 1 else 'entries'} {got}"
    if code == "string_too_short":
        return "must not be empty"
    if code == "literal_error":
        known = re.findall(r"'([^']*)'", context["expected"])
        hint = nearest(value, known) if isinstance(value, str) else ""
        return f"must be one of {', '.join(known)} {got}{hint if 'did you mean' in hint else ''}"
    if code in _WANTED:
        quoted = "number" in _WANTED[code] and isinstance(value, str)
        hint = "; write it without quotes" if quoted and _NUMBER.fullmatch(str(value)) else ""
        return f"must be {_WANTED[code]} {got}{hint}"
    return ""


def _unknown(path: KeyPath, kind: type[Spec]) -> str:
    key, owner = str(path[-1]), _owner(path[:-1], kind)
    noun = owner.NOUN if issubclass(owner, Choice) else "key"
    keys = owner.keys()
    return f"unknown {noun}{nearest(key, keys) if keys else '; there are no options here'}"


def _owner(path: KeyPath, kind: type[Spec]) -> type[Spec]:
    """Walk from a specification down a path, through lists, to the specification that stands there."""
    for part in path:
        name = kind.keys().get(part) if isinstance(part, str) else None
        below = spec_kind(kind.model_fields[name].annotation) if name else None
        kind = below or kind
    return kind
