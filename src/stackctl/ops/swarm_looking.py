"""One look at an environment on a Swarm: what its record says, and what of it the managers know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackctl.core.errors import EngineRefused
from stackctl.core.labels import read_stamp
from stackctl.core.records import LIVE
from stackctl.core.swarm_facts import SwarmScene
from stackctl.ops.looking import verified

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.swarm_facts import Cluster
    from stackctl.ops.context import Context


def manager(context: Context) -> Cluster:
    """The Swarm that the engine manages.

    Raises:
        EngineRefused: It is in none, or only works for one.
        EngineUnavailable, TimedOut: It cannot be asked.
    """
    found = context.engine.swarm().cluster(patient=True)
    if not found.manager:
        words = "works for a Swarm and is no manager of it" if found.node else "is in no Swarm"
        raise EngineRefused(
            f"the engine {words}",
            hint="choose a manager's engine by DOCKER_HOST or DOCKER_CONTEXT; `docker swarm init` makes one",
        )
    return found


def look_at_swarm(context: Context, project: str, record: EnvironmentRecord | None) -> SwarmScene:
    """List what the Swarm has of an environment.

    Raises:
        EngineUnavailable, TimedOut: The manager cannot be asked.
        EngineRefused: The engine is no manager, or the environment is up on another Swarm.
    """
    cluster = manager(context)
    if record is not None and record.phase in LIVE and record.engine != cluster.id:
        raise EngineRefused(
            f"`{project}` was made on the Swarm {record.engine}, asked at {record.engine_host}, "
            f"and the engine manages another one ({cluster.id})",
            hint="set DOCKER_HOST or the docker context back, and try again",
        )
    swarm = context.engine.swarm()
    services, tasks = swarm.services(project)
    ours = tuple(one for one in services if verified(record, read_stamp(one.labels)))
    things = tuple(one for one in swarm.things(project) if verified(record, read_stamp(one.labels)))
    return SwarmScene(
        cluster=cluster,
        nodes=swarm.nodes(),
        services=ours,
        tasks=tasks,
        things=things,
        strangers=tuple(one.name for one in services if one not in ours),
    )
