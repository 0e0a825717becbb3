"""Event-driven simulation and training of spiking neural networks, with exact operation counts."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from snnsim.errors import ConfigError, DataError, InputError, SnnsimError
    from snnsim.events import Events
    from snnsim.experiment import run_experiment
    from snnsim.network import Network
    from snnsim.nir_graph import from_nir, save_nir, to_nir

# Name to module: imported when first used, so that the command line starts at once.
_PUBLIC = {
    "ConfigError": "snnsim.errors",
    "DataError": "snnsim.errors",
    "Events": "snnsim.events",
    "InputError": "snnsim.errors",
    "Network": "snnsim.network",
    "SnnsimError": "snnsim.errors",
    "from_nir": "snnsim.nir_graph",
    "run_experiment": "snnsim.experiment",
    "save_nir": "snnsim.nir_graph",
    "to_nir": "snnsim.nir_graph",
}

__all__ = [
    "ConfigError",
    "DataError",
    "Events",
    "InputError",
    "Network",
    "SnnsimError",
    "__version__",
    "from_nir",
    "run_experiment",
    "save_nir",
    "to_nir",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'snnsim' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
