"""The files that ship in ``models/`` under their names; light, so that a shell can complete them at once."""

from importlib import resources
from importlib.resources.abc import Traversable


def ready_files(folder: str = "") -> list[Traversable]:
    """Return what ships in ``models/`` or a folder of it."""
    models = resources.files("snnsim.models")
    return list((models / folder if folder else models).iterdir())


def ready_names(folder: str = "") -> list[str]:
    """Return the names of the YAML files that ship in ``models/`` or a folder of it, without endings, sorted."""
    return sorted(entry.name.removesuffix(".yaml") for entry in ready_files(folder) if entry.name.endswith(".yaml"))
