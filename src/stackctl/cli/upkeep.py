"""`move` and `purge`: what concerns an environment's data."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from stackctl.cli.command import command, instance_option, name_argument
from stackctl.cli.words import named
from stackctl.core.errors import UsageError
from stackctl.core.units import show_size

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.core.records import EnvironmentRecord


@command("purge")
@name_argument
@instance_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def purge_command(session: Session, name: str, instance: str, yes: bool) -> None:
    """End an environment and delete its data, secrets and record. Nothing else ever deletes data.

    Named volumes of the engine stay, and are told with the command that removes them.
    """
    from stackctl.ops.purge import purge
    from stackctl.ops.swarm_down import purge_on_swarm
    from stackctl.ops.volumes import remaining_volumes

    record = session.environment(name, instance)
    size = session.store.data_size(record.project)
    folder = session.store.folder(record.project)
    if not yes:
        _ask(record, show_size(size), str(folder))
    act = purge_on_swarm if record.on_swarm else purge
    act(session.context, record.project, command=session.command("purge", name))
    left = () if record.on_swarm else remaining_volumes(session.context, record)
    session.output.result({"project": record.project, "deleted_bytes": size, "volumes": list(left)})
    session.output.line(f"{named(record)} is gone: {show_size(size)} deleted from {folder}")
    if left:
        session.output.note(f"its named volumes are there still: docker volume rm {' '.join(left)}")


def _ask(record: EnvironmentRecord, size: str, folder: str) -> None:
    """Ask for the name, since this cannot be undone."""
    if not sys.stdin.isatty():
        raise UsageError(
            f"`purge` deletes {size} of `{record.project}` and nobody is there to be asked",
            hint="give --yes in scripts",
        )
    question = f"this deletes {size} in {folder}; type {record.stack} to go on"
    answer = click.prompt(question, default="", show_default=False, err=True)
    if answer.strip() != record.stack:
        raise UsageError("that is not its name; nothing was deleted")


@command("move")
@name_argument
@instance_option
@click.option(
    "--from", "old", metavar="PROJECT", help="The environment whose data to take (found by itself)."
)
def move_command(session: Session, name: str, instance: str, old: str | None) -> None:
    """Take along the data of an environment whose repository was moved or renamed."""
    from stackctl.cli.choosing import prepared_stack
    from stackctl.ops.moving import move, old_environment

    prepared = prepared_stack(session, name, instance, ())
    source = old_environment(session.context, prepared, old)
    moved = move(session.context, source, prepared, command=session.command("move", name))
    volumes = sorted(moved.kept_volumes.values())
    session.output.result({"from": source.project, "to": prepared.project, "volumes": volumes})
    session.output.line(f"{prepared.project} has the data of {source.project}; `stackctl up {name}` uses it")
    if volumes:
        session.output.note(f"it goes on with the named volumes {', '.join(f'`{one}`' for one in volumes)}")
