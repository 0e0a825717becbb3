"""The installed command, run as a user runs it."""

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def command() -> str:
    """Return the command beside this Python."""
    return str(Path(sys.executable).parent / "snnsim")


@pytest.fixture
def main() -> Any:
    """Return the module behind the command, from the installation."""
    return importlib.import_module("snnsim.cli.main")


@pytest.fixture
def snnsim(command: str, tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run ``snnsim`` in the test's own folder, away from the user's data and caches."""

    def run(*arguments: object, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [command, *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "SNNSIM_DATA": "", "XDG_CACHE_HOME": str(tmp_path / "cache"), **(env or {})},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
