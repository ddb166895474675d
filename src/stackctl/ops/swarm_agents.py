"""What the agents of a Swarm's nodes have said, as it is read from a manager."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING

from stackctl.core.agent_lines import read_incidents, read_proofs
from stackctl.core.errors import StackctlError
from stackctl.core.facts import AppliedLimits
from stackctl.core.incidents import to_plain
from stackctl.core.swarm_watch import AGENT, ROLE
from stackctl.ops.lifetimes import time_left
from stackctl.ops.recording import ended
from stackctl.ops.swarm_looking import manager

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stackctl.core.incidents import Incident
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.swarm_facts import SwarmScene, SwarmService
    from stackctl.ops.context import Context

TOLD_SECONDS = 60.0
"""For what the leader's agent wrote of an ending to come to the managers."""
PROOF_SECONDS = 20.0
"""For an agent to see a new container, write its swap limit, and say what is in force."""
FEW = 8
"""Agents that are asked at once for incidents; more are asked one by one, each for what fits an answer."""
_LOOK = 0.3


def agents(context: Context) -> tuple[SwarmService, ...]:
    """The services that run an agent on each node, or repeat what one says that systemd runs.

    Raises:
        EngineUnavailable, TimedOut, EngineRefused: The manager cannot be asked.
    """
    with closing(context.engine.lead()) as lead:
        return lead.services({ROLE: AGENT})


def gather_incidents(context: Context, record: EnvironmentRecord) -> tuple[Incident, ...]:
    """Write what agents have said of an environment into its folder here, each incident once, and return it.

    Raises:
        EngineUnavailable, TimedOut, EngineRefused: The manager cannot be asked.
        StateError: The file system refused.
    """
    manager(context)
    known = {
        str(raw.get("id")): raw for raw in context.store.incidents(record.project) if isinstance(raw, dict)
    }
    running = _running(context)
    sources = sorted(running.values()) if len(running) > FEW else [one.id for one in agents(context)]
    found = [one for one in read_incidents(_lines(context, sources)) if one.project == record.project]
    for one in found:
        if known.get(one.id, {}).get("result") != one.result:
            context.store.write_incident(record.project, one.id, to_plain(one))
    return tuple(found)


def _running(context: Context) -> dict[str, str]:
    """Id of each node with an agent that runs -> id of that agent's task."""
    tasks = context.engine.swarm().tasks({ROLE: AGENT})
    return {task.node: task.id for task in tasks if task.state == "running"}


def _lines(context: Context, sources: Iterable[str]) -> Iterator[str]:
    swarm = context.engine.swarm()
    for source in sources:
        yield from swarm.log_lines(source)


def proofs(context: Context, containers: Mapping[str, str]) -> dict[str, AppliedLimits]:
    """Container's id -> what the kernel of its node enforces, as far as agents say so in time.

    Args:
        containers: Id -> id of its node; only what has a running agent on its node is waited for.
    """
    found: dict[str, AppliedLimits] = {}
    with suppress(StackctlError):  # an agent that cannot be heard has said nothing
        there = _running(context)
        waited = {one for one, node in containers.items() if node in there}
        sources = sorted({there[containers[one]] for one in waited})
        end = context.clock.now().boottime + PROOF_SECONDS
        while waited:
            said = read_proofs(_lines(context, sources))
            found = {one: _applied(said[one]) for one in waited if one in said}
            if len(found) == len(waited) or context.clock.now().boottime >= end:
                break
            context.clock.sleep(_LOOK)
    return found


def _applied(said: Mapping[str, object]) -> AppliedLimits:
    def number(name: str) -> int | None:
        value = said.get(name)
        return value if isinstance(value, int) else None

    cpus = said.get("cpus")
    return AppliedLimits(
        pids=number("pids"),
        memory=number("memory"),
        swap=number("swap"),
        cpus=float(cpus) if isinstance(cpus, (int, float)) else None,
    )


def settle(context: Context, record: EnvironmentRecord, scene: SwarmScene) -> EnvironmentRecord:
    """Write down that an agent ended an environment, whose lifetime was over; else the record as it is."""
    if record.phase != "running" or scene.services or time_left(context.clock, record) > 0:
        return record
    try:
        with context.store.lock(record.project, command="settling", wait=0):
            fresh = context.store.read(record.project)
            if fresh is None or fresh != record:
                return fresh or record
            told = [one for one in gather_incidents(context, record) if one.generation == record.generation]
            last = next((one for one in reversed(told) if one.rule == "expired"), None)
            if last is None and time_left(context.clock, record) > -TOLD_SECONDS:
                return record
            reason = (
                last.reason if last else "its lifetime is over, and nothing of it is on the Swarm any more"
            )
            return ended(context, record, "expired", reason, last.id if last else "")
    except StackctlError:  # who asks next tries it again
        return record
