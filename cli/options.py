"""Options and arguments that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

overrides_argument: Callable[[F], F] = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")

data_dir_option: Callable[[F], F] = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder that holds data sets; otherwise SNNSIM_DATA, then the user's cache.",
)

threads_option: Callable[[F], F] = click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Worker threads; the result is the same for any number.",
)

json_option: Callable[[F], F] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object and nothing else."
)

skip_bad_option: Callable[[F], F] = click.option(
    "--skip-bad", is_flag=True, help="Leave damaged recordings out and say which; sets data.skip_bad=true."
)


def with_skipping(overrides: tuple[str, ...], skip_bad: bool) -> tuple[str, ...]:
    """Add to overrides what `skip_bad_option` stands for."""
    return (*overrides, "data.skip_bad=true") if skip_bad else overrides
