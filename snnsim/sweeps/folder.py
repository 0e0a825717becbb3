"""A sweep's folder: the sweep file as it was last run, the runs, what they took, and that one process works in it."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snnsim.errors import InputError
from snnsim.files import write_text

LOG = "log.json"
LOCK = "sweep.lock"


class SweepFolder:
    """The folder that a sweep writes to.

    Parameters
    ----------
    path
        New, empty, or the folder of a sweep; nothing is created before `begin`.

    Raises
    ------
    InputError
        It holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._started = time.strftime("%Y-%m-%d %H:%M:%S")
        try:
            known = (path / "sweep.yaml").exists()
            if not known and path.exists() and (not path.is_dir() or any(map(_in_use, path.iterdir()))):
                raise InputError(f"{path}: exists and holds no sweep; choose another --out")
        except OSError as error:
            raise InputError(f"{path}: cannot be used ({error.strerror})") from None

    @contextmanager
    def begin(self, text: str) -> Iterator[None]:
        """Create the folder, store the sweep file's text, and keep other processes out until the end.

        Raises
        ------
        InputError
            It cannot be created, or another sweep is at work in it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # The system lets go of a lock when its process ends, however it ends.
            handle = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be created ({error.strerror}); choose another --out") from None
        try:
            if not _locked(handle):
                raise InputError(
                    f"{self.path}: another sweep is at work here; wait for its end, or choose another --out"
                )
            write_text(self.path / "sweep.yaml", text)
            yield
        finally:
            os.close(handle)

    def log(self, runs: int, jobs: int, seconds: float, busy: float) -> None:
        """Note what this call did so far: runs done, at how many a time, by the clock and in the runs together."""
        path = self.path / LOG
        before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        entry = {"started": self._started, "runs": runs, "jobs": jobs}
        entry |= {"seconds": round(seconds, 1), "busy_seconds": round(busy, 1)}
        kept = [other for other in before if other["started"] != self._started]
        write_text(path, json.dumps([*kept, entry], indent=1) + "\n")


def _in_use(entry: Path) -> bool:
    """Say whether a folder's entry is more than the lock of a sweep that ended before it began."""
    return entry.name != LOCK


if sys.platform == "win32":

    def _locked(handle: int) -> bool:
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:

    def _locked(handle: int) -> bool:
        """Take the lock of an open file for this process; False where another one has it."""
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True  # a file system without locks: better unprotected than not at all
        return True
