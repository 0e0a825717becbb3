"""Small searches, and results that no training made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snnsim.sweeps import LoadedSearch, load_search
from snnsim.sweeps.results import MEASURES

BASE = """\
base: digits
set: {train.epochs: 1, data.limit: 60, network.0.dense: 8, encoder.direct.num_steps: 2}
"""

GRID = f"""\
{BASE}search:
  network.1.lif.threshold: [0.5, 1.0]
  train.batch_size: {{range: [16, 32], step: 16}}
sampler: grid
"""

RANDOM = f"""\
{BASE}search:
  network.1.lif.threshold: {{range: [0.2, 1.0], step: 0.1}}
  network.1.lif.beta: {{range: [0.5, 0.99]}}
  train.regularizers.0.spike_l1.weight: {{log_range: [0.00001, 0.01]}}
  train.batch_size: {{log_range: [8, 64]}}
  train.optimizer: [adam, {{sgd: {{lr: 0.1}}}}]
sampler: random
trials: 5
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "search.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def loaded(folder: Path, text: str) -> LoadedSearch:
    return load_search(written(folder, text))


def result(valid: float, cost: float, **test: float) -> Mapping[str, Any]:
    """Make the figures of a trial: accuracy and SynOps in validation; in the test half of them, or what is given."""
    values = dict.fromkeys(MEASURES, 0.5) | {"accuracy": valid / 2, "synops": cost / 2} | test
    values |= {"valid_accuracy": valid, "valid_synops": cost}
    return {"seed": 0, "values": values, "layers": {"1 lif": 3.0}}
