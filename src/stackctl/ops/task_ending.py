"""How a task ends: by itself, cancelled, over its lifetime, or by a limit; and what is said of it then."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.errors import StateError
from stackctl.core.facts import ENDED
from stackctl.core.finishing import own_ending
from stackctl.core.records import LIVE
from stackctl.ops.down import Aim, begun_ending, end
from stackctl.ops.evidence import keep, new_incident, with_evidence
from stackctl.ops.hearing import heard_out
from stackctl.ops.looking import Scene, look
from stackctl.ops.recording import ended
from stackctl.ops.swarm_task_ending import end_on_swarm, finish_on_swarm
from stackctl.ops.task_outcome import own_container

if TYPE_CHECKING:
    from stackctl.core.facts import Container
    from stackctl.core.records import EnvironmentRecord, Phase
    from stackctl.core.world import Trail
    from stackctl.ops.context import Context


def finish_task(
    context: Context, project: str, *, command: str, trails: Mapping[str, Trail] | None = None
) -> EnvironmentRecord:
    """Write down how a task whose own container has ended went, and remove what is left of it.

    One that somebody else has ended meanwhile, or that still runs, stays as it is; one whose container
    somebody removed is lost.

    Args:
        trails: What was read of its containers, by id, for an incident.

    Raises:
        Busy: Another command is working on it.
        EngineRefused: Something of it cannot be removed.
    """
    with context.store.lock(project, command=command, wait=60.0):
        if (there := on_swarm(context, project)) is not None:
            return finish_on_swarm(context, there, command=command)
        scene = look(context, project)
        scene = with_peaks(scene, trails or {})
        record, container = _record_of(scene), own_container(scene.containers)
        if record.phase == "running" and container is None:
            return end(context, scene, command, Aim(phase="lost", reason="its container is gone")).record
        if record.phase != "running" or container is None or container.state not in ENDED:
            return record
        aim = aim_of(context, record, container, trails or {})
        return end(context, scene, command, aim).record


def aim_of(
    context: Context,
    record: EnvironmentRecord,
    container: Container,
    trails: Mapping[str, Trail],
) -> Aim:
    """What a task's end by itself amounts to; one that the kernel ended for memory has its incident."""
    if record.deadline.boot != context.clock.now().boot:
        return Aim(phase="lost", reason="the host was restarted while it ran")
    action = own_ending(record, heard_out(context, container))
    if not action.incident:
        return Aim(phase=action.phase, reason=action.reason)
    incident = with_evidence(context, new_incident(context, action, record), container, trails)
    incident = replace(incident, result="done", done=("the kernel ended it",))
    keep(context, incident)
    return Aim(phase=action.phase, reason=action.reason, incident=incident.id)


def end_task(
    context: Context,
    project: str,
    phase: Phase,
    reason: str,
    *,
    command: str,
    wait: float = 60.0,
    trails: Mapping[str, Trail] | None = None,
    asked: bool = False,
) -> EnvironmentRecord:
    """End a task that has not ended, whatever it is at.

    Args:
        phase: What it becomes; one that has ended by itself meanwhile keeps its own outcome, unless
            `asked`, and an ending that was begun is finished as what it was.
        reason: One sentence.
        wait: Seconds to wait for another command that works on it.
        trails: What was read of its containers, by id.
        asked: Its own container was asked to end already, so that its end is no outcome of its own.

    Raises:
        Busy: Another command is working on it.
        EngineRefused: Something of it cannot be ended.
    """
    if phase == "cancelled":
        wish(context, project, reason)
    with context.store.lock(project, command=command, wait=wait):
        if (there := on_swarm(context, project)) is not None:
            return end_on_swarm(context, there, phase, reason, command=command, asked=asked)
        scene = with_peaks(look(context, project), trails or {})
        record = _record_of(scene)
        if record.phase not in LIVE:
            return record
        if record.phase == "pending" and not scene.containers:
            return ended(context, record, phase, reason)
        container = own_container(scene.containers)
        if record.phase == "running" and container and container.state in ENDED and not asked:
            return end(context, scene, command, aim_of(context, record, container, {})).record
        aim = begun_ending(record) or Aim(phase=phase, reason=reason)
        return end(context, scene, command, aim).record


def on_swarm(context: Context, project: str) -> EnvironmentRecord | None:
    """A task's record where it is a Swarm's; None where it is one engine's."""
    record = context.store.read(project)
    return record if record is not None and record.on_swarm else None


def wish(context: Context, project: str, reason: str) -> None:
    """Let whoever starts a task, and has its lock, end it now instead of when it runs."""
    record = context.store.read(project)
    if record is not None and record.phase in ("pending", "starting"):
        with suppress(StateError):
            context.store.wish_end(project, reason)


def with_peaks(scene: Scene, trails: Mapping[str, Trail]) -> Scene:
    """The scene whose record knows the most that was read of the task's own container."""
    record, container = scene.record, own_container(scene.containers)
    trail = trails.get(container.id) if container else None
    if record is None or record.task is None or trail is None:
        return scene
    task = replace(
        record.task,
        peak_pids=max(record.task.peak_pids, trail.peak_pids),
        peak_memory=max(record.task.peak_memory, trail.peak_memory),
    )
    return replace(scene, record=replace(record, task=task))


def _record_of(scene: Scene) -> EnvironmentRecord:
    if scene.record is None:
        raise StateError(
            f"nothing is remembered of `{scene.project}`", hint="`stackctl tasks --all` shows every task"
        )
    return scene.record
