"""``snnsim run``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .completion import complete_configs
from .options import data_dir_option, json_option, overrides_argument, skip_bad_option, threads_option, with_skipping

if TYPE_CHECKING:
    from snnsim.progress import Progress


@click.command()
@click.argument("config", shell_complete=complete_configs)
@overrides_argument
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder for the run; must be new or empty.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --out DIR.")
@threads_option
@data_dir_option
@skip_bad_option
@json_option
@click.option("--quiet", is_flag=True, help="Print nothing but warnings and errors.")
def run(
    config: str,
    overrides: tuple[str, ...],
    out: Path | None,
    resume: bool,
    threads: int | None,
    data_dir: Path | None,
    skip_bad: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train and test a network.

    CONFIG is a YAML file or the name of a ready configuration (`digits`, `mnist`, ...). KEY=VALUE sets a key
    of it: train.epochs=3, network.0.dense=32, network.1.lif.beta=0.95.
    """
    if resume and out is None:
        raise click.UsageError("--resume needs --out DIR, the run to go on with")

    from snnsim import experiment
    from snnsim.config import load

    loaded = load(config, with_skipping(overrides, skip_bad))
    progress = _progress(quiet)
    try:
        folder = experiment.run_experiment(
            loaded, out, resume=resume, threads=threads, data_dir=data_dir, progress=progress
        )
    finally:
        progress.close()
    text = (folder / "summary.json").read_text(encoding="utf-8")
    if as_json:
        click.echo(text.rstrip("\n"))
    elif not quiet:
        click.echo(_report(text, folder))


def _progress(quiet: bool) -> "Progress":
    from snnsim.progress import Lines, Silent

    if quiet:
        return Silent()
    if not sys.stderr.isatty():
        return Lines()
    from .bar import Bar

    return Bar()


def _report(text: str, folder: Path) -> str:
    import json

    from snnsim.tables import in_one_line

    from .render import joules

    summary = json.loads(text)
    energy = summary["energy"]
    return (
        f"test {in_one_line(summary['test'])}\n"
        f"energy {joules(energy['joules_per_sample'])} a sample (estimate, {energy['profile']})\n"
        f"all of it in {folder}"
    )
