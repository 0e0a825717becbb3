"""``snnsim describe``."""

import click

from .completion import complete_configs
from .options import overrides_argument


@click.command(short_help="Show shapes, parameters, fan-out and memory.")
@click.argument("what", metavar="CONFIG|MODEL", shell_complete=complete_configs)
@overrides_argument
def describe(what: str, overrides: tuple[str, ...]) -> None:
    """Show a network's shapes, parameters, fan-out and memory, without training it."""
    from snnsim import inference
    from snnsim.tables import text_table

    from .render import fan_out, memory, origin_lines, shape

    description = inference.describe(what, overrides)
    rows = [
        (
            index,
            layer.name,
            shape(layer.in_shape),
            shape(layer.out_shape),
            layer.parameters,
            fan_out(layer.fan_out, layer.largest_fan_out),
            memory(layer.memory),
        )
        for index, layer in enumerate(description.layers)
    ]
    total = sum(layer.parameters for layer in description.layers)
    click.echo(text_table(("", "layer", "in", "out", "parameters", "fan-out", "memory"), rows))
    needed = description.training_bytes
    said = (
        "as much memory as the steps of the data need" if needed is None else f"about {memory(needed)} besides the data"
    )
    click.echo(f"{total:,} parameters; training takes {said}")
    for line in origin_lines(description.origin):
        click.echo(line)
