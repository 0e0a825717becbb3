"""Event-driven simulation and training of spiking neural networks, with exact operation counts."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from snnsim import datasets, plots
    from snnsim.datasets.samples import Dataset
    from snnsim.errors import ConfigError, DataError, DivergedError, InputError, SnnsimError
    from snnsim.evaluation import Evaluation
    from snnsim.events import Events
    from snnsim.experiment import run_experiment
    from snnsim.learning import evaluate, load_data, train
    from snnsim.network import Network
    from snnsim.nir_graph import from_nir, save_nir, to_nir
    from snnsim.results import BatchRun
    from snnsim.runs import Run, read_run, run
    from snnsim.training.trainer import Training

# Name to module: imported when first used, so that the command line starts at once. A module stands for itself.
_PUBLIC = {
    "BatchRun": "snnsim.results",
    "ConfigError": "snnsim.errors",
    "DataError": "snnsim.errors",
    "Dataset": "snnsim.datasets.samples",
    "DivergedError": "snnsim.errors",
    "Evaluation": "snnsim.evaluation",
    "Events": "snnsim.events",
    "InputError": "snnsim.errors",
    "Network": "snnsim.network",
    "Run": "snnsim.runs",
    "SnnsimError": "snnsim.errors",
    "Training": "snnsim.training.trainer",
    "datasets": "snnsim.datasets",
    "evaluate": "snnsim.learning",
    "from_nir": "snnsim.nir_graph",
    "load_data": "snnsim.learning",
    "plots": "snnsim.plots",
    "read_run": "snnsim.runs",
    "run": "snnsim.runs",
    "run_experiment": "snnsim.experiment",
    "save_nir": "snnsim.nir_graph",
    "to_nir": "snnsim.nir_graph",
    "train": "snnsim.learning",
}

__all__ = [
    "BatchRun",
    "ConfigError",
    "DataError",
    "Dataset",
    "DivergedError",
    "Evaluation",
    "Events",
    "InputError",
    "Network",
    "Run",
    "SnnsimError",
    "Training",
    "__version__",
    "datasets",
    "evaluate",
    "from_nir",
    "load_data",
    "plots",
    "read_run",
    "run",
    "run_experiment",
    "save_nir",
    "to_nir",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'snnsim' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(_PUBLIC[name])
    value = module if module.__name__ == f"snnsim.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
