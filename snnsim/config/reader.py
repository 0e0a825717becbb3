"""YAML to plain data, with the place of every key and value; and back.

The numbers and truth values are those of YAML 1.2: ``1e-3`` is a number, ``no`` is text. A configuration is a
tree of maps, lists and plain values: tags are refused, and aliases followed only as far as makes sense.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from snnsim.errors import KeyPath
from snnsim.spec import Fault

MAX_DEPTH = 60
MAX_VALUES = 200_000

_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULL = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True)
class Place:
    """Where something stands in a file, counted from 1."""

    line: int
    column: int


@dataclass
class Document:
    """What a text says: plain data, where each key and value stands, and what is wrong with it as YAML."""

    data: Any = None
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    values: dict[KeyPath, Place] = field(default_factory=dict)
    unread: set[KeyPath] = field(default_factory=set)
    faults: list[tuple[Place | None, Fault]] = field(default_factory=list)


class _RefusedError(Exception):
    """The document cannot be read any further than this."""

    def __init__(self, mark: Any, message: str) -> None:
        super().__init__(message)
        self.mark = mark


class _Composer(yaml.SafeLoader):
    """PyYAML's parser up to its tree of nodes; what their texts mean is decided here."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _RefusedError(
                event.start_mark,
                f"YAML tags are not allowed here (got {str(tag).replace('tag:yaml.org,2002:', '!!')})",
            )
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _RefusedError(event.start_mark, f"nested more than {MAX_DEPTH} levels deep")
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read(text: str) -> Document:
    """Read a YAML text; whatever it holds, this returns, and lists what is wrong in ``faults``."""
    document = Document()
    try:
        root = _Composer(text).get_single_node()
        if root is not None:
            document.data = _Walk(document).value(root, (), 0)
    except _RefusedError as error:
        document.faults.append((_place(error.mark), Fault((), str(error))))
    except yaml.MarkedYAMLError as error:
        document.faults.append((_place(error.problem_mark), Fault((), f"not valid YAML: {_problem(error)}")))
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        document.faults.append((place, Fault((), f"not a text file (holds the character {error.character!r})")))
    return document


class _Walk:
    """Turns nodes into plain data and notes every place."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.count = 0

    def value(self, node: yaml.Node, at: KeyPath, depth: int) -> Any:
        # Aliases make one node stand in many places: count what they unfold to, not what is written.
        self.count += 1
        if depth > MAX_DEPTH or self.count > MAX_VALUES:
            raise _RefusedError(node.start_mark, "aliases unfold to a tree that is too large")
        self.document.values[at] = Place(node.start_mark.line + 1, node.start_mark.column + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, at, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*at, index), depth + 1) for index, child in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, at)

    def _mapping(self, node: yaml.MappingNode, at: KeyPath, depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._fault(key_node, at, "a key must be a plain word")
                continue
            key = key_node.value
            if key in data:
                first = self.document.keys[(*at, key)].line
                self._fault(key_node, (*at, key), f"given twice (first on line {first})")
                continue
            if not _is_text(key):
                self._fault(key_node, at, "a key must be valid text")
                continue
            self.document.keys[(*at, key)] = Place(key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            data[key] = self.value(value_node, (*at, key), depth + 1)
        return data

    def _scalar(self, node: yaml.ScalarNode, at: KeyPath) -> Any:
        if not _is_text(node.value):
            return self._unread(node, at, "must be valid text")
        if node.style is not None:  # quoted, or a block of text
            return node.value
        try:
            return plain_value(node.value)
        except ValueError:
            return self._unread(node, at, "a number of too many digits")

    def _unread(self, node: yaml.Node, at: KeyPath, message: str) -> None:
        self.document.unread.add(at)
        self._fault(node, at, message)

    def _fault(self, node: yaml.Node, at: KeyPath, message: str) -> None:
        self.document.faults.append((_place(node.start_mark), Fault(at, message)))


def plain_value(text: str) -> str | int | float | bool | None:
    """Return what an unquoted text means in YAML 1.2's core schema.

    Raises
    ------
    ValueError
        A whole number of more digits than Python reads.
    """
    if text in _NULL:
        return None
    if text in _TRUTH:
        return _TRUTH[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
    return text


class _Dumper(yaml.SafeDumper):
    """Quotes exactly those texts that `read` would not read as text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, data: str) -> yaml.Node:
        # PyYAML takes these for line breaks unless they are escaped, which needs double quotes.
        style = '"' if set(data) & set("\x85\u2028\u2029") else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style)


_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.yaml_implicit_resolvers = {}
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(rf"^(?:{_INTEGER.pattern}|{_BASED.pattern})$"), list("-+0123456789")
)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(rf"^(?:{_FLOAT.pattern})$"), list("-+.0123456789"))


def dump(data: Mapping[str, Any]) -> str:
    """Write plain data as YAML that `read` reads to the same data, keys in their order."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None)
    return text


def flatten(value: Any, at: str = "") -> dict[str, Any]:
    """Return nested plain data as dotted keys, ``network.0.dense.out``; empty maps and lists are values."""
    if isinstance(value, Mapping) and value:
        items = [(f"{at}.{key}" if at else str(key), item) for key, item in value.items()]
    elif isinstance(value, list) and value:
        items = [(f"{at}.{index}", item) for index, item in enumerate(value)]
    else:
        return {at: value}
    flat: dict[str, Any] = {}
    for key, item in items:
        flat |= flatten(item, key)
    return flat


def _problem(error: yaml.MarkedYAMLError) -> str:
    problem = (error.problem or "cannot be read").replace("'<stream end>'", "the end of the file")
    return f"{error.context} {problem}" if error.context and problem.startswith("but ") else problem


def _is_text(value: str) -> bool:
    """Tell whether a text can be written at all; escapes can produce halves of characters that cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _place(mark: Any) -> Place | None:
    return Place(mark.line + 1, mark.column + 1) if mark is not None else None
