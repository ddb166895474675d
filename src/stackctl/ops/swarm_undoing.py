"""When `up` on a Swarm fails: logs are kept, what it made is removed, what it changed is changed back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.errors import Interrupted, StackctlError
from stackctl.core.swarm_facts import BROKEN_TASKS
from stackctl.ops.recording import ended
from stackctl.ops.swarm_looking import look_at_swarm
from stackctl.ops.swarm_removing import remove_from_swarm

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.swarm_facts import SwarmScene, SwarmService
    from stackctl.ops.context import Context

KEPT_LINES = 200
SHOWN_LINES = 20


def undo_on_swarm(
    context: Context,
    before: SwarmScene,
    old: EnvironmentRecord | None,
    record: EnvironmentRecord,
    error: BaseException,
) -> None:
    """Keep the logs of what failed, remove what was made since `before`; the record says what remains."""
    record = context.store.read(record.project) or record  # it may hold data by now
    reason = str(error) or type(error).__name__
    try:
        _undo(context, before, record, error)
    except StackctlError as problem:
        context.progress.warn(f"not everything could be undone: {problem}")
        context.store.write(replace(record, lease=None, warnings=(f"the last `up` failed: {reason}",)))
        return
    if before.services and old is not None:
        words = (f"the last `up` failed and was undone: {reason}",)
        kept = replace(old, phase="running", document="", held=record.held, lease=None, warnings=words)
        context.store.write(kept)
        return
    by_hand = isinstance(error, (KeyboardInterrupt, Interrupted))
    ended(context, record, "stopped" if by_hand else "failed", "interrupted" if by_hand else reason)


def _undo(context: Context, before: SwarmScene, record: EnvironmentRecord, error: BaseException) -> None:
    scene = look_at_swarm(context, record.project, record)
    _keep_logs(context, scene, record, error)
    context.progress.step("undoing what this call made")
    there = {service.id: service.updated for service in before.services}
    for service in scene.services:
        if service.id in there and service.updated != there[service.id] and not _taken_back(service):
            context.engine.swarm().roll_back(service.id)
    known = {thing.id for thing in before.things}
    made = [service.id for service in scene.services if service.id not in there]
    things = [thing.id for thing in scene.things if thing.id not in known]
    if made or not before.services:
        remove_from_swarm(context, record, made, things if not before.services else ())


def _taken_back(service: SwarmService) -> bool:
    return service.update.startswith("rollback")


def _keep_logs(context: Context, scene: SwarmScene, record: EnvironmentRecord, error: BaseException) -> None:
    """Keep the last lines of every task that failed, and show them with the error."""
    shown = []
    for service in scene.services:
        task = next((one for one in scene.tasks_of(service) if one.state in BROKEN_TASKS), None)
        tail = context.engine.swarm().log_tail(task.id, KEPT_LINES) if task else ""
        if tail:
            path = context.store.write_log(record.project, service.name, tail)
            lines = tail.rstrip().splitlines()[-SHOWN_LINES:]
            shown.append("\n".join([f"last lines of `{service.name}` ({path}):", *lines]))
    if isinstance(error, StackctlError):
        error.details = (*error.details, *shown)
        error.hint = error.hint or "`stackctl status` and `docker stack ps` show its tasks while it is up"
