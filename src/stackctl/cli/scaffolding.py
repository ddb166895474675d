"""`init`: a repository made ready for stackctl."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackctl.cli.command import command, files_option
from stackctl.cli.words import shown_path

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.ops.scaffold import Scaffolded


@command("init")
@files_option("Make the stack from this compose file, as `new --from`")
@click.option("--dry-run", "dry", is_flag=True, help="Say what would be written, and write nothing.")
def init_command(session: Session, files: Sequence[Path], dry: bool) -> None:
    """Make the root of this repository ready (or this folder, outside of one).

    It writes `stacks/` with a stack that runs, `stackctl.mk` with targets for make, and lines of
    `.gitignore`. What is there stays as it is, and is named.
    """
    from stackctl import __version__
    from stackctl.cli.choosing import compose_reader
    from stackctl.ops.scaffold import Plan, scaffold

    made = scaffold(
        Plan(files=tuple(files), dry=dry, version=__version__),
        compose_reader(session),
        places=session.places,
        configuration=session.configuration,
        machine=session.machine,
    )
    _tell(session, made, dry)


def _tell(session: Session, made: Scaffolded, dry: bool) -> None:
    output = session.output
    output.result(
        {
            "folder": str(made.folder),
            "written": [str(path) for path in made.written],
            "kept": [str(path) for path in made.kept],
            "present": list(made.present),
            "stack": made.stack,
            "needed": {service: list(words) for service, words in made.needed.items()},
            "dry": dry,
        }
    )
    for path in made.written:
        output.line(f"{'would write' if dry else 'wrote'} {shown_path(path)}")
    for path in made.kept:
        output.line(f"kept {shown_path(path)}: it is there already")
    if made.present:
        output.line(f"kept {shown_path(made.folder)}: it has {', '.join(made.present)}")
    for problem in made.problems:
        output.warn(f"policy refuses it still: {problem}")
    for line in _next(made, dry):
        output.note(line)


def _next(made: Scaffolded, dry: bool) -> list[str]:
    """What a person does now."""
    if dry:
        return ["next: stackctl init, without --dry-run"]
    found = []
    if made.compose:
        found.append(f"for the compose file here: stackctl new NAME --from {shown_path(made.compose)}")
    if not made.included:
        found.append("for `make stack-up` and more: echo 'include stackctl.mk' >> Makefile")
    if made.needed:
        found.append(f"what policy refuses stands in {shown_path(made.written[0])} as a comment: review it")
    if made.stack:
        found.append(f"next: stackctl up {made.stack}")
    return found
