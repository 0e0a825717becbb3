"""Errors with a message for people: what is wrong, where, and how to mend it."""

from collections.abc import Sequence

KeyPath = tuple[str | int, ...]


class SnnsimError(Exception):
    """Anything that snnsim raises on purpose."""


class InputError(SnnsimError, ValueError):
    """What the user gave cannot be used (exit code 2 of the command line).

    Parameters
    ----------
    message
        One sentence: what must hold and what was found.
    path
        Where in a configuration the fault lies, for example ``("network", 2, "lif", "beta")``; empty where
        the fault has no such place.
    """

    def __init__(self, message: str, path: KeyPath = ()) -> None:
        super().__init__(message)
        self.path = path


class ConfigError(InputError):
    """A configuration that cannot be run; the text lists every fault, one a line."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)

    def __reduce__(self) -> tuple[type, tuple[tuple[str, ...]]]:
        """Come out of another process as it went in."""
        return type(self), (self.faults,)


class DataError(InputError):
    """Data that is missing, damaged or does not fit."""


class DivergedError(SnnsimError):
    """Training produced a loss that is not a number (exit code 2: the settings are the user's)."""


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C in a run (exit code 130); the text says what is kept and how to go on."""


def key_name(path: KeyPath) -> str:
    """Write a path as users write it in overrides: ``network.2.lif.beta``."""
    return ".".join(map(str, path))
