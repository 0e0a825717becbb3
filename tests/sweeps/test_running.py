"""The processes of a sweep."""

import pytest

from snnsim.sweeps.running import without_password


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("postgresql+psycopg://me:se@cr:et@host:5432/name", "postgresql+psycopg://me:***@host:5432/name"),
        ("--storage=mysql://me:secret@host/name", "--storage=mysql://me:***@host/name"),
        ("redis://:secret@host", "redis://:***@host"),
        ("postgresql://me@host:5432/name", "postgresql://me@host:5432/name"),
        ("data.npz=C:/a:b@c.npz", "data.npz=C:/a:b@c.npz"),
        ("sqlite:///a:b@c.db", "sqlite:///a:b@c.db"),
    ],
)
def test_passwords_are_kept_out(text: str, kept: str) -> None:
    """The password of a URL is covered, however it is written; what has none stays as it is."""
    assert without_password(text) == kept
