"""Reading back after `up` on a Swarm: each limit, in the service and in the containers that are reached."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stackctl.core.enforcement import unenforced
from stackctl.core.errors import LimitsUnenforced, Problem
from stackctl.ops.swarm_agents import proofs

if TYPE_CHECKING:
    from stackctl.core.facts import AppliedLimits
    from stackctl.core.records import EnvironmentRecord, ServiceRecord
    from stackctl.core.swarm_facts import Node, SwarmScene
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
    read = _read_nodes(context, record, scene, names)
    problems += read.problems
    if problems and not allow_unenforced:
        raise LimitsUnenforced(
            "the Swarm does not enforce every limit that was asked for",
            hint="`--allow-unenforced` starts it all the same",
            problems=tuple(problems),
        )
    words = "unverified: " + "; ".join(problem.message for problem in problems) if problems else _words(read)
    return Verified(words=words, swap_free=tuple(read.swap_free))


@dataclass(slots=True, kw_only=True)
class _Reading:
    """What the nodes say, each by its host name.

    Args:
        by_engine, by_agent: Those whose engine was asked; those whose agent told of every container.
        unread: The others that run something.
        swap_free: As in `Verified`.
    """

    problems: list[Problem] = field(default_factory=list)
    by_engine: list[str] = field(default_factory=list)
    by_agent: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    swap_free: list[str] = field(default_factory=list)


def _read_nodes(
    context: Context, record: EnvironmentRecord, scene: SwarmScene, names: dict[str, str]
) -> _Reading:
    """Ask the engine of each node that runs something, or else take its agent's word."""
    running = [task for task in scene.tasks if task.state == "running" and task.container]
    running = [task for task in running if task.service in names]
    told = proofs(context, {task.container: task.node for task in running})
    reading = _Reading()
    for node in scene.nodes:
        tasks = [task for task in running if task.node == node.id]
        if not tasks:
            continue
        host, asked = node.hostname, {task.container: record.services[names[task.service]] for task in tasks}
        if any(one not in told or told[one].swap != wanted.swap for one, wanted in asked.items()):
            reading.swap_free.append(host)
        found = _on_node(context, node, list(asked))
        whole = found is not None or all(one in told for one in asked)
        where = reading.by_engine if found is not None else reading.by_agent if whole else reading.unread
        where.append(host)
        limits = told if found is None else found
        for task in tasks:
            if task.container in limits:
                name = names[task.service]
                reading.problems += _compared(asked[task.container], limits[task.container], name, host)
    return reading


def _words(read: _Reading) -> str:
    found = "in force as Swarm has them"
    if read.by_engine:
        found += f", read back in the containers on {', '.join(read.by_engine)}"
    if read.by_agent:
        found += f", by the kernel's word to the agents on {', '.join(read.by_agent)}"
    if read.unread:
        found += f", not read on {', '.join(read.unread)} (no agent, and no docker context of that name)"
    return found


def _on_node(context: Context, node: Node, containers: list[str]) -> dict[str, AppliedLimits] | None:
    """What a node's engine says of containers that are there, by id; None where it is out of reach."""
    engine = context.engine.swarm().engine_of(node)
    if engine is None:
        return None
    with closing(engine):
        return {container.id: container.limits for container in engine.inspect(containers)}


def _compared(asked: ServiceRecord, applied: AppliedLimits, service: str, where: str) -> list[Problem]:
    applied = replace(applied, swap=asked.swap)
    return [
        Problem(path=f"services.{service}", message=f"{where}: {sentence}")
        for sentence in unenforced(asked, applied)
    ]
