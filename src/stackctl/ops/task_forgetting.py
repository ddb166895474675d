"""Forgetting tasks that have ended: their records, and their data only when that is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.errors import UsageError
from stackctl.core.names import task_project
from stackctl.core.records import LIVE
from stackctl.core.remote import folder_of
from stackctl.ops.looking import look
from stackctl.ops.purge import delete
from stackctl.ops.taking_down import take_down

if TYPE_CHECKING:
    from stackctl.core.tasks import TaskLine
    from stackctl.ops.context import Context


def old_tasks(context: Context, age: float, *, data: bool) -> tuple[TaskLine, ...]:
    """The tasks that ended at least so many seconds ago, the oldest first.

    Args:
        data: Also those that were forgotten already and of which only the data is left.

    Raises:
        StateError: They cannot be listed.
    """
    from stackctl.ops.task_looking import list_tasks

    now = context.clock.now().wall
    return tuple(
        line
        for line in list_tasks(context, everything=True)
        if line.phase not in LIVE
        and now - (line.finished or line.created) >= age
        and (data or not line.forgotten)
    )


def prune(context: Context, chosen: Iterable[TaskLine], *, data: bool) -> tuple[TaskLine, ...]:
    """Forget tasks that have ended; those that are gone meanwhile are left out.

    Args:
        data: Delete their data as well.

    Raises:
        StateError: The file system refused.
    """
    done = []
    try:
        for line in chosen:
            forget(context, task_project(line.id), data=data, command="stackctl tasks prune", tidy=False)
            done.append(line)
    finally:
        context.store.tidy_tasks()
    return tuple(done)


def forget(context: Context, project: str, *, data: bool, command: str, tidy: bool = True) -> bool:
    """Forget one task that has ended; the container that it kept is removed first.

    Where it has data that is to stay, its record stays for that, so that the data can be found and named.

    Returns:
        Whether data of it was kept.

    Args:
        data: Delete its data as well.
        tidy: Leave it out of the index as well.

    Raises:
        UsageError: It has not ended.
        Busy: Another command is working on it.
        StateError: The file system refused.
    """
    with context.store.lock(project, command=command, wait=10.0):
        record = context.store.read(project)
        if record is not None and record.phase in LIVE:
            raise UsageError(
                f"task {record.title} is {record.phase}", hint=f"`stackctl cancel {record.title}` ends it"
            )
        if record is not None and record.task is not None and record.task.keep:
            scene = look(context, project)
            take_down(context, scene.containers, scene.networks)
        there = record is not None and bool(folder_of(record.placement))
        kept = not data and (there or context.store.has_data(project))
        if data:
            delete(context, project)
        elif record is not None and record.task is not None:
            if kept:
                context.store.write(replace(record, task=replace(record.task, forgotten=True)))
            context.store.forget_task(record.task.id)
    if tidy:
        context.store.tidy_tasks()
    return kept
