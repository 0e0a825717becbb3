"""``snnsim sweep``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from snnsim.errors import DivergedError
from snnsim.progress import Lines, Silent, count
from snnsim.tables import text_table

from .completion import complete_sweeps
from .options import data_dir_option, json_option

if TYPE_CHECKING:
    from snnsim.sweeps.results import Comparison


@click.command()
@click.argument("sweep_file", metavar="SWEEP", shell_complete=complete_sweeps)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder for the runs; sweeps/<name> by default."
)
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Runs at a time; by default one per core.")
@data_dir_option
@json_option
@click.option("--quiet", is_flag=True, help="Print nothing but warnings and errors.")
def sweep(
    sweep_file: str, out: Path | None, jobs: int | None, data_dir: Path | None, as_json: bool, quiet: bool
) -> None:
    """Compare methods over settings and seeds.

    SWEEP is a YAML file or the name of a ready sweep (`digits-kd`, `mnist-kd`, ...): a base configuration, methods with
    their settings, seeds. Each run is a run directory; runs that are finished are kept, so that the same command goes
    on where a killed one was. The tables and figures are in comparison.md.
    """
    import json

    from snnsim.sweeps import load_sweep, run_sweep
    from snnsim.sweeps.page import write_comparison
    from snnsim.sweeps.results import read_results

    loaded = load_sweep(sweep_file)
    folder = out if out is not None else Path("sweeps") / loaded.name
    progress = Silent() if quiet else Lines()
    swept = run_sweep(loaded, folder, jobs=jobs, data_dir=data_dir, progress=progress)
    comparison = read_results(loaded.sweep, swept.plan.trials)
    page = write_comparison(loaded, comparison, folder)
    if as_json:
        click.echo(json.dumps(comparison.summary(), indent=2))
    elif not quiet:
        click.echo(_chosen(comparison))
        click.echo(f"tables and figures in {page}")
    if swept.diverged:
        raise DivergedError(
            f"the training of {len(swept.diverged)} of {len(swept.plan.trials)} runs diverged, see above"
        )


def _chosen(comparison: "Comparison") -> str:
    rows = [
        (
            name,
            result.setting.label,
            f"{result.mean('accuracy').mean:.2%}",
            f"{result.mean('spikes').mean:.1f}",
            count(result.mean("synops").mean),
        )
        for name, result in comparison.shown
    ]
    return text_table(("method", "setting", "test accuracy", "spikes", "SynOps"), rows)
