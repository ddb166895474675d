"""Tasks whose process is gone: those that run are attended again, what was cut short is brought to rest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.errors import EngineRefused, LimitsUnenforced, StateError
from stackctl.core.facts import ENDED
from stackctl.core.records import TASK_SERVICE
from stackctl.ops.down import Aim, begun_ending, end
from stackctl.ops.looking import Scene, look
from stackctl.ops.recording import finish
from stackctl.ops.swarm_task_resting import rest_on_swarm
from stackctl.ops.task_ending import aim_of, on_swarm
from stackctl.ops.task_outcome import own_container, with_start
from stackctl.ops.task_starting import Started
from stackctl.ops.verifying import verify

if TYPE_CHECKING:
    from stackctl.core.facts import Container
    from stackctl.core.records import EnvironmentRecord
    from stackctl.ops.context import Context

IN_FLIGHT = 0.5
"""Seconds in which the daemon does what a process asked of it that was killed then."""


def attend_again(context: Context, record: EnvironmentRecord) -> Started | None:
    """A task that runs, to be attended by this process; None where its own container has ended or is gone.

    Raises:
        EngineUnavailable, TimedOut: The engine cannot be asked.
    """
    own = next(iter(record.containers.get(TASK_SERVICE, ())), "")
    if not own:
        return None
    try:
        waits = context.engine.exit_wait(own)
    except EngineRefused:
        return None
    found: tuple[Container, ...] = ()
    try:
        # looked at after the wait began, so that no end falls between the two
        found = tuple(one for one in context.engine.inspect([own]) if one.state not in ENDED)
    finally:
        if not found:
            waits.close()
    return Started(record=record, container=found[0], exit=waits) if found else None


def holders_records(context: Context, holder: str, *, command: str) -> list[EnvironmentRecord]:
    """The records of a holder's recent tasks, at rest: waiting, running or ended; the oldest first.

    Raises:
        StackctlError: One of them cannot be brought to rest.
    """
    found = [one for one in context.store.records() if one.task and one.task.holder == holder]
    if any(record.phase == "starting" for record in found):
        context.clock.sleep(IN_FLIGHT)
    settled = [
        bring_to_rest(context, one.project, command=command) if one.phase in ("starting", "stopping") else one
        for one in found
    ]
    return sorted(settled, key=lambda record: (record.created, record.project))


def bring_to_rest(context: Context, project: str, *, command: str) -> EnvironmentRecord:
    """Finish what a process that is gone was doing with a task: starting it, or ending it.

    One whose own container was started goes on; one whose was not is undone, and is `lost` without a time at
    which it started, so that it may be done under another id. Where it waits or runs, it stays as it is.

    Raises:
        Busy: Another command is working on it.
        EngineRefused: Something of it cannot be ended.
        StateError: Its record is gone, or cannot be read.
    """
    with context.store.lock(project, command=command, wait=60.0):
        if (there := on_swarm(context, project)) is not None:
            return rest_on_swarm(context, there, command=command)
        scene = look(context, project)
        record = scene.record
        if record is None:
            raise StateError(f"nothing is remembered of `{project}`")
        if record.phase == "starting":
            return _begun(context, scene, record, command)
        if record.phase == "stopping":
            cut_short = Aim(phase=record.aim, reason="an interrupted command was cleaned up")
            return end(context, scene, command, begun_ending(record) or cut_short).record
        return _ran(context, scene, record, command) if record.phase == "running" else record


def _begun(context: Context, scene: Scene, record: EnvironmentRecord, command: str) -> EnvironmentRecord:
    own = own_container(scene.containers)
    if own is None or not own.started:
        before = record.lease.command if record.lease else "its command"
        aim = Aim(phase="lost", reason=f"`{before}` died before it was started")
        return _undone(context, scene, own, command, aim)
    try:
        proof = verify(context, scene.facts, record.services, scene.containers)
    except LimitsUnenforced as error:
        return end(context, scene, command, Aim(phase="failed", reason=error.message)).record
    record = with_start(replace(record, verified=proof), scene.containers)
    return finish(context, record, scene)


def _undone(
    context: Context, scene: Scene, own: Container | None, command: str, aim: Aim
) -> EnvironmentRecord:
    """End what was not started, and see whether the daemon started it all the same in the last moment."""
    now = context.clock.now().wall
    record = end(context, scene, command, aim).record
    if own is None or record.task is None or record.task.started:
        return record
    events = context.engine.past_events(own.id, own.created - 1.0, now + 1.0)
    at = next((event.at for event in events if event.action == "start"), 0.0)
    if at:
        record = replace(record, task=replace(record.task, started=at))
        context.store.write(record)
    return record


def _ran(context: Context, scene: Scene, record: EnvironmentRecord, command: str) -> EnvironmentRecord:
    own = own_container(scene.containers)
    if own is None:
        return end(context, scene, command, Aim(phase="lost", reason="its container is gone")).record
    if own.state not in ENDED:
        return record
    return end(context, scene, command, aim_of(context, record, own, {})).record
