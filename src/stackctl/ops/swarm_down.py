"""`down` and `purge` of an environment on a Swarm, from its record and labels alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stackctl.core.errors import EngineRefused, StateError
from stackctl.core.records import LIVE, Ending, EnvironmentRecord
from stackctl.ops.recording import ended
from stackctl.ops.swarm_data import check_holders, delete_data
from stackctl.ops.swarm_looking import look_at_swarm, manager
from stackctl.ops.swarm_removing import remove_from_swarm

if TYPE_CHECKING:
    from stackctl.ops.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmDown:
    """What `down` removed: how many services, and how many networks, configs and secrets."""

    record: EnvironmentRecord
    services: int
    things: int


def down_on_swarm(context: Context, project: str, *, command: str, reason: str = "by hand") -> SwarmDown:
    """End an environment on a Swarm; the data on its nodes stays, and the labels that say where it is.

    Raises:
        Busy: Another command is working on it.
        EngineRefused: Something cannot be removed, or the engine manages another Swarm.
    """
    with context.store.lock(project, command=command, wait=30.0):
        return _end(context, project, command, reason)


def _end(context: Context, project: str, command: str, reason: str) -> SwarmDown:
    record = context.store.read(project)
    if record is None:
        raise StateError(f"nothing is remembered of `{project}`", hint="`stackctl list` shows every one")
    scene = look_at_swarm(context, project, record)
    now = context.clock.now().wall
    if record.phase in LIVE or scene.services or scene.things:
        lease = context.store.lease(command)
        ending = Ending(reason=reason, at=now)
        record = replace(record, phase="stopping", aim="stopped", ending=ending, lease=lease, updated=now)
        context.store.write(record)
    services, things = [one.id for one in scene.services], [one.id for one in scene.things]
    if services or things:
        names = sorted(one.name for one in scene.services)
        context.progress.step(f"stopping {', '.join(names) or 'what is left'}")
        remove_from_swarm(context, record, services, things)
    if record.phase == "stopping":
        record = ended(context, record, "stopped", reason)
    return SwarmDown(record=record, services=len(services), things=len(things))


def purge_on_swarm(context: Context, project: str, *, command: str) -> None:
    """End an environment on a Swarm, and delete its data on the nodes, its secrets and its record.

    Raises:
        Busy, EngineRefused: As for `down`; a node that holds data is away, or belongs to another Swarm.
        ServiceFailed: A node could not delete its data.
    """
    with context.store.lock(project, command=command, wait=30.0):
        record = context.store.read(project)
        found = manager(context)
        if record is not None and record.held and record.engine != found.id:
            raise EngineRefused(
                f"the data of `{project}` lies on nodes of the Swarm {record.engine}, and the engine manages "
                f"another one ({found.id})",
                hint="set DOCKER_HOST or the docker context back, and try again",
            )
        if record is not None:
            check_holders(look_at_swarm(context, project, record), record)
        record = _end(context, project, command, "purged").record
        delete_data(context, look_at_swarm(context, project, record), record)
        context.store.purge(project)
