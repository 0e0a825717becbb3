"""Sweeps: many runs of a configuration, as a comparison of methods or as a search, in parallel and side by side."""

from snnsim.sweeps.language import LoadedSweep, Sweep, load_sweep
from snnsim.sweeps.running import Swept, run_sweep
from snnsim.sweeps.searching import run_search
from snnsim.sweeps.space import LoadedSearch, Search, is_search, load_search

__all__ = [
    "LoadedSearch",
    "LoadedSweep",
    "Search",
    "Sweep",
    "Swept",
    "is_search",
    "load_search",
    "load_sweep",
    "run_search",
    "run_sweep",
]
