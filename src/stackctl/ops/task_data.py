"""The data of another environment or task, which a task begins with a copy of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackctl.core.errors import UsageError
from stackctl.ops.task_asking import check_at_rest, owner_of

if TYPE_CHECKING:
    from pathlib import Path

    from stackctl.core.facts import EngineFacts
    from stackctl.ops.context import Context
    from stackctl.ops.task_preparing import PreparedTask

SOURCE_SECONDS = 60.0  # for another command that works on what data is copied from


def check_source(source: Path | None, facts: EngineFacts) -> None:
    """Say that data is not taken from one machine to another, before anything is begun.

    Raises:
        UsageError: The engine is on another one.
    """
    if source is not None and facts.remote:
        raise UsageError(
            f"the data of {source} cannot be given to a task on the engine at {facts.host}, which "
            "is another machine",
            hint="run the task on this machine's engine, or restore a dump into its sidecar there",
        )


def copy_data(context: Context, source: Path, prepared: PreparedTask, command: str) -> None:
    """Copy data that stays at rest meanwhile: nobody starts or purges what it belongs to."""
    owner = owner_of(source, context.store)
    project, names = prepared.project, [one.name for one in prepared.prepared.rendered.data]
    if owner is None:
        context.store.copy_data(source, project, names)
        return
    with context.store.lock(owner.project, command=command, wait=SOURCE_SECONDS):
        check_at_rest(context.store.read(owner.project), str(source))
        context.store.copy_data(source, project, names)
