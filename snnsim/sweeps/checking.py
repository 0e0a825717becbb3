"""Sweep files checked without running them."""

from pathlib import Path

from snnsim.config import config_names
from snnsim.errors import ConfigError, InputError
from snnsim.inference import check
from snnsim.sweeps.candidates import Candidates
from snnsim.sweeps.language import load_sweep, open_sweep
from snnsim.sweeps.space import is_search, load_search
from snnsim.sweeps.trials import plan

# Keys that no configuration has.
_KEYS = {"base", "methods", "search"}


def is_sweep(name_or_path: str) -> bool:
    """Tell a sweep from a configuration; a name that both have is the configuration's."""
    if name_or_path in config_names():
        return False
    try:
        data = open_sweep(name_or_path).document.data
    except ConfigError:
        return False
    return isinstance(data, dict) and bool(_KEYS & data.keys())


def check_sweep(name_or_path: str, data_dir: Path | None = None) -> None:
    """Check that every setting, or every value that is searched, makes a configuration whose sizes fit.

    Raises
    ------
    ConfigError
        Lists the faults, each with its place.
    """
    if is_search(name_or_path):
        Candidates(load_search(name_or_path)).check_sizes()
        return
    loaded = load_sweep(name_or_path)
    trials = plan(loaded, Path("sweeps") / loaded.name).trials
    for trial in {trial.setting: trial for trial in trials}.values():
        try:
            check(trial.loaded, data_dir)
        except InputError as error:
            said = str(error).splitlines()
            raise ConfigError([f"{loaded.shown}: methods.{trial.setting.method}: {line}" for line in said]) from None
