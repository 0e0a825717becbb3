"""``snnsim completion``, and what it completes."""

import os
import sys

import click
from click.shell_completion import CompletionItem, get_completion_class, shell_complete

VARIABLE = "_SNNSIM_COMPLETE"


@click.command(short_help="Print a script that completes commands in a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that makes a shell complete commands, options, ready configurations and files.

    For bash or zsh, add `eval "$(snnsim completion bash)"` to ~/.bashrc, or with zsh to ~/.zshrc. For fish, write the
    script to ~/.config/fish/completions/snnsim.fish.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "snnsim", VARIABLE).source())


def answer_shell(command: click.Command) -> None:
    """Where a shell asks what could be typed next, answer and leave."""
    instruction = os.environ.get(VARIABLE)
    if instruction:
        sys.exit(shell_complete(command, {}, "snnsim", VARIABLE, instruction))


def complete_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a ready configuration."""
    return _ready(incomplete, "")


def complete_configs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a ready configuration, or a file's."""
    return [CompletionItem(incomplete, type="file"), *_ready(incomplete, "")]


def complete_sweeps(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a ready sweep, or a file's."""
    return [CompletionItem(incomplete, type="file"), *_ready(incomplete, "sweeps")]


def complete_data(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a data set."""
    from snnsim.config import DATASET_NAMES

    return [CompletionItem(name) for name in DATASET_NAMES if name.startswith(incomplete)]


def _ready(incomplete: str, folder: str) -> list[CompletionItem]:
    from snnsim.ready import ready_names

    return [CompletionItem(name) for name in ready_names(folder) if name.startswith(incomplete)]
