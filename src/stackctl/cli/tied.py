"""`with`: a command and the environment that lives as long as it does."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from stackctl.cli.choosing import prepared_stack
from stackctl.cli.command import command, instance_option, name_argument, words_argument
from stackctl.cli.lifecycle import WAIT_SECONDS
from stackctl.cli.values import duration
from stackctl.ops.up import UpOptions

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.core.records import EnvironmentRecord


@command("with", runs=True)
@name_argument
@words_argument("-- CMD [ARG]...")
@instance_option
@click.option(
    "--set", "given", multiple=True, metavar="NAME=VALUE", help="Set a variable (sidecar.name too)."
)
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="Set a limit for every service.")
@click.option("--wait-timeout", metavar="TIME", help="Wait so long for every service (2m).")
def with_command(
    session: Session,
    name: str,
    words: Sequence[str],
    instance: str,
    given: Sequence[str],
    limits: Sequence[str],
    wait_timeout: str | None,
) -> int:
    """Bring an environment up, run CMD on this host with its variables, end it; CMD's exit code is ours.

    When this process is killed, the environment is ended all the same. One that was up before stays up,
    and so does one that `stackctl up` is asked for meanwhile.
    """
    from stackctl.cli.watchman import ensure
    from stackctl.ops.tied import run_with

    prepared = prepared_stack(session, name, instance, given, limits)
    options = UpOptions(
        command=session.command("with", name),
        wait_timeout=duration(wait_timeout, "--wait-timeout", WAIT_SECONDS),
        tied=True,
    )

    def run(values: Mapping[str, str]) -> int:
        from stackctl.engine.process import interactive

        return interactive(words, env={**os.environ, **values})

    def announced(record: EnvironmentRecord) -> None:
        ensure(session)
        tether(session, record)

    result = run_with(session.context, prepared, options, tether=announced, run=run)
    if result.kept:
        session.output.note(f"`{name}` {result.kept}")
    session.output.result({"project": prepared.project, "exit_code": result.code, "kept": bool(result.kept)})
    return result.code


def tether(session: Session, record: EnvironmentRecord) -> None:
    """Start the process that ends a tied environment when we are killed."""
    from stackctl.engine.detached import start

    argv = [sys.executable, "-m", "stackctl.cli.tether"]
    start([*argv, str(session.store.home), record.project, record.generation], os.environ)
