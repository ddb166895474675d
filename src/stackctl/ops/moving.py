"""`move`: an environment's data follows its repository to another folder."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.errors import StateError, UnknownName, UsageError
from stackctl.core.remote import folder_of
from stackctl.ops.down import Aim, end
from stackctl.ops.looking import look
from stackctl.ops.naming import moved_environments
from stackctl.ops.recording import ended
from stackctl.ops.volumes import with_volumes_of

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord
    from stackctl.ops.context import Context
    from stackctl.ops.preparing import Prepared


def old_environment(context: Context, prepared: Prepared, project: str | None) -> EnvironmentRecord:
    """The environment whose data is to be taken along.

    Args:
        project: Its project name; None to find the one whose folder is gone.

    Raises:
        UnknownName: There is none, or more than one.
    """
    records = list(context.store.records())
    if project is not None:
        for record in records:
            if record.project == project and record.project != prepared.project:
                return record
        raise UnknownName(
            f"there is no other environment `{project}`", hint="`stackctl list` shows every one"
        )
    moved = [
        record
        for record in moved_environments(prepared.stack.name, records)
        if record.instance == prepared.instance
    ]
    if len(moved) == 1:
        return moved[0]
    names = ", ".join(record.project for record in moved)
    if moved:
        raise UnknownName(
            "several environments belong to folders that are gone", hint=f"--from one of {names}"
        )
    raise UnknownName(
        f"no environment of `{prepared.stack.name}` belongs to a folder that is gone",
        hint="name one with --from; `stackctl list` shows every one with its path",
    )


def check_movable(source: EnvironmentRecord) -> None:
    """Say that data on another machine stays where it is.

    Raises:
        UsageError: The environment's data is on the host of a remote engine.
    """
    folder = folder_of(source.placement)
    if folder:
        raise UsageError(
            f"the data of `{source.project}` is on the engine at {source.engine_host}, in {folder}, and "
            "is not moved there",
            hint="bring up the stack anew and restore a dump, then `stackctl purge` the old environment",
        )


def move(
    context: Context, source: EnvironmentRecord, prepared: Prepared, *, command: str
) -> EnvironmentRecord:
    """End the old environment and give its data, secrets, ports and named volumes to the new one.

    Returns:
        The new one's record.

    Raises:
        Busy: Another command is working on one of the two.
        StateError: The new environment has data of its own.
        UsageError: The data is on another machine.
    """
    check_movable(source)
    first, second = sorted((source.project, prepared.project))
    with (
        context.store.lock(first, command=command),
        context.store.lock(second, command=command),
    ):
        if context.store.has_data(prepared.project):
            raise StateError(
                f"`{prepared.project}` has data of its own",
                hint=f"`stackctl purge {prepared.project}` deletes it, if that is what you want",
            )
        if context.store.read(prepared.project) is not None:
            end(context, look(context, prepared.project), command, Aim(reason="moved"))
        record = end(context, look(context, source.project), command, Aim(reason="moved")).record
        context.store.move_data(source.project, prepared.project)
        moved = replace(record, project=prepared.project, root=prepared.found.root, placement={})
        moved = with_volumes_of(context, moved, prepared, source.project)
        moved = ended(context, moved, "stopped", f"moved from {source.root}")
        context.store.remove_record(source.project)
        return moved
