"""Files that ship with snnsim by name, and files of the user's own: finding them and reading their text."""

from importlib.resources.abc import Traversable
from pathlib import Path

from snnsim.errors import ConfigError
from snnsim.ready import ready_files, ready_names
from snnsim.spec import nearest, show

MAX_BYTES = 16 * 2**20


def find(name_or_path: str, noun: str = "configuration", folder: str = "") -> Traversable:
    """Return the ready file of a name, or the file of a path; ``noun`` is what messages call it.

    Raises
    ------
    ConfigError
        There is neither; says what was probably meant.
    """
    for entry in ready_files(folder):
        if entry.name == f"{name_or_path}.yaml":
            return entry
    path = Path(name_or_path)
    names = ready_names(folder)
    if not name_or_path:
        raise ConfigError([f"an empty name; the ready {noun}s are {', '.join(names)}"])
    try:
        if path.is_file():
            return path
        is_folder = path.is_dir()
    except (OSError, ValueError) as error:  # a name too long, or with a character that no file can have
        raise ConfigError([f"{show(name_or_path)}: cannot be a file's name ({_reason(error)})"]) from None
    if is_folder:
        hint = f"; the run in it was made from {path / 'config.yaml'}" if (path / "config.yaml").is_file() else ""
        raise ConfigError([f"{name_or_path}: is a folder, not a {noun}{hint}"])
    if path.suffix in (".yaml", ".yml") or path.name != name_or_path:
        ready = f"; the ready one is called {path.stem!r}" if path.stem in names else ""
        raise ConfigError([f"{name_or_path}: no such file{ready}"])
    hint = nearest(name_or_path, names)
    raise ConfigError([f"{name_or_path}: no such file, and no ready {noun} of that name{hint}"])


def text_of(source: Traversable, shown: str) -> str:
    """Return a file's text; ``shown`` is what messages call it.

    Raises
    ------
    ConfigError
        It cannot be read, is too large, or no text.
    """
    try:
        with source.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError([f"{shown}: cannot be read ({_reason(error)})"]) from None
    if len(content) > MAX_BYTES:
        raise ConfigError([f"{shown}: too large for a configuration (over {MAX_BYTES >> 20} MiB)"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError([f"{shown}: not a text file in UTF-8 (at byte {error.start})"]) from None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
