"""How much room a Swarm has for the tasks of a holder, asked of its managers once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackctl.core.records import LIVE
from stackctl.core.swarm_room import Room, rooms
from stackctl.ops.swarm_looking import manager

if TYPE_CHECKING:
    from stackctl.ops.context import Context


def room_on_swarm(context: Context, holder: str) -> tuple[tuple[Room, ...], int]:
    """What others leave of each node that takes work, and how many processors these have in all.

    Raises:
        EngineUnavailable, TimedOut: The manager cannot be asked.
        EngineRefused: The engine manages no Swarm.
    """
    manager(context)
    swarm = context.engine.swarm()
    nodes = swarm.nodes()
    own = {
        one.project
        for one in context.store.records()
        if one.task and one.task.holder == holder and one.phase in LIVE
    }
    return rooms(nodes, swarm.tasks({}), own), int(sum(node.cpus for node in nodes if node.takes_work))
