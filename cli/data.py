"""``snnsim data``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .completion import complete_data
from .options import data_dir_option

if TYPE_CHECKING:
    from snnsim.datasets import DatasetInfo


@click.group()
def data() -> None:
    """List, explain and fetch data sets."""


@data.command("list")
@data_dir_option
def list_(data_dir: Path | None) -> None:
    """List the data sets known by name."""
    from snnsim.datasets import list_datasets
    from snnsim.tables import text_table

    from .render import shape

    rows = [
        (entry.name, shape(entry.shape), entry.train, entry.test, "yes" if entry.present else "no", entry.summary)
        for entry in list_datasets(data_dir)
    ]
    click.echo(text_table(("name", "shape", "train", "test", "here", ""), rows))


@data.command()
@click.argument("name", shell_complete=complete_data)
@data_dir_option
def info(name: str, data_dir: Path | None) -> None:
    """Tell what a data set is, where it lies and where it comes from."""
    from snnsim import datasets

    click.echo(_text(datasets.info(name, data_dir)))


@data.command()
@click.argument("name", shell_complete=complete_data)
@data_dir_option
def fetch(name: str, data_dir: Path | None) -> None:
    """Download a data set, unless it is there, and verify it."""
    from snnsim import datasets

    if not sys.stderr.isatty():
        click.echo(f"{name} is in {datasets.fetch(name, data_dir)}")
        return
    from .bar import download_bar

    with download_bar() as progress:
        folder = datasets.fetch(name, data_dir, progress)
    click.echo(f"{name} is in {folder}")


def _text(entry: "DatasetInfo") -> str:
    from .render import shape

    lines = [
        f"{entry.name}: {entry.summary}",
        f"samples   {entry.train:,} for training, {entry.test:,} for testing",
        f"shape     {shape(entry.shape)}, {entry.classes} classes",
        f"licence   {entry.licence}",
        f"source    {entry.source}",
        f"here      {_where(entry)}",
    ]
    lines += [f"mirror    {mirror}" for mirror in entry.mirrors]
    lines += [f"file      {file.name}  {file.size:,} bytes  sha256 {file.sha256}" for file in entry.files]
    return "\n".join(lines)


def _where(entry: "DatasetInfo") -> str:
    if entry.location is not None:
        return str(entry.location)
    return {
        "generated": "generated when a run asks for it",
        "recordings": f"no; put a folder or .zip called {entry.name}... into the data folder",
    }.get(entry.kind, f"no; `snnsim data fetch {entry.name}` gets it")
