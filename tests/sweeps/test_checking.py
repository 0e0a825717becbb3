"""Sweep files checked without running them."""

from pathlib import Path

from snnsim.ready import ready_names
from snnsim.sweeps.checking import is_sweep

DOCS = Path(__file__).resolve().parents[2] / "docs" / "sweeps.md"


def test_configurations_are_told_from_sweeps(tmp_path: Path) -> None:
    """A ready configuration goes before a ready sweep of the same name; of a file its keys tell, if it has any."""
    files = {"run": "data: {name: digits}\n", "sweep": "base: digits\n", "neither": "", "broken": "base: [\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert [is_sweep(str(tmp_path / name)) for name in files] == [False, True, False, False]
    assert [is_sweep(name) for name in ("digits-kd", "digits-search", "digits-kd.yaml", "nothing")] == [
        False,
        True,
        False,
        False,
    ]


def test_the_page_names_every_ready_sweep() -> None:
    """Each can be found without looking into the package."""
    page = DOCS.read_text(encoding="utf-8")
    assert [name for name in ready_names("sweeps") if f"`{name}`" not in page] == []
