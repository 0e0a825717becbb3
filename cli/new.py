"""``snnsim new``."""

from pathlib import Path

import click

from .completion import complete_names


@click.command()
@click.argument("name", shell_complete=complete_names)
@click.argument("file", metavar="FILE.yaml", type=click.Path(path_type=Path))
def new(name: str, file: Path) -> None:
    """Copy a ready configuration out, to edit it."""
    from snnsim.config import config_names, find_config
    from snnsim.errors import InputError
    from snnsim.spec import nearest

    if name not in config_names():
        raise InputError(f"no ready configuration is called {name!r}{nearest(name, config_names())}")
    content = find_config(name).read_bytes()
    try:
        with file.open("xb") as target:
            target.write(content)
    except FileExistsError:
        raise InputError(f"{file}: exists already and is left as it is; choose another name") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror or error})") from None
    click.echo(f"{file} written; run it with `snnsim run {file}`")
