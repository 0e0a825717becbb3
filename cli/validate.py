"""``snnsim validate``."""

from pathlib import Path

import click

from .completion import complete_configs
from .options import data_dir_option, overrides_argument


@click.command(short_help="Check a configuration or a sweep file.")
@click.argument("config", shell_complete=complete_configs)
@overrides_argument
@data_dir_option
def validate(config: str, overrides: tuple[str, ...], data_dir: Path | None) -> None:
    """Check a configuration: keys, values, and whether the sizes fit; list every fault with its place.

    CONFIG may also be a sweep file, of either kind: then this is said of every setting, or of every value searched.
    """
    from snnsim import inference
    from snnsim.config import load
    from snnsim.sweeps.checking import check_sweep, is_sweep

    if is_sweep(config):
        if overrides:
            raise click.UsageError("overrides are for configurations; a sweep has its keys under set")
        check_sweep(config, data_dir)
    else:
        inference.check(load(config, overrides), data_dir)
    click.echo(f"{config}: valid")
