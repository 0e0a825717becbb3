"""``snnsim schema``."""

import click


@click.command()
def schema() -> None:
    """Print the JSON schema of configurations, for editors."""
    import json

    from snnsim.config import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
