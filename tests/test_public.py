"""The public names: each there, each typed, and none imported before it is used."""

import ast
from pathlib import Path

import pytest

import snnsim

SOURCE = ast.parse(Path(snnsim.__file__).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", snnsim.__all__)
def test_every_name_is_there(name: str) -> None:
    """A name of the list can be had, and ``dir`` knows it."""
    assert getattr(snnsim, name) is not None
    assert name in dir(snnsim)


def test_type_checkers_see_the_same_names() -> None:
    """What is imported for type checkers alone is what comes at run time."""
    (checked,) = [node for node in SOURCE.body if isinstance(node, ast.If)]
    names = {alias.name for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert names | {"__version__"} == set(snnsim.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="no attribute 'Netwrok'"):
        snnsim.Netwrok  # noqa: B018
