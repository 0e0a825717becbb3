"""``snnsim report``."""

from pathlib import Path

import click


@click.command()
@click.argument("runs", metavar="RUN_DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="File to write; by default report.html in the run's folder, of several runs comparison.html here.",
)
def report(runs: tuple[Path, ...], out: Path | None) -> None:
    """Write the report of a run, or compare several.

    One HTML file, to be opened in any browser; it needs no network. It is made from the run directories alone.
    """
    from snnsim import reports

    different = list({path.resolve(): path for path in runs}.values())
    if len(different) == 1:
        page = reports.write_report(different[0], out)
    else:
        page = reports.write_comparison(
            different, out or Path("comparison.html"), warn=lambda text: click.echo(f"warning: {text}", err=True)
        )
    click.echo(f"report written to {page}")
