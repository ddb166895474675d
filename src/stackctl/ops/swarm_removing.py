"""Ending what an environment has on a Swarm: tasks, services, then networks, configs and secrets."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from stackctl.core.errors import EngineRefused, StackctlError
from stackctl.core.swarm_facts import LIVE_TASKS
from stackctl.ops.swarm_looking import look_at_swarm

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.swarm_facts import SwarmScene, SwarmTask
    from stackctl.ops.context import Context

SECONDS = 90.0
"""For tasks to end: each has its grace period, and the manager has to hear of it."""
_LOOK = 0.3


def remove_from_swarm(
    context: Context, record: EnvironmentRecord, services: Collection[str], things: Collection[str]
) -> SwarmScene:
    """Remove services and what belongs to them, by id; returns what is left of the environment.

    A task on a node that is away ends when the node is back: Swarm has it in mind.

    Raises:
        EngineRefused: Something is still there when the time is over.
    """
    swarm = context.engine.swarm()
    swarm.scale_to_nothing(sorted(services))
    end = context.clock.now().boottime + SECONDS
    scene = look_at_swarm(context, record.project, record)
    while _living(scene, services) and context.clock.now().boottime < end:
        context.clock.sleep(_LOOK)
        scene = look_at_swarm(context, record.project, record)
    for node in sorted({_node(scene, task) for task in scene.tasks if _away(scene, task, services)}):
        context.progress.warn(f"node {node} is away: what it runs of this environment ends when it is back")
    swarm.remove("service", sorted(services))
    while True:
        left = _remove_things(context, scene, things)
        if not left:
            return look_at_swarm(context, record.project, record)
        if context.clock.now().boottime >= end:
            raise EngineRefused(f"not everything could be removed: {left}", hint="try it again in a moment")
        context.clock.sleep(_LOOK)
        scene = look_at_swarm(context, record.project, record)


def _living(scene: SwarmScene, services: Collection[str]) -> list[SwarmTask]:
    """Tasks that still run where somebody sees to their end."""
    return [
        task
        for task in scene.tasks
        if task.service in services
        and task.node
        and task.state in LIVE_TASKS
        and not _away(scene, task, services)
    ]


def _away(scene: SwarmScene, task: SwarmTask, services: Collection[str]) -> bool:
    node = scene.node(task.node)
    there = node is not None and node.state == "ready"
    return task.service in services and bool(task.node) and task.state in LIVE_TASKS and not there


def _node(scene: SwarmScene, task: SwarmTask) -> str:
    node = scene.node(task.node)
    return node.hostname if node else task.node


def _remove_things(context: Context, scene: SwarmScene, things: Collection[str]) -> str:
    """Remove networks, configs and secrets; why one of them could not be, empty when all are gone."""
    left = ""
    for thing in scene.things:
        if thing.id in things:
            try:
                context.engine.swarm().remove(thing.kind, [thing.id])
            except StackctlError as error:
                left = f"{thing.kind} {thing.name}: {error.message}"
    return left
