"""The parts of the documentation that are written from the code, and what pages say of the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
EXTENDING = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


def generate(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "docs/generate.py", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)


def test_tables_and_commands_are_up_to_date() -> None:
    """What stands in the pages is what the schema, the commands and the profiles give now."""
    done = generate("--check")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", sorted({*re.findall(r"`((?:snnsim|tests|docs)/[\w/]+(?:\.py|/))`", EXTENDING)}))
def test_files_that_are_named_exist(path: str) -> None:
    """How to add something names files that are there."""
    assert (ROOT / path).exists()


def test_names_stand_in_the_files_that_are_said_to_hold_them() -> None:
    """Wherever a page says `name` in `file`, the file has the name."""
    pairs = re.findall(r"`(\w+)(?:\(\))?`(?: and `(\w+)`)? in `((?:snnsim|tests)/[\w/]+\.py)`", EXTENDING)
    assert len(pairs) > 12
    for *names, path in pairs:
        source = (ROOT / path).read_text(encoding="utf-8")
        for name in filter(None, names):
            assert re.search(rf"\b{name}\b", source), f"{name} in {path}"
