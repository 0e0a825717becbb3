"""YAML to plain data with places, and back."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnsim.config.reader import MAX_DEPTH, Document, Place, dump, read


def only_fault(document: Document) -> tuple[Place | None, str]:
    ((place, fault),) = document.faults
    return place, str(fault)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1e1", 10.0),
        ("+1.5E+2", 150.0),
        (".5", 0.5),
        ("5", 5),
        ("-5", -5),
        ("010", 10),
        ("0o17", 15),
        ("0xff", 255),
        ("true", True),
        ("False", False),
        ("no", "no"),
        ("on", "on"),
        ("12:30:00", "12:30:00"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("null", None),
        ("~", None),
        ("'5'", "5"),
        ('"true"', "true"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
    ],
)
def test_plain_values_follow_yaml_1_2(text: str, value: object) -> None:
    """Numbers with exponents are numbers, only true and false are truth values, quotes make text."""
    data = read(f"x: {text}").data["x"]

    assert data == value
    assert type(data) is type(value)


def test_places_of_keys_and_values() -> None:
    """Every key and every value is found again, counted from line 1 and column 1."""
    document = read("data: {name: digits}\nnetwork:\n  - dense: 10\n  - li\n")

    assert document.data == {"data": {"name": "digits"}, "network": [{"dense": 10}, "li"]}
    assert document.keys[("data", "name")] == Place(1, 8)
    assert document.values[("data", "name")] == Place(1, 14)
    assert document.values[("network", 0, "dense")] == Place(3, 12)
    assert document.values[("network", 1)] == Place(4, 5)


def test_a_duplicate_key_is_named_where_it_stands_the_second_time() -> None:
    """YAML parsers usually let the second one win silently."""
    document = read("a: 1\nb:\n  c: 2\n  c: 3\n")

    assert only_fault(document) == (Place(4, 3), "b.c: given twice (first on line 3)")


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (
            "x: !!python/object:os.system y",
            Place(1, 4),
            "YAML tags are not allowed here (got !!python/object:os.system)",
        ),
        ("x: !!int 3", Place(1, 4), "YAML tags are not allowed here (got !!int)"),
        ("- !mine {a: 1}", Place(1, 3), "YAML tags are not allowed here (got !mine)"),
        ("a: [1,\n", Place(2, 1), "not valid YAML: expected the node content, but found the end of the file"),
        (
            "a: 1\n---\nb: 2\n",
            Place(2, 1),
            "not valid YAML: expected a single document in the stream but found another document",
        ),
        ("a: 1\n\tb: 2\n", None, "not valid YAML: "),
        ("a: *b\n", Place(1, 4), "not valid YAML: found undefined alias"),
        ("? [a]\n: 1\n", Place(1, 3), "a key must be a plain word"),
        ("a: \x00", Place(1, 4), "not a text file (holds the character 0)"),
        ("a: 1\nbc\x07: 1", Place(2, 3), "not a text file (holds the character 7)"),
        ("a: " + "9" * 5000, Place(1, 4), "a: a number of too many digits"),
        ('a: "\\ud800"', Place(1, 4), "a: must be valid text"),
        ("[" * 5000, Place(1, MAX_DEPTH + 1), f"nested more than {MAX_DEPTH} levels deep"),
        ("a: &a [*a]", Place(1, 4), "aliases unfold to a tree that is too large"),
    ],
)
def test_what_is_not_a_plain_tree_is_one_clear_fault(text: str, place: Place | None, message: str) -> None:
    """Tags, syntax errors, binary content, odd keys and endless trees are refused with their place."""
    found_place, found = only_fault(read(text))

    assert found.startswith(message)
    assert place is None or found_place == place


def test_an_alias_bomb_is_refused_quickly() -> None:
    """A few lines that unfold to billions of values stop at a limit."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]

    assert only_fault(read("\n".join(lines)))[1] == "aliases unfold to a tree that is too large"


def test_modest_aliases_are_followed() -> None:
    """An anchor saves typing, as YAML means it to."""
    assert read("a: &x {beta: 0.5}\nb: *x\n").data == {"a": {"beta": 0.5}, "b": {"beta": 0.5}}


@given(st.text())
def test_no_text_makes_the_reader_fail(text: str) -> None:
    """Whatever is in a file, the reader returns a document."""
    assert isinstance(read(text), Document)


@given(st.text(alphabet="ab:-[]{},&*!|>'\"#%@ \n\t?0.e~<=\\"))
def test_no_punctuation_makes_the_reader_fail(text: str) -> None:
    """The same, for texts that are nearly YAML."""
    assert isinstance(read(text), Document)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False),
    TEXTS,
    st.sampled_from(["1e-3", "no", "true", "~", "", "null", "0x1f", ".5", ">", "12:30", "a: b", "- a", "#", "=", "<<"]),
)
TREES = st.dictionaries(
    TEXTS, st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))
)


@given(TREES)
def test_what_is_dumped_reads_back_the_same(data: dict[str, Any]) -> None:
    """Texts that look like numbers stay texts, numbers keep all their digits."""
    document = read(dump(data))

    assert not document.faults
    assert document.data == data
