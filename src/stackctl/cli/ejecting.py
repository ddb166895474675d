"""`eject`: an environment as a folder that plain Compose runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackctl.cli.choosing import Chosen, prepared_choice
from stackctl.cli.command import command, instance_option, name_or_folder

if TYPE_CHECKING:
    from stackctl.cli.session import Session


@command("eject")
@name_or_folder
@instance_option
@click.option(
    "--to", "target", type=click.Path(path_type=Path), metavar="DIR", help="Write it there (NAME-ejected)."
)
@click.option(
    "--set", "given", multiple=True, metavar="NAME=VALUE", help="Set a variable (sidecar.name too)."
)
def eject_command(
    session: Session, name: str | None, instance: str, target: Path | None, given: Sequence[str]
) -> None:
    """Write a folder that runs a stack by plain Compose, without stackctl, its limits still in force.

    It uses the data, ports and project name of the environment, which must be down. NOTES.md in it says where
    the data lies, how to start it, and what is lost without stackctl. Without NAME, the compose file of this
    folder.
    """
    from stackctl.ops.ejecting import eject

    prepared = prepared_choice(session, Chosen(name, instance=instance), given)
    folder = (target or Path(f"{prepared.stack.name}-ejected")).absolute()
    done = eject(session.context, prepared, folder, command=session.command("eject", prepared.stack.name))
    session.output.result(
        {
            "folder": str(done.folder),
            "project": done.project,
            "files": list(done.files),
            "data": dict(done.has.data),
            "volumes": list(done.has.volumes),
            "restarts": dict(done.has.restarts),
        }
    )
    shown = os.path.relpath(done.folder)
    session.output.line(f"wrote {shown}: {', '.join(done.files)}")
    if done.has.data or done.has.volumes:
        session.output.note(
            "its data stays where it is; `stackctl purge` would delete what is in stackctl's folders"
        )
    session.output.note(f"next: cd {shown} && docker compose -p {done.project} up -d")
