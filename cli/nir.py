"""``snnsim export`` and ``snnsim import``: networks as NIR graphs, and back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

RESETS = ("zero", "subtract")


def _step_options(dt: float | None, discretization: str | None, otherwise: str = "") -> Callable[[F], F]:
    """Return the options that say how time is cut, with their defaults, or words for them."""

    def add(command: F) -> F:
        for option in (
            click.option("--dt", type=float, default=dt, metavar="SECONDS", help=f"Length of a step{otherwise}."),
            click.option(
                "--discretization",
                type=click.Choice(["euler", "exp"]),
                default=discretization,
                help=f"Decay of a step: 1 - dt/tau, or exp(-dt/tau){otherwise}.",
            ),
        ):
            command = option(command)
        return command

    return add


@click.command(short_help="Write a network as a NIR graph.", context_settings={"show_default": True})
@click.argument("model", metavar="RUN_DIR|MODEL", type=click.Path(path_type=Path))
@click.argument("file", metavar="FILE.nir", type=click.Path(path_type=Path))
@_step_options(1e-4, "euler")
@click.option(
    "--reset",
    type=click.Choice(RESETS),
    help="For neurons that subtract their threshold, which NIR cannot say: write them as resetting to zero (another "
    "network), or note it where snnsim alone reads it. Refused by default.",
)
def export(model: Path, file: Path, dt: float, discretization: str, reset: str | None) -> None:
    """Write a trained network as a graph of the Neuromorphic Intermediate Representation (NIR), for other tools.

    Layers that NIR cannot express are refused. Needs the extra `nir`.
    """
    from snnsim import Network, save_nir

    network = Network.load(model)
    notes = save_nir(network, file, dt=dt, discretization=discretization, reset=reset)
    click.echo(f"{file} written: {len(network.layers)} layers, for steps of {dt:g} s by {discretization}")
    for note in notes:
        click.echo(note)


@click.command("import", short_help="Make a model of a NIR graph.")
@click.argument("file", metavar="FILE.nir", type=click.Path(path_type=Path))
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@_step_options(None, None, "; by default what snnsim wrote into the graph, else 1e-4 s and euler")
@click.option(
    "--reset",
    type=click.Choice(RESETS),
    help="What a spike does to the membrane: zero is what NIR says (to v_reset), subtract what some writers mean.",
)
def import_(file: Path, model: Path, dt: float | None, discretization: str | None, reset: str | None) -> None:
    """Make a model of a graph of the Neuromorphic Intermediate Representation (NIR).

    What was assumed is printed and kept in the model. Needs the extra `nir`.
    """
    from snnsim import from_nir

    from .render import origin_lines

    network = from_nir(file, dt=dt, discretization=discretization, reset=reset)
    network.save(model)
    click.echo(f"{model} written: {network}")
    for line in origin_lines(network.origin):
        click.echo(line)
