"""docs/nir.md: its commands and examples run."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "nir.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One after the other, in one folder, as they stand there but for a shorter training."""
    main: Any = __import__("importlib").import_module("snnsim.cli.main")
    monkeypatch.chdir(tmp_path)
    for line in "".join(blocks("sh")).splitlines():
        program, *arguments = shlex.split(line)
        assert program == "snnsim"
        shorter = ["train.epochs=1", "data.limit=60", "--quiet"] if arguments[0] == "run" else []
        assert main.call([*arguments, *shorter]) == 0, capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_the_examples_run(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of other libraries where these are installed."""
    monkeypatch.chdir(tmp_path)
    code = blocks("python")[number]
    for library in re.findall(r"^import (\w+)", code, re.MULTILINE):
        pytest.importorskip(library, reason=f"{library} is not installed", exc_type=ImportError)
    exec(compile(code, "docs/nir.md", "exec"), {})
    assert list(tmp_path.glob("*.nir"))
