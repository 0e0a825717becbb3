"""A PostgreSQL server of one's own, from the binaries that are on this machine, for as long as a test lasts."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# Where Debian's packages put what is not meant for everybody's PATH.
_DEBIAN = Path("/usr/lib/postgresql")


@contextmanager
def server() -> Iterator[str]:
    """Start a server that listens at a socket alone, and give the URL of a database; skip where there is none."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server on this machine (Debian: apt install postgresql)")
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("no driver for PostgreSQL (pip install 'psycopg[binary]')")
    # Not pytest's folder: the server's user must be able to reach it, and a socket's path may have 107 bytes.
    home = Path(tempfile.mkdtemp(prefix="snnsim-pg-"))
    how = _as_somebody(home)
    data, log = home / "data", home / "log"
    control = [str(binaries / "pg_ctl"), "-D", str(data), "-w"]
    try:
        _call([str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-U", "snnsim", "--no-sync"], how)
        options = f"-c listen_addresses='' -c unix_socket_directories='{home}' -c fsync=off"
        _call([*control, "-l", str(log), "-o", options, "start"], how)
        try:
            yield f"postgresql+psycopg://snnsim:secret@/postgres?host={home}"
        finally:
            _call([*control, "-m", "immediate", "stop"], how)
    finally:
        shutil.rmtree(home)


def _binaries() -> Path | None:
    """Return the folder of initdb and pg_ctl."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return versions[-1].parent if versions else None


def _as_somebody(home: Path) -> Mapping[str, Any]:
    """Return how to start a process as another user where this one is root, whom the server refuses."""
    if os.getuid() != 0:
        return {}
    import pwd

    user = pwd.getpwnam("nobody")
    os.chown(home, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _call(arguments: list[str], how: Mapping[str, Any]) -> None:
    # A server keeps the files that it is started with open: a pipe would not end before it does.
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(arguments, stdout=said, stderr=said, cwd="/", timeout=120, check=False, **how)
        said.seek(0)
        assert done.returncode == 0, said.read().decode(errors="replace")
