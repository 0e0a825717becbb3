"""What a run directory says of its run: the summary, and tables as CSV."""

import csv
import io
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from snnsim import __version__
from snnsim.accounting import COUNTERS
from snnsim.config import Config
from snnsim.datasets import Dataset
from snnsim.evaluation import Evaluation
from snnsim.network import Network
from snnsim.recorded import data_summary
from snnsim.teachers import Teacher
from snnsim.training.trainer import Training

FORMAT = 1


def run_summary(
    config: Config,
    dataset: Dataset,
    network: Network,
    filename: str,
    trained: Training,
    result: Evaluation,
    teacher: Teacher | None,
) -> dict[str, Any]:
    """Return what ``summary.json`` holds; ``filename`` is that of the configuration."""
    seen = len(dataset.train) * config.train.epochs
    return {
        "format": FORMAT,
        "snnsim": __version__,
        "seed": config.seed,
        "config": filename,
        "data": data_summary(dataset, config.encoder),
        "model": {
            "parameters": sum(array.size for array in network.parameters.values()),
            "layers": [
                {
                    "index": layer.index,
                    "layer": layer.name,
                    "in_shape": list(layer.in_shape),
                    "out_shape": list(layer.out_shape),
                    "parameters": sum(array.size for array in layer.parameters.values()),
                }
                for layer in network.layers
            ],
        },
        "test": result.summary(),
        "energy": {
            "profile": config.energy.profile,
            "joules_per_sample": result.joules_per_sample(config.energy.profile),
            "estimate": True,
        },
        "teacher": None if teacher is None else {"accuracy": teacher.accuracy},
        "distill": None if config.distill is None else config.distill.resolved(),
        "train": {
            "epochs": config.train.epochs,
            "seconds": round(trained.seconds, 3),
            "samples_per_second": round(seen / trained.seconds, 1),
        },
        "environment": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "numba": version("numba"),
            "platform": platform.platform(),
            "command": " ".join(["snnsim", *sys.argv[1:]]),
        },
    }


def accounting_csv(network: Network, result: Evaluation) -> str:
    """Return one row per layer with the totals of every counter, and the input's events in a row of their own."""
    empty = dict.fromkeys(COUNTERS, 0)
    rows: list[dict[str, Any]] = [
        {"index": "input", "layer": "input", "out_shape": _shape(network.input_shape)}
        | empty
        | {"spikes": result.input_events}
    ]
    for layer, counts in zip(network.layers, result.layers, strict=True):
        rows.append({"index": layer.index, "layer": layer.name, "out_shape": _shape(layer.out_shape)} | counts)
    return table_csv(("index", "layer", "out_shape", *COUNTERS), rows)


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def table_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as CSV under a head; what is None or missing is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
