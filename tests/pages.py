"""Pages of documentation as something to run: their fenced blocks in order, in one folder.

Blocks of ``sh``, ``python`` and ``yaml`` are commands to run, programs to run (a page's successive programs are one),
and configurations to validate; ``text`` is what they print. A comment above a block may say more:

    <!-- test: append train.epochs=1 -->      to every `snnsim run` of the block
    <!-- test: replace epochs=20 => epochs=1 -->
    <!-- test: file small.yaml -->            the block is saved under this name, as the page tells the reader to
    <!-- test: skip, the reason -->
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from snnsim.config import from_mapping, load
from snnsim.config.reader import read
from snnsim.energy import load_profile
from snnsim.sweeps.checking import check_sweep

LANGUAGES = ("sh", "python", "yaml", "text")
TIMEOUT = 600  # seconds, on a machine that is busy with other things
FENCE = re.compile(r"\s*```(.*)")
DIRECTIVE = re.compile(r"<!-- test: (\w+),?\s*(.*?) -->")


class PageError(AssertionError):
    """A block that does not hold, with its place."""


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, its language and text, and what the comments above it say."""

    page: str
    line: int
    language: str
    text: str
    skip: str = ""
    append: str = ""
    file: str = ""
    replace: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.page}:{self.line}"

    @property
    def shortened(self) -> str:
        """The text with what makes it short enough for a test."""
        text = self.text
        for old, new in self.replace.items():
            if old not in text:
                raise PageError(f"{self.place}: there is no {old!r} to replace")
            text = text.replace(old, new)
        if self.append:
            # Before a comment, and after the last of continued lines.
            command = r"^(snnsim run (?:[^#\n\\]|\\\n)*?)(\s*(?:#.*)?)$"
            text, count = re.subn(command, rf"\1 {self.append}\2", text, flags=re.M)
            if not count:
                raise PageError(f"{self.place}: there is no `snnsim run` to append to")
        return text


def blocks(page: str, text: str) -> list[Block]:
    """Return the fenced blocks of a page.

    Raises
    ------
    PageError
        A block without a language that is known, a comment that is not understood, or a skip without a reason.
    """
    found: list[Block] = []
    said: dict[str, Any] = {}
    lines = iter(enumerate(text.splitlines(), start=1))
    before = ""
    for number, line in lines:
        if line.startswith("    ") and line.strip() and not before.strip():
            raise PageError(f"{page}:{number}: an indented block: fence it and say what language it is in")
        before = line
        fence = FENCE.fullmatch(line)
        if fence is None:
            directive = DIRECTIVE.fullmatch(line.strip())
            if directive is not None:
                said = _with_directive(said, directive[1], directive[2], f"{page}:{number}")
            elif line.strip():
                said = {}
            continue
        language = fence[1]
        if language not in LANGUAGES:
            raise PageError(f"{page}:{number}: a block of {language!r}; must be one of {', '.join(LANGUAGES)}")
        content = []
        for _, inner in lines:
            if FENCE.fullmatch(inner):
                break
            content.append(inner)
        found.append(Block(page, number, language, "\n".join(content), **said))
        said = {}
    return found


def _with_directive(said: dict[str, Any], verb: str, rest: str, place: str) -> dict[str, Any]:
    if verb == "replace" and " => " in rest:
        old, new = rest.split(" => ")
        return {**said, "replace": {**said.get("replace", {}), old: new}}
    if verb not in ("skip", "append", "file") or not rest:
        raise PageError(f"{place}: not understood: {verb} {rest}".rstrip())
    return {**said, verb: rest}


def run_page(found: list[Block], folder: Path) -> None:
    """Run a page's blocks in order.

    Raises
    ------
    PageError
        A command or program fails, or a configuration is not valid; says which.
    """
    wanted = [block for block in found if not block.skip and block.language != "text"]
    for language, group in groupby(wanted, key=lambda block: block.language):
        together = list(group)
        if language == "python":
            _run(together[0], [sys.executable, "-W", "error", "-c", _program(together)], folder)
            continue
        for block in together:
            if block.file:
                (folder / block.file).write_text(block.shortened + "\n", encoding="utf-8")
            if language == "yaml":
                validate(block, folder)
            else:
                _run(block, ["bash", "-euo", "pipefail", "-c", block.shortened], folder)


def _program(together: list[Block]) -> str:
    """Put successive programs into one, each on the lines that it has in its page."""
    lines: list[str] = []
    for block in together:
        lines += [""] * (block.line - len(lines))
        lines += block.shortened.splitlines()
    return "\n".join(lines)


def _run(block: Block, command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "SNNSIM_DATA": "",
            "XDG_CACHE_HOME": str(folder / "cache"),
            "BROWSER": "true",
        },
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode:
        raise PageError(f"{block.place}: exit code {done.returncode}\n{done.stdout}{done.stderr}")


def validate(block: Block, folder: Path) -> None:
    """Check a block of YAML: an energy profile, a sweep, or a configuration or a part of one.

    Raises
    ------
    PageError
        It is not valid.
    """
    for text in dict.fromkeys((block.text, block.shortened)):
        file = folder / "block.yaml"
        file.write_text(text, encoding="utf-8")
        document = read(text)
        try:
            if document.faults or not isinstance(document.data, dict):
                raise PageError(f"{block.place}: not a map in YAML: {document.faults}")
            if "operations" in document.data:
                load_profile(file)
            elif "base" in document.data:
                check_sweep(str(file))
            else:
                from_mapping(dict(_completed(document.data)))
        except ValueError as error:
            raise PageError(f"{block.place}: {error}") from None


def _completed(part: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the keys of a configuration, those that a page leaves out from a ready one."""
    ready = load("digits-kd").config.resolved()
    if "distill" not in part:
        ready = {key: value for key, value in ready.items() if key not in ("teacher", "distill")}
    yield from ({**ready, **part}).items()
