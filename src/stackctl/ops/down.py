"""`down`: ending an environment from its record and labels alone; its data stays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stackctl.core.errors import StateError
from stackctl.ops.looking import Scene, look
from stackctl.ops.recording import ended
from stackctl.ops.taking_down import take_down

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord
    from stackctl.ops.context import Context

PASSES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DownResult:
    """What `down` removed: how many containers and networks; `strangers` were left alone."""

    record: EnvironmentRecord
    containers: int
    networks: int
    strangers: tuple[str, ...] = ()


def down(
    context: Context, project: str, *, command: str, reason: str = "by hand", lock_wait: float = 30.0
) -> DownResult:
    """End an environment: stop and remove its containers and networks by id; its data stays.

    Works without the stack's file. Passes are repeated until one finds nothing, since a killed command's
    last container may appear late.

    Raises:
        Busy: Another command is working on it.
        EngineRefused: Something cannot be removed.
    """
    with context.store.lock(project, command=command, wait=lock_wait):
        return end(context, look(context, project), command, reason)


def end(context: Context, scene: Scene, command: str, reason: str) -> DownResult:
    """`down` for a caller that holds the environment's lock."""
    record = scene.record
    if record is None:
        raise StateError(
            f"nothing is remembered of `{scene.project}`", hint="`stackctl list` shows every one"
        )
    if record.phase in ("running", "starting", "stopping") or scene.containers or scene.networks:
        lease = context.store.lease(command)
        record = replace(record, phase="stopping", lease=lease, updated=context.clock.now().wall)
        context.store.write(record)
    removed: set[str] = set()
    networks: set[str] = set()
    for _ in range(PASSES):
        if not scene.containers and not scene.networks:
            break
        names = sorted({container.service for container in scene.containers})
        context.progress.step(f"stopping {', '.join(names) or 'what is left'}")
        take_down(context, scene.containers, scene.networks)
        removed |= {container.id for container in scene.containers}
        networks |= {network.id for network in scene.networks}
        scene = look(context, scene.project)
    if record.phase == "stopping":
        record = ended(context, record, "stopped", reason)
    return DownResult(
        record=record, containers=len(removed), networks=len(networks), strangers=scene.strangers
    )
