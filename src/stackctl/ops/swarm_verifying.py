"""Reading back after `up` on a Swarm: each limit, in the service and in the containers that are reached."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.enforcement import unenforced
from stackctl.core.errors import LimitsUnenforced, Problem
from stackctl.ops.swarm_agents import proofs

if TYPE_CHECKING:
    from stackctl.core.facts import AppliedLimits
    from stackctl.core.records import EnvironmentRecord, ServiceRecord
    from stackctl.core.swarm_facts import Node, SwarmScene, SwarmTask
    from stackctl.ops.context import Context


def verify_on_swarm(
    context: Context, record: EnvironmentRecord, scene: SwarmScene, *, allow_unenforced: bool = False
) -> str:
    """Compare what Swarm was told, and what the engines of reachable nodes made, with what was asked.

    Swap is left out: Swarm knows no such limit, and `up` says so.

    Returns:
        A sentence that says of which nodes the containers were read.

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
    read: list[str] = []
    away: dict[str, list[SwarmTask]] = {}
    for node in scene.nodes:
        tasks = [task for task in scene.tasks if _runs_on(task, node) and task.service in names]
        found = _on_node(context, record, node, tasks, names) if tasks else []
        problems += found or []
        if tasks and found is None:
            away[node.hostname] = tasks
        elif tasks:
            read.append(node.hostname)
    by_agents, differing = _by_agents(context, record, away, names)
    problems += differing
    if problems and not allow_unenforced:
        raise LimitsUnenforced(
            "the Swarm does not enforce every limit that was asked for",
            hint="`--allow-unenforced` starts it all the same",
            problems=tuple(problems),
        )
    if problems:
        return "unverified: " + "; ".join(problem.message for problem in problems)
    return _words(read, by_agents, [node for node in away if node not in by_agents])


def _by_agents(
    context: Context, record: EnvironmentRecord, away: dict[str, list[SwarmTask]], names: dict[str, str]
) -> tuple[list[str], list[Problem]]:
    """The nodes whose agents told of every container there, and what differs by their word."""
    told = proofs(context, [task.container for tasks in away.values() for task in tasks])
    problems = [
        problem
        for node, tasks in away.items()
        for task in tasks
        if task.container in told
        for name in (names[task.service],)
        for problem in _compared(record.services[name], told[task.container], name, node)
    ]
    return [node for node, tasks in away.items() if all(one.container in told for one in tasks)], problems


def _words(read: list[str], by_agents: list[str], unread: list[str]) -> str:
    found = "in force as Swarm has them"
    if read:
        found += f", read back in the containers on {', '.join(read)}"
    if by_agents:
        found += f", by the kernel's word to the agents on {', '.join(by_agents)}"
    if unread:
        found += f", not read on {', '.join(unread)} (no agent, and no docker context of that name)"
    return found


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
