"""Configurations: YAML or plain data, with overrides, to one validated `Config`."""

from snnsim.config.loading import LoadedConfig, config_names, find_config, from_mapping, load
from snnsim.config.reader import dump as dump_yaml
from snnsim.config.reader import flatten
from snnsim.config.reader import read as read_yaml
from snnsim.config.schema import DATASET_NAMES, Config, DataSpec, EnergySpec, TrainSpec, json_schema

__all__ = [
    "DATASET_NAMES",
    "Config",
    "DataSpec",
    "EnergySpec",
    "LoadedConfig",
    "TrainSpec",
    "config_names",
    "dump_yaml",
    "find_config",
    "flatten",
    "from_mapping",
    "json_schema",
    "load",
    "read_yaml",
]
