"""The command ``snnsim``, and the one place where errors become messages and exit codes.

0 done, 2 the user's input is wrong, 1 our fault, 130 interrupted. What the commands need beyond click is
imported when they run, so that ``snnsim --help`` answers at once.
"""

import errno
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import click

from snnsim.errors import DivergedError, InputError

from .completion import answer_shell, completion
from .data import data
from .describe import describe
from .doctor import doctor
from .eval import evaluate
from .new import new
from .nir import export, import_
from .predict import predict
from .report import report
from .run import run
from .schema import schema
from .sweep import sweep
from .validate import validate

DONE, OUR_FAULT, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130


@dataclass
class _State:
    debug: bool = False


def _print_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    from snnsim.doctor import cpu_name, versions

    found = versions()
    beside = f"Python {found['python']}, NumPy {found['numpy']}, Numba {found['numba']}"
    click.echo(f"snnsim {found['snnsim']} ({beside}; {cpu_name()})")
    context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an internal error.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the versions and the processor.",
)
@click.pass_obj
def snnsim(state: _State, debug: bool) -> None:
    """Simulate and train spiking neural networks, event by event, with exact operation counts.

    Start with `snnsim run digits`.
    """
    state.debug = debug


for _command in (
    run,
    evaluate,
    predict,
    report,
    describe,
    validate,
    sweep,
    schema,
    new,
    data,
    export,
    import_,
    doctor,
    completion,
):
    snnsim.add_command(_command)


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    answer_shell(snnsim)
    sys.exit(call(sys.argv[1:]))


def call(arguments: Sequence[str]) -> int:
    """Run one command line; return its exit code, having printed what there is to say."""
    state = _State()
    try:
        with snnsim.make_context("snnsim", list(arguments), obj=state) as context:
            snnsim.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return WRONG_INPUT
    except (InputError, DivergedError) as error:
        return _say(str(error), WRONG_INPUT)
    except (KeyboardInterrupt, click.Abort) as error:
        return _say(str(error) or "interrupted", INTERRUPTED)
    except BrokenPipeError:
        return _leave_pipe()
    except MemoryError as error:
        return _say(f"not enough memory ({error}); try smaller layers, fewer steps or a smaller batch", WRONG_INPUT)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _say(f"{error.filename or 'output'}: cannot be written ({error.strerror})", WRONG_INPUT)
        return _internal(error, state)
    except Exception as error:
        return _internal(error, state)
    return DONE


def _say(text: str, code: int) -> int:
    click.echo(text, err=True)
    return code


def _internal(error: Exception, state: _State) -> int:
    if state.debug:
        import traceback

        traceback.print_exc()
    hint = "" if state.debug else "; `snnsim --debug ...` shows where, please report it"
    return _say(f"internal error: {type(error).__name__}: {error}{hint}", OUR_FAULT)


def _leave_pipe() -> int:
    """Leave quietly where the reader of our output has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE
