"""The folder of a run: what lies where, when it may be used, and its log."""

import time
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from snnsim.config import Config, flatten, load
from snnsim.errors import InputError
from snnsim.files import write_text
from snnsim.progress import Progress, epoch_line


class RunDirectory:
    """Paths and state of a run directory.

    Parameters
    ----------
    path
        The folder; nothing is created before `create`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.checkpoints = path / "checkpoints"
        self.figures = path / "figures"
        self.log = path / "log.txt"

    @property
    def finished(self) -> bool:
        """Whether everything was written; the report is the last file."""
        return (self.path / "summary.json").exists() and (self.path / "report.html").exists()

    def require_unused(self) -> None:
        """Check that the folder is new or empty.

        Raises
        ------
        InputError
            It is not; nothing in it is touched.
        """
        try:
            used = self.path.exists() and (not self.path.is_dir() or any(map(_in_use, self.path.iterdir())))
        except OSError as error:
            raise InputError(f"{self.path}: cannot be used ({error.strerror})") from None
        if used:
            raise InputError(
                f"{self.path}: exists and is not empty; choose another --out, or go on with its run by --resume"
            )

    def require_same(self, config: Config) -> None:
        """Check that a run to be resumed was started with the same configuration.

        Raises
        ------
        InputError
            The folder holds something else, or a run of another configuration; names the keys that differ.
        """
        if not self.config.exists():
            self.require_unused()
            return
        found = differences(load(str(self.config)).config.resolved(), config.resolved())
        if found:
            raise InputError(f"{self.path}: was started with another configuration: {found}")

    def create(self, config_text: str) -> None:
        """Create the folders and store the resolved configuration.

        Raises
        ------
        InputError
            They cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # The configuration comes first: a folder with anything in it then says what run it is of.
            if not self.config.exists():
                write_text(self.config, config_text)
            for folder in (self.checkpoints, self.figures):
                folder.mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be created ({error.strerror}); choose another --out") from None


def _in_use(entry: Path) -> bool:
    """Say whether a folder's entry is more than what is left of a run that died while it wrote its configuration."""
    return not fnmatch(entry.name, ".config.yaml.*.part")


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Say which dotted keys of two nested configurations differ, and how; nothing where none does."""
    before, now = flatten(stored), flatten(wanted)
    differing = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    return ", ".join(f"{key} (stored {before.get(key, 'nothing')}, now {now.get(key, 'nothing')})" for key in differing)


class Logged:
    """Passes progress on, and writes epochs, notes and warnings to the run's log as well."""

    def __init__(self, progress: Progress, log: Path) -> None:
        self._progress = progress
        self._log = log
        self._epochs = 0

    def record(self, text: str) -> None:
        """Write a line to the log alone."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        try:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(f"{stamp} {text}\n")
        except OSError as error:
            raise InputError(f"{self._log}: cannot be written ({error.strerror})") from None

    def start(self, total_epochs: int, steps_per_epoch: int, first_epoch: int = 1) -> None:
        """Pass on."""
        self._epochs = total_epochs
        self._progress.start(total_epochs, steps_per_epoch, first_epoch)

    def step(
        self,
        epoch: int,
        step: int,
        loss: float,
        accuracy: float,
        spikes_per_sample: float,
        synops_per_sample: float,
    ) -> None:
        """Pass on."""
        self._progress.step(epoch, step, loss, accuracy, spikes_per_sample, synops_per_sample)

    def epoch(self, row: Mapping[str, float]) -> None:
        """Log the epoch's line and pass on."""
        self.record(epoch_line(row, self._epochs))
        self._progress.epoch(row)

    def note(self, text: str) -> None:
        """Log and pass on."""
        self.record(text)
        self._progress.note(text)

    def warn(self, text: str) -> None:
        """Log and pass on."""
        self.record(f"warning: {text}")
        self._progress.warn(text)

    def close(self) -> None:
        """Pass on."""
        self._progress.close()
