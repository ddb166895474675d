"""`down`: ending an environment from its record and labels alone; its data stays."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stackctl.core.errors import StackctlError, StateError
from stackctl.core.records import LIVE, Ending
from stackctl.ops.looking import Scene, look
from stackctl.ops.recording import ended
from stackctl.ops.taking_down import take_down
from stackctl.ops.task_outcome import learn_outcome

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord, Phase
    from stackctl.ops.context import Context

PASSES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What an ending is for.

    Args:
        phase: What the record becomes once nothing is left.
        reason: One sentence.
        incident: Id of the incident that tells more, empty for none.
        first: Id of the container that is stopped before all others: the one that did harm.
    """

    phase: Phase = "stopped"
    reason: str = "by hand"
    incident: str = ""
    first: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownResult:
    """What `down` removed: how many containers and networks; `strangers` were left alone."""

    record: EnvironmentRecord
    containers: int
    networks: int
    strangers: tuple[str, ...] = ()


def down(
    context: Context,
    project: str,
    *,
    command: str,
    reason: str = "by hand",
    lock_wait: float = 30.0,
    still: Callable[[EnvironmentRecord], bool] | None = None,
) -> DownResult:
    """End an environment: stop and remove its containers and networks by id; its data stays.

    Works without the stack's file. Passes are repeated until one finds nothing, since a killed command's
    last container may appear late.

    Args:
        still: Asked under the lock whether it is still to be ended; when not, nothing is done.

    Raises:
        Busy: Another command is working on it.
        EngineRefused: Something cannot be removed.
    """
    with context.store.lock(project, command=command, wait=lock_wait):
        scene = look(context, project)
        if still is not None and scene.record is not None and not still(scene.record):
            return DownResult(record=scene.record, containers=0, networks=0, strangers=scene.strangers)
        phase: Phase = "cancelled" if scene.record and scene.record.task else "stopped"
        return end(context, scene, command, _unfinished(scene.record) or Aim(phase=phase, reason=reason))


def end(context: Context, scene: Scene, command: str, aim: Aim) -> DownResult:
    """`down` for a caller that holds the environment's lock.

    The record says what it is to become before anything is stopped, so that whoever comes after a crash
    finishes the same; on a full disk it is ended all the same. When something cannot be ended, the attempt
    counts and it belongs to nobody.

    Raises:
        EngineRefused, EngineUnavailable, TimedOut: Something cannot be ended.
        StateError: There is no record, or what was done could not be written down.
    """
    record = scene.record
    if record is None:
        raise StateError(
            f"nothing is remembered of `{scene.project}`", hint="`stackctl list` shows every one"
        )
    if record.phase in LIVE or scene.containers or scene.networks:
        record = _stopping(context, record, command, aim)
    if record.task is None:
        _end_inside(context, record.project, command)
    record, kept = learn_outcome(context, scene, record)
    try:
        containers, networks, scene = _remove(context, scene, aim, kept)
    except StackctlError:
        if record.phase == "stopping":
            now = context.clock.now().wall
            with suppress(StateError):
                context.store.write(replace(record, attempts=record.attempts + 1, lease=None, updated=now))
        raise
    if record.phase == "stopping":
        record = ended(context, record, aim.phase, aim.reason, aim.incident)
    return DownResult(record=record, containers=containers, networks=networks, strangers=scene.strangers)


def _end_inside(context: Context, project: str, command: str) -> None:
    """End the tasks that run in an environment: they hold its networks, and lose what they came for.

    A task's lock is only ever taken after its environment's, never before it.
    """
    for one in context.store.records():
        if one.task is None or one.task.inside != project or one.phase not in LIVE:
            continue
        if one.phase in ("pending", "starting"):
            context.store.wish_end(one.project, f"`{project}` was ended")
        with context.store.lock(one.project, command=command, wait=30.0):
            scene = look(context, one.project)
            if scene.record is not None and scene.record.phase in LIVE:
                end(context, scene, command, Aim(phase="cancelled", reason=f"`{project}` was ended"))


def _unfinished(record: EnvironmentRecord | None) -> Aim | None:
    """What an ending that was enforced and cut short was for: it is finished as what it was."""
    begun = begun_ending(record)
    return begun if begun is not None and begun.incident else None


def begun_ending(record: EnvironmentRecord | None) -> Aim | None:
    """What an ending that was cut short was for, None where none was begun."""
    if record is None or record.phase != "stopping" or record.ending is None:
        return None
    return Aim(phase=record.aim, reason=record.ending.reason, incident=record.ending.incident)


def _stopping(context: Context, record: EnvironmentRecord, command: str, aim: Aim) -> EnvironmentRecord:
    now = context.clock.now().wall
    record = replace(
        record,
        phase="stopping",
        aim=aim.phase,
        ending=Ending(reason=aim.reason, at=now, incident=aim.incident),
        lease=context.store.lease(command),
        updated=now,
    )
    with suppress(StateError):  # a full disk keeps nobody alive who must be ended
        context.store.write(record)
    return record


def _remove(context: Context, scene: Scene, aim: Aim, kept: str) -> tuple[int, int, Scene]:
    """Remove everything but the container `kept`, pass after pass until one finds nothing."""
    scene = _without(scene, kept)
    removed: set[str] = set()
    networks: set[str] = set()
    for _ in range(PASSES):
        if not scene.containers and not scene.networks:
            break
        names = sorted({container.service for container in scene.containers})
        context.progress.step(f"stopping {', '.join(names) or 'what is left'}")
        take_down(context, scene.containers, scene.networks, first=aim.first)
        removed |= {container.id for container in scene.containers}
        networks |= {network.id for network in scene.networks}
        scene = _without(look(context, scene.project), kept)
    return len(removed), len(networks), scene


def _without(scene: Scene, container: str) -> Scene:
    left = tuple(one for one in scene.containers if one.id != container)
    return replace(scene, containers=left) if container else scene
