"""Reading back after `up` on a Swarm: each limit, in the service and in the containers that are reached."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stackctl.core.enforcement import unenforced
from stackctl.core.errors import LimitsUnenforced, Problem
from stackctl.ops.swarm_agents import proofs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stackctl.core.facts import AppliedLimits
    from stackctl.core.records import EnvironmentRecord, ServiceRecord
    from stackctl.core.swarm_facts import Node, SwarmScene, SwarmTask
    from stackctl.ops.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was read back.

    Args:
        words: A sentence that says of which nodes the containers were read.
        swap_free: Host names of nodes on which the swap of a container is not known to be limited.
    """

    words: str
    swap_free: tuple[str, ...] = ()


def verify_on_swarm(
    context: Context, record: EnvironmentRecord, scene: SwarmScene, *, allow_unenforced: bool = False
) -> Verified:
    """Compare what Swarm was told, and what each node made of it, with what was asked.

    Of a node's containers its engine is asked where it is reached, and its agent. Swarm itself knows no limit
    of swap, so that none is no error.

    Raises:
        LimitsUnenforced: A limit is not in force, and it was not allowed to be so.
    """
    names = {service.id: service.name for service in scene.services if service.name in record.services}
    problems = [
        problem
        for service in scene.services
        if service.id in names
        for problem in _compared(record.services[service.name], service.limits, service.name, "Swarm")
    ]
    tasks = {node.hostname: _tasks_on(scene, node, names) for node in scene.nodes}
    tasks = {node: there for node, there in tasks.items() if there}
    told = proofs(context, {task.container: task.node for there in tasks.values() for task in there})
    read = []
    for node in scene.nodes:
        there = tasks.get(node.hostname, [])
        found = _on_node(context, record, node, there, names) if there else None
        if found is not None:
            problems += found
            read.append(node.hostname)
        for task in there:
            if found is None and task.container in told:
                name = names[task.service]
                problems += _compared(record.services[name], told[task.container], name, node.hostname)
    if problems and not allow_unenforced:
        raise LimitsUnenforced(
            "the Swarm does not enforce every limit that was asked for",
            hint="`--allow-unenforced` starts it all the same",
            problems=tuple(problems),
        )
    free = tuple(node for node, there in tasks.items() if not _swap_is_bounded(record, there, told, names))
    if problems:
        words = "unverified: " + "; ".join(problem.message for problem in problems)
        return Verified(words=words, swap_free=free)
    by_agents = [
        node for node in tasks if node not in read and all(one.container in told for one in tasks[node])
    ]
    return Verified(words=_words(list(tasks), read, by_agents), swap_free=free)


def _words(nodes: list[str], read: list[str], by_agents: list[str]) -> str:
    found = "in force as Swarm has them"
    if read:
        found += f", read back in the containers on {', '.join(read)}"
    if by_agents:
        found += f", by the kernel's word to the agents on {', '.join(by_agents)}"
    if unread := [node for node in nodes if node not in read and node not in by_agents]:
        found += f", not read on {', '.join(unread)} (no agent, and no docker context of that name)"
    return found


def _swap_is_bounded(
    record: EnvironmentRecord,
    tasks: list[SwarmTask],
    told: Mapping[str, AppliedLimits],
    names: Mapping[str, str],
) -> bool:
    """Whether a node's agent has read the swap limit that was asked for in each of its containers."""
    return all(
        task.container in told and told[task.container].swap == record.services[names[task.service]].swap
        for task in tasks
    )


def _tasks_on(scene: SwarmScene, node: Node, names: Mapping[str, str]) -> list[SwarmTask]:
    return [task for task in scene.tasks if _runs_on(task, node) and task.service in names]


def _runs_on(task: SwarmTask, node: Node) -> bool:
    return task.node == node.id and task.state == "running" and bool(task.container)


def _on_node(
    context: Context, record: EnvironmentRecord, node: Node, tasks: list[SwarmTask], names: dict[str, str]
) -> list[Problem] | None:
    """What differs on one node; None where its engine is out of reach."""
    engine = context.engine.swarm().engine_of(node)
    if engine is None:
        return None
    try:
        by_id = {container.id: container for container in engine.inspect([task.container for task in tasks])}
    finally:
        engine.close()
    found: list[Problem] = []
    for task in tasks:
        container = by_id.get(task.container)
        if container is not None:
            name = names[task.service]
            found += _compared(record.services[name], container.limits, name, node.hostname)
    return found


def _compared(asked: ServiceRecord, applied: AppliedLimits, service: str, where: str) -> list[Problem]:
    applied = replace(applied, swap=asked.swap)
    return [
        Problem(path=f"services.{service}", message=f"{where}: {sentence}")
        for sentence in unenforced(asked, applied)
    ]
