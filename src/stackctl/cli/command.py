"""What every command has in common: the shared options, and the session that it works with."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from stackctl.cli.output import Output, ReaderGone

F = TypeVar("F", bound=Callable[..., Any])


def _set(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        output = ctx.find_object(Output)
        if output is not None and value is not None and value is not False:
            setattr(output, name, value)

    return callback


def _verbosity(ctx: click.Context, param: click.Parameter, value: int) -> None:
    output = ctx.find_object(Output)
    if output is not None and value:
        output.verbosity = -1 if param.name == "quiet" else 1


def _no_color(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    output = ctx.find_object(Output)
    if output is not None and value:
        output.color = False


def _engine(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Choose the engine for this process and all that it starts: a supervisor, a tether, docker itself."""
    if value is not None and not ctx.resilient_parsing:
        os.environ["DOCKER_CONTEXT"] = value
        os.environ.pop("DOCKER_HOST", None)  # which would win, also in docker's own eyes


def shared_options(function: F) -> F:
    """Add what may stand before or after the command: how it prints, where state is, which engine."""
    options = [
        click.option("--json", is_flag=True, expose_value=False, callback=_set("json"), help="Print JSON."),
        click.option(
            "-q", "--quiet", is_flag=True, expose_value=False, callback=_verbosity, help="Print errors only."
        ),
        click.option(
            "-v", "--verbose", is_flag=True, expose_value=False, callback=_verbosity, help="Print each step."
        ),
        click.option(
            "--no-color", is_flag=True, expose_value=False, callback=_no_color, help="Print without colour."
        ),
        click.option(
            "--home",
            metavar="DIR",
            expose_value=False,
            callback=_set("home"),
            help="Keep all state there (else STACKCTL_HOME).",
        ),
        click.option(
            "--context",
            metavar="NAME",
            expose_value=False,
            callback=_engine,
            help="Use the engine of this docker context (else DOCKER_HOST, DOCKER_CONTEXT).",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


class SharedCommand(click.Command):
    """A command whose help names the group's exit codes by reference, and that takes the shared options."""


def command(name: str, *, runs: bool = False) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a click command with the shared options; its function takes the `Session` first.

    Args:
        runs: It ends with a command line of somebody else's, so our options stand before the first word.
    """
    settings = {"allow_interspersed_args": False} if runs else {}

    def decorate(function: Callable[..., Any]) -> click.Command:
        from functools import wraps

        @click.pass_context
        @wraps(function)
        def run(ctx: click.Context, /, *arguments: Any, **values: Any) -> Any:
            from stackctl.cli.announcing import announce
            from stackctl.cli.session import Session

            session = Session(ctx.ensure_object(Output))
            try:
                result = function(session, *arguments, **values)
                announce(session)
                session.output.finish()
            except BrokenPipeError as error:
                raise ReaderGone from error
            finally:
                session.close()
            return result

        made = click.command(name, cls=SharedCommand, context_settings=settings)
        return made(shared_options(run))

    return decorate


def words_argument(metavar: str) -> Callable[[F], F]:
    """The command line of somebody else, at the end of ours; a `--` before it is left out."""

    def cut(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
        words = value[1:] if value[:1] == ("--",) else value
        if not words and not ctx.resilient_parsing:
            raise click.MissingParameter(ctx=ctx, param=param, param_hint="CMD")
        return words

    return click.argument("words", nargs=-1, metavar=metavar, type=click.UNPROCESSED, callback=cut)


def name_argument(function: F) -> F:
    """The NAME of a stack or environment."""
    return click.argument("name", metavar="NAME")(function)


def name_or_folder(function: F) -> F:
    """The NAME of a stack or environment; without it, what this folder's compose file is."""
    return click.argument("name", metavar="[NAME]", required=False)(function)


def files_option(words: str) -> Callable[[F], F]:
    """`--from FILE`, again for more: compose files that something is made of."""
    from pathlib import Path

    return click.option(
        "--from",
        "files",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=f"{words}; again for more.",
    )


def instance_option(function: F) -> F:
    """The instance of a stack."""
    return click.option("--instance", default="", metavar="X", help="Another environment of the same stack.")(
        function
    )
