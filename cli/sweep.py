"""``snnsim sweep``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snnsim.errors import DivergedError, InputError
from snnsim.progress import Lines, Silent, count
from snnsim.tables import text_table

from .completion import complete_sweeps
from .options import data_dir_option, json_option

if TYPE_CHECKING:
    from snnsim.progress import Progress
    from snnsim.sweeps.results import SettingResult


@click.command(short_help="Compare methods, or search for settings.")
@click.argument("sweep_file", metavar="SWEEP", shell_complete=complete_sweeps)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder for the runs; sweeps/<name> by default."
)
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Runs at a time; by default one per core.")
@click.option(
    "--storage", metavar="URL", help="Database for the study of a search, shared by machines; otherwise a file in DIR."
)
@data_dir_option
@json_option
@click.option("--quiet", is_flag=True, help="Print nothing but warnings and errors.")
def sweep(
    sweep_file: str,
    out: Path | None,
    jobs: int | None,
    storage: str | None,
    data_dir: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compare methods over settings and seeds, or search for the best settings.

    SWEEP is a YAML file or the name of a ready sweep (`digits-kd`, `digits-search`, ...): a base configuration, and
    either methods with their settings and seeds, or keys to search over. Each run is a run directory; runs that are
    finished are kept, so that the same command goes on where a killed one was. The tables and figures are in
    comparison.md or search.md.
    """
    import json

    from snnsim.sweeps import is_search

    progress = Silent() if quiet else Lines()
    if is_search(sweep_file):
        done = _search(sweep_file, out, jobs, storage, data_dir, progress)
    elif storage is not None:
        raise InputError(f"{sweep_file}: --storage keeps the study of a search, and this is a comparison of methods")
    else:
        done = _compare(sweep_file, out, jobs, data_dir, progress)
    if as_json:
        click.echo(json.dumps(done.summary, indent=2))
    elif not quiet:
        click.echo(done.text)
        click.echo(f"tables and figures in {done.page}")
    if done.wrong:
        raise DivergedError(done.wrong)


@dataclass(frozen=True)
class _Done:
    """What there is to say of a sweep: as JSON, as text, in a page, and as an error."""

    summary: dict[str, Any]
    text: str
    page: Path
    wrong: str = ""


def _folder(out: Path | None, name: str) -> Path:
    return out if out is not None else Path("sweeps") / name


def _compare(sweep_file: str, out: Path | None, jobs: int | None, data_dir: Path | None, progress: "Progress") -> _Done:
    from snnsim.sweeps import load_sweep, run_sweep
    from snnsim.sweeps.page import write_comparison
    from snnsim.sweeps.results import read_results

    loaded = load_sweep(sweep_file)
    folder = _folder(out, loaded.name)
    swept = run_sweep(loaded, folder, jobs=jobs, data_dir=data_dir, progress=progress)
    comparison = read_results(loaded.sweep, swept.plan.trials)
    rows = [(name, result.setting.label, *_figures(result)) for name, result in comparison.shown]
    wrong = f"the training of {len(swept.diverged)} of {len(swept.plan.trials)} runs diverged, see above"
    return _Done(
        comparison.summary(),
        text_table(("method", "setting", "test accuracy", "spikes", "SynOps"), rows),
        write_comparison(loaded, comparison, folder),
        wrong if swept.diverged else "",
    )


def _search(
    sweep_file: str,
    out: Path | None,
    jobs: int | None,
    storage: str | None,
    data_dir: Path | None,
    progress: "Progress",
) -> _Done:
    from snnsim.sweeps import load_search, run_search
    from snnsim.sweeps.search_page import write_found

    loaded = load_search(sweep_file)
    folder = _folder(out, loaded.name)
    found = run_search(loaded, folder, jobs=jobs, data_dir=data_dir, progress=progress, storage=storage)
    if found.running:
        progress.warn(
            f"{found.running} trials are being done elsewhere; the same command shows them when they are done"
        )
    rows = [
        (
            found.config_name(result),
            result.setting.label,
            f"{result.mean('valid_accuracy').mean:.2%}",
            *_figures(result),
        )
        for result in found.best
    ]
    return _Done(
        found.summary(),
        text_table(("best", "values", "validation", "test accuracy", "spikes", "SynOps"), rows),
        write_found(found, folder),
    )


def _figures(result: "SettingResult") -> tuple[str, str, str]:
    return (
        f"{result.mean('accuracy').mean:.2%}",
        f"{result.mean('spikes').mean:.1f}",
        count(result.mean("synops").mean),
    )
