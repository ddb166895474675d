"""The one way out: every error becomes a message, a hint and an exit code; a bug leaves a traceback."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import click

from stackctl import __version__
from stackctl.cli.output import Output, ReaderGone, describe
from stackctl.core.errors import Interrupted, StackctlError, UsageError

BUG = 70
INTERRUPTED = 130
TERMINATED = 143
OWN_FAILURE = 125
"""What `run` ends with where it is not the task that failed; the error's own code stands in its JSON."""
REPORT = (
    f"this is a bug in stackctl {__version__}, not a mistake of yours: "
    "please report it with the text above and the command that you typed"
)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code and never raises."""
    from stackctl.cli.main import stackctl

    output = Output.from_arguments(arguments, os.environ)
    signal.signal(signal.SIGTERM, _terminated)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _terminated)
    try:
        return _code(stackctl.main(list(arguments), "stackctl", standalone_mode=False, obj=output))
    except BaseException as error:
        return _explain(error, output)


def _code(result: object) -> int:
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def _terminated(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends like Ctrl-C does, with its own code; a second one ends at once."""
    signal.signal(signal.SIGTERM, _at_once)
    raise Interrupted("stopped by a signal", exit_code=TERMINATED)


def _at_once(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


def _explain(error: BaseException, output: Output) -> int:
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, (BrokenPipeError, ReaderGone)):
        return _broken_pipe()
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return _told(Interrupted("interrupted"), INTERRUPTED, output)
    if isinstance(error, click.ClickException):
        return _told(_from_click(error), UsageError.exit_code, output)
    if isinstance(error, StackctlError):
        return _told(error, error.exit_code, output)
    return _bug(error, output)


def _told(error: StackctlError, code: int, output: Output) -> int:
    from stackctl.cli.main import COMMANDS

    known = f"stackctl {output.command}" if output.command in COMMANDS else "stackctl"
    error.advice = error.advice.replace("stackctl COMMAND", known)
    output.error(error, code)
    return OWN_FAILURE if output.command == "run" and code not in (INTERRUPTED, TERMINATED) else code


def _from_click(error: click.ClickException) -> UsageError:
    if isinstance(error, click.exceptions.NoArgsIsHelpError) and error.ctx and error.ctx.parent:
        return _lacking_command(error.ctx)
    message = error.format_message().rstrip(".")
    command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "stackctl"
    return UsageError(message[:1].lower() + message[1:], hint=f"`{command} --help` shows how it is used")


def _lacking_command(group: click.Context) -> UsageError:
    names = group.command.list_commands(group) if isinstance(group.command, click.Group) else []
    path = group.command_path
    return UsageError(
        f"`{path}` needs a command: {' or '.join(names)}", hint=f"`{path} --help` shows what each does"
    )


def _broken_pipe() -> int:
    """The reader of our output went away (`stackctl list | head`): nothing is left to say."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


def _bug(error: BaseException, output: Output) -> int:
    import traceback

    text = "".join(traceback.format_exception(error))
    output.bug(describe(error), text, REPORT, BUG)
    return OWN_FAILURE if output.command == "run" else BUG
