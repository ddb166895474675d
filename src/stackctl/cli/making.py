"""`make`: the targets for make that this repository's people type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stackctl.cli.command import command
from stackctl.cli.words import shown_path
from stackctl.core.errors import UsageError

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.ops.fragment import Fragment


@command("make")
@click.option("--prefix", metavar="NAME", help="What the targets begin with (stack).")
@click.option("--stack", metavar="NAME", help="The stack that they mean (the only one that there is).")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when the file is not as it should be.")
@click.option("--stdout", is_flag=True, help="Print it instead of writing it.")
@click.option("--force", is_flag=True, help="Replace a file that was edited by hand.")
def make_command(
    session: Session, prefix: str | None, stack: str | None, check: bool, stdout: bool, force: bool
) -> int:
    """Write `stackctl.mk` into the root of the repository: stack-up, stack-down, stack-test and more.

    Commit it, and write `include stackctl.mk` at the end of the Makefile. It is written again with the words
    that it was written with, unless they are given anew.
    """
    if sum((check, stdout, force)) > 1:
        raise UsageError("--check, --stdout and --force do not go together", hint="choose one of them")
    from stackctl import __version__
    from stackctl.ops.fragment import look_at_fragment, write_fragment

    wanted = look_at_fragment(session.places, __version__, prefix, stack)
    if stdout:
        session.output.result({**_data(wanted), "text": wanted.text})
        session.output.line(wanted.text.rstrip("\n"))
        return 0
    if check:
        return _check(session, wanted)
    done = write_fragment(wanted, force=force)
    session.output.result({**_data(done), "written": done.written})
    shown = shown_path(done.path)
    session.output.line(f"wrote {shown}" if done.written else f"{shown} is up to date")
    tell_next(session, done)
    return 0


def _check(session: Session, wanted: Fragment) -> int:
    holds = wanted.state == "current"
    session.output.result(_data(wanted), ok=holds)
    session.output.line(f"{shown_path(wanted.path)} {_SENTENCES[wanted.state]}")
    if not holds:
        session.output.note(f"next: stackctl make{' --force' if wanted.state == 'edited' else ''}")
    return 0 if holds else 1


_SENTENCES = {
    "current": "is up to date",
    "missing": "is missing",
    "stale": "is out of date",
    "edited": "was edited by hand",
}


def _data(wanted: Fragment) -> dict[str, object]:
    asked = wanted.asked
    return {"path": str(wanted.path), "state": wanted.state, "prefix": asked.prefix, "stack": asked.stack}


def tell_next(session: Session, done: Fragment) -> None:
    """What is still to be done so that make knows the targets."""
    from stackctl.ops.fragment import included

    if included(done.path):
        session.output.note(f"next: make {done.asked.prefix}-up | make {done.asked.prefix}-help")
    else:
        session.output.note(
            f"next: echo 'include {done.path.name}' >> {shown_path(done.path.parent / 'Makefile')}"
        )
