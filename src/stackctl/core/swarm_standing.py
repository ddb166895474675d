"""Whether the services of an environment on Swarm stand as they should, judged by their tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from stackctl.core.convergence import ServiceState
from stackctl.core.swarm_facts import ATTEMPTS, BROKEN_TASKS, LIVE_TASKS

if TYPE_CHECKING:
    from stackctl.core.records import ServiceRecord
    from stackctl.core.swarm_facts import SwarmScene, SwarmService, SwarmTask

EXHAUSTED = 1 + ATTEMPTS
"""Tasks of one slot that failed: the first, and as many as `restart_policy` allows after it."""
HOPELESS = 2
"""Tasks that a node refused: an image or a folder that is not there will not be there the next time."""
_NODE_STARTS = "when swarm is not active"
"""A node whose daemon started seconds ago refuses with these words until it is part of its Swarm again."""
_UNDONE = ("paused", "rollback_started", "rollback_paused", "rollback_completed")


def swarm_standings(
    services: Mapping[str, ServiceRecord],
    scene: SwarmScene,
    *,
    before: Mapping[str, str] | None = None,
) -> tuple[ServiceState, ...]:
    """Judge every service of an environment, in the order of their names.

    Args:
        before: Service's id -> when its last update began before this deployment; None where none is being
            waited for, so that an update that Swarm took back is no failure of now.
    """
    there = {service.name: service for service in scene.services}
    return tuple(_standing(name, services[name], there.get(name), scene, before) for name in sorted(services))


def _standing(
    name: str,
    asked: ServiceRecord,
    service: SwarmService | None,
    scene: SwarmScene,
    before: Mapping[str, str] | None,
) -> ServiceState:
    if service is None:
        return ServiceState(service=name, standing="waiting", words="not made")
    tasks = scene.tasks_of(service)
    if before is not None and service.update in _UNDONE and before.get(service.id) != service.updated:
        worst = next((task for task in tasks if task.state in BROKEN_TASKS), None)
        return _failed(name, "not updated", worst, scene, "was not updated, what ran before runs on")
    current = [task for task in tasks if task.current]
    if broken := _broken(asked, current):
        return _failed(name, _end_words(broken), broken, scene, "does not run")
    if asked.one_shot:
        done = len({task.slot for task in current if task.state == "complete"})
        return _counted(name, done, service.replicas, "done", _wait_words(current, scene))
    updating = before is not None and service.update == "updating"
    serving = sum(_serves(task, scene) for task in current)
    words = "updating" if updating else _wait_words(current, scene)
    return _counted(name, serving - updating, service.replicas, "running", words)


def _counted(name: str, there: int, wanted: int, words: str, otherwise: str) -> ServiceState:
    if there >= wanted:
        shown = words if wanted == 1 else f"{words} {wanted}/{wanted}" if wanted else "no replicas"
        return ServiceState(service=name, standing="ready", words=shown)
    shown = f"{otherwise} {max(0, there)}/{wanted}" if wanted > 1 else otherwise
    return ServiceState(service=name, standing="waiting", words=shown)


def _serves(task: SwarmTask, scene: SwarmScene) -> bool:
    node = scene.node(task.node)
    return (
        task.state == "running" and task.desired == "running" and node is not None and node.state == "ready"
    )


def _broken(asked: ServiceRecord, tasks: list[SwarmTask]) -> SwarmTask | None:
    """The newest task of a slot that is given up; None where there is hope."""
    slots: dict[int, list[SwarmTask]] = {}
    for task in tasks:
        slots.setdefault(task.slot, []).append(task)
    for _, every in sorted(slots.items()):
        ended = [task for task in every if task.state in BROKEN_TASKS]
        refused = sum(task.state == "rejected" and _NODE_STARTS not in task.error for task in ended)
        serving = any(task.state == "running" and task.desired == "running" for task in every)
        alive = any(task.state in LIVE_TASKS and task.desired in ("running", "ready") for task in every)
        if not ended or serving:
            continue
        if asked.one_shot and not any(task.state == "complete" for task in every) and not alive:
            return ended[0]
        if not asked.one_shot and (refused >= HOPELESS or (len(ended) >= EXHAUSTED and not alive)):
            return ended[0]
    return None


def _wait_words(tasks: list[SwarmTask], scene: SwarmScene) -> str:
    """What a service that is not ready waits for."""
    for task in tasks:
        if task.desired in ("running", "ready") and task.state in LIVE_TASKS:
            node = scene.node(task.node)
            if node is not None and node.state != "ready":
                return f"node {node.hostname} is {node.state}"
            if task.state == "pending" and task.error:
                return "no node"
            if task.state != "running":
                return task.state
    return "starting" if not tasks else tasks[0].state


def _end_words(task: SwarmTask) -> str:
    return f"exited {task.exit_code}" if task.exit_code else task.state


def _failed(name: str, words: str, task: SwarmTask | None, scene: SwarmScene, otherwise: str) -> ServiceState:
    reason = f"`{name}` {otherwise}"
    if task is not None:
        node = scene.node(task.node)
        where = f" on node {node.hostname}" if node else ""
        reason = f"`{name}` {otherwise}: its task {task.state}{where}: {task.error or 'Swarm says no more'}"
    return ServiceState(
        service=name, standing="failed", words=words, reason=reason, culprit=task.id if task else ""
    )


def why_pending(scene: SwarmScene, service: str) -> str:
    """Why a service's newest task has no node, in Swarm's words; empty when it has one."""
    for one in scene.services:
        if one.name == service:
            for task in scene.tasks_of(one):
                if task.state == "pending" and task.desired in ("running", "ready"):
                    return task.error
    return ""
