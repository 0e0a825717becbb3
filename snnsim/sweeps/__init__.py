"""Comparisons of many runs: the sweep file, its trials in parallel, their results side by side."""

from snnsim.sweeps.language import LoadedSweep, Sweep, load_sweep
from snnsim.sweeps.running import Swept, run_sweep

__all__ = ["LoadedSweep", "Sweep", "Swept", "load_sweep", "run_sweep"]
