"""``snnsim validate``."""

from pathlib import Path

import click

from .completion import complete_configs
from .options import data_dir_option, overrides_argument


@click.command(short_help="Check a configuration.")
@click.argument("config", shell_complete=complete_configs)
@overrides_argument
@data_dir_option
def validate(config: str, overrides: tuple[str, ...], data_dir: Path | None) -> None:
    """Check a configuration: keys, values, and whether the sizes fit; list every fault with its place."""
    from snnsim import inference
    from snnsim.config import load

    loaded = load(config, overrides)
    inference.check(loaded, data_dir)
    click.echo(f"{config}: valid")
