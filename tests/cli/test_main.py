"""The command line as a whole: help, start, exit codes, and how errors look."""

import errno
import re
import subprocess
import sys
from typing import Any

import click
import pytest

from snnsim.errors import ConfigError, DataError, DivergedError, InputError

COMMANDS = [
    "completion",
    "data",
    "describe",
    "doctor",
    "eval",
    "export",
    "import",
    "new",
    "predict",
    "report",
    "run",
    "schema",
    "sweep",
    "validate",
]
HEAVY = ["numba", "numpy", "scipy", "matplotlib", "pydantic", "yaml", "rich", "jinja2"]


@pytest.fixture
def fails(main: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command that raises, and return its exit code."""

    def fails(error: BaseException, *options: str) -> int:
        @click.command()
        def broken() -> None:
            raise error

        monkeypatch.setitem(main.snnsim.commands, "broken", broken)
        code: int = main.call([*options, "broken"])
        return code

    return fails


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_every_command(snnsim: Any, option: str) -> None:
    """Short and long option say the same, on stdout."""
    result = snnsim(option)

    assert result.returncode == 0
    assert re.findall(r"^  (\w+)  ", result.stdout.partition("Commands:")[2], re.MULTILINE) == COMMANDS
    assert result.stderr == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(main: Any, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And its help fits the terminal's list of commands."""
    assert main.call([command, "-h"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: snnsim {command} ")
    main.call(["--help"])
    assert "..." not in capsys.readouterr().out.partition("Commands:")[2]


def test_help_imports_nothing_heavy() -> None:
    """What it takes to answer at once: no arrays, no compiler, no figures, no validation."""
    code = (
        "import sys; from snnsim.cli.main import call; call(['--help']); "
        f"sys.stderr.write(' '.join(set({HEAVY}) & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "Commands:" in result.stdout
    assert result.stderr == ""


def test_version_names_what_results_depend_on(snnsim: Any) -> None:
    """The versions of snnsim, Python, NumPy and Numba, and the processor."""
    result = snnsim("--version")

    assert result.returncode == 0
    assert re.fullmatch(r"snnsim \S+ \(Python \S+, NumPy \S+, Numba \S+; \S.*\)\n", result.stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["bogus"],
        ["run"],
        ["run", "digits", "--bogus"],
        ["run", "digits", "--threads", "0"],
        ["eval", "--limit", "x"],
    ],
)
def test_wrong_usage_is_exit_2(main: Any, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With click's hint on stderr and nothing on stdout."""
    assert main.call(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Usage: snnsim" in err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("x.npz: no such file"), 2, "x.npz: no such file\n"),
        (ConfigError(["c.yaml:1:2: a", "c.yaml:3:4: b"]), 2, "c.yaml:1:2: a\nc.yaml:3:4: b\n"),
        (DataError("labels differ"), 2, "labels differ\n"),
        (DivergedError("the loss is nan in epoch 3"), 2, "the loss is nan in epoch 3\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "log.txt"),
            2,
            "log.txt: cannot be written (No space left on device)\n",
        ),
        (
            MemoryError("8 GiB"),
            2,
            "not enough memory (8 GiB); try smaller layers, fewer steps or a smaller batch\n",
        ),
        (
            ZeroDivisionError("by zero"),
            1,
            "internal error: ZeroDivisionError: by zero; `snnsim --debug ...` shows where, please report it\n",
        ),
    ],
)
def test_errors_become_exit_codes(
    fails: Any, error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """2 for the user's input, 130 for Ctrl-C, 1 for our fault; one message on stderr, no traceback."""
    assert fails(error) == code
    assert capsys.readouterr() == ("", message)


def test_debug_shows_the_traceback(fails: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """For whoever wants to mend it."""
    assert fails(ZeroDivisionError("by zero"), "--debug") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Traceback (most recent call last)")
    assert err.endswith("internal error: ZeroDivisionError: by zero\n")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of another kind")
def test_a_closed_pipe_is_left_quietly(tmp_path: Any) -> None:
    """``snnsim schema | head -1`` says nothing about pipes."""
    script = f"'{sys.executable}' -c 'from snnsim.cli.main import main; main()' schema | head -c 1"
    result = subprocess.run(script, shell=True, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert (result.stdout, result.stderr, result.returncode) == ("{", "", 0)
