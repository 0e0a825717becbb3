"""Run directories from Python: made as ``snnsim run`` makes them, and read."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnsim.accounting import COUNTERS
from snnsim.config import Config, from_mapping, load
from snnsim.experiment import run_experiment
from snnsim.network import Network
from snnsim.notebook import chosen_progress
from snnsim.progress import Progress
from snnsim.reports.runs import read_run as read_stored
from snnsim.tables import LAYER_COLUMNS, LayerFacts, html_table, in_one_line, layer_rows, text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run: what its directory holds.

    Attributes
    ----------
    path : Path
        The run directory.
    summary : dict
        ``summary.json``.
    history : list of dict
        The rows of ``metrics.csv``, one an epoch; empty cells are left out.
    layers : list of LayerFacts
        Name, shape and number of parameters of each layer.
    counts : list of dict
        ``counts[i]`` are layer i's counters, totals over the test set.
    """

    path: Path
    summary: Mapping[str, Any]
    history: list[dict[str, float]]
    layers: list[LayerFacts]
    counts: list[dict[str, int]]

    @property
    def test(self) -> dict[str, Any]:
        """The results on the test set: ``accuracy``, ``loss``, ``spikes_per_sample``, ``synops_per_sample``, ..."""
        results: dict[str, Any] = self.summary["test"]
        return results

    @property
    def network(self) -> Network:
        """The trained network, read from the run's model."""
        return Network.load(self.path)

    @property
    def config(self) -> Config:
        """What the run was told, with every default."""
        return load(self.path / "config.yaml").config

    @property
    def report(self) -> Path:
        """The report, a file to open in a browser."""
        return self.path / "report.html"

    @property
    def figures(self) -> dict[str, Path]:
        """Name to file of every figure that was drawn: ``spike-raster``, ``confusion-matrix``, ..."""
        return {file.stem: file for file in sorted((self.path / "figures").glob("*.png"))}

    def figure(self) -> "Figure":
        """Draw accuracy (or loss), spikes and synaptic operations over the epochs."""
        from snnsim.plots import learning_curves

        return learning_curves(self.history)

    def __repr__(self) -> str:
        return f"{self._headline}\n{text_table(LAYER_COLUMNS, self._rows)}"

    def _repr_html_(self) -> str:
        return html_table(self._headline, LAYER_COLUMNS, self._rows)

    @property
    def _headline(self) -> str:
        return f"Run {self.path}: test {in_one_line(self.test)}; a sample:"

    @property
    def _rows(self) -> list[tuple[object, ...]]:
        return layer_rows(self.layers, self.counts, self.test["samples"])


def run(
    config: str | os.PathLike[str] | Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    threads: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    progress: Progress | bool = True,
) -> Run:
    """Train and test a network by a configuration and keep all of it, as ``snnsim run`` does.

    Parameters
    ----------
    config
        Name of a ready configuration, a YAML file, or the same as a map.
    overrides
        Settings to change, as on the command line: ``["train.epochs=3"]``.
    out
        The run directory, new or empty; by default ``runs/<name>-<date>-<time>``.
    resume
        Go on from the last checkpoint in ``out``.
    threads
        Workers; changes no bit of the result.
    data_dir
        Where to look for data first.
    progress
        As in `snnsim.train`.

    Raises
    ------
    InputError
        What was given cannot be used.
    DivergedError
        Training diverged; the last good checkpoint is kept.
    """
    loaded = from_mapping(config, overrides) if isinstance(config, Mapping) else load(config, overrides)
    told = chosen_progress(progress)
    try:
        folder = run_experiment(
            loaded,
            None if out is None else Path(out),
            resume=resume,
            threads=threads,
            data_dir=None if data_dir is None else Path(data_dir),
            progress=told,
        )
    finally:
        told.close()
    return read_run(folder)


def read_run(path: str | os.PathLike[str]) -> Run:
    """Read the directory of a finished run.

    Raises
    ------
    InputError
        It is not one, or a file in it is damaged.
    """
    stored = read_stored(Path(path))
    rows = [row for row in stored.layers if row.index != "input"]
    described = stored.summary["model"]["layers"]
    return Run(
        path=Path(path),
        summary=stored.summary,
        history=[{key: float(cell) for key, cell in row.items() if cell} for row in stored.epochs],
        layers=[
            LayerFacts(layer["index"], layer["layer"], tuple(layer["out_shape"]), layer["parameters"])
            for layer in described
        ],
        counts=[{name: row.counts[name] for name in COUNTERS} for row in rows],
    )
