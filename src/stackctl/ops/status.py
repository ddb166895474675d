"""How an environment stands: services, usage against limits and thresholds, addresses, lifetime left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stackctl.core.convergence import standings
from stackctl.core.errors import StackctlError, StateError
from stackctl.ops.lifetimes import time_left
from stackctl.ops.looking import look
from stackctl.ops.reaching import Address, addresses, masks

if TYPE_CHECKING:
    from stackctl.core.facts import Container, PublishedPort, Reading
    from stackctl.core.records import EnvironmentRecord, ServiceRecord
    from stackctl.ops.context import Context

CPU_WINDOW = 0.15
"""Seconds between the two samples that cpu use is measured from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a service uses now, summed over its containers; None means no sample.

    Args:
        pids: Processes and threads.
        memory: Working set in bytes.
        cpu: Processors' worth of time over the last fraction of a second.
    """

    pids: int | None = None
    memory: int | None = None
    cpu: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceView:
    """One service as `status` shows it."""

    name: str
    words: str
    standing: str
    asked: ServiceRecord
    usage: Usage
    containers: tuple[str, ...]
    addresses: tuple[Address, ...]
    ports: tuple[PublishedPort, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """One task on a Swarm.

    Args:
        node: Host name of its node, empty while it has none.
        words: How it stands; with the node's state where that is not ready.
        error: Why it does not run, empty when nothing is known.
        container: Full id, empty while there is none.
    """

    service: str
    node: str
    words: str
    error: str = ""
    container: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentView:
    """An environment as `status` shows it.

    Args:
        left: Seconds of its lifetime that are left; negative when it is over.
        healthy: True when it runs and every service stands as it should.
        peaks: Service -> the most that the supervisor saw it use: pids, memory in bytes.
        tasks: On a Swarm: what is to run, and where.
    """

    record: EnvironmentRecord
    services: tuple[ServiceView, ...]
    left: float
    healthy: bool
    strangers: tuple[str, ...] = ()
    peaks: Mapping[str, Any] = field(default_factory=dict)
    tasks: tuple[TaskView, ...] = ()


def status(context: Context, project: str) -> EnvironmentView:
    """Look at an environment once, at what it uses twice.

    Raises:
        EngineUnavailable, TimedOut: The engine cannot be asked.
    """
    scene = look(context, project)
    record = scene.record
    if record is None:
        raise StateError(f"nothing is remembered of `{project}`", hint="`stackctl list` shows every one")
    used = (_usage if scene.facts.local else _told_usage)(context, scene.containers)
    return view_of(context, record, scene.containers, used, scene.strangers)


def view_of(
    context: Context,
    record: EnvironmentRecord,
    containers: tuple[Container, ...],
    used: Mapping[str, Usage],
    strangers: tuple[str, ...] = (),
) -> EnvironmentView:
    """An environment as it was last seen.

    Args:
        used: Container id -> what it uses; empty when that was not asked.
    """
    where = addresses(record, containers, masks(record))
    states = standings(record.services, containers)
    services = tuple(
        ServiceView(
            name=state.service,
            words=state.words,
            standing=state.standing,
            asked=record.services[state.service],
            usage=_sum(used, [c for c in containers if c.service == state.service]),
            containers=tuple(c.id for c in containers if c.service == state.service),
            addresses=tuple(a for a in where if a.service == state.service),
            ports=tuple(p for c in containers if c.service == state.service for p in c.ports if p.host_port),
        )
        for state in states
    )
    return EnvironmentView(
        record=record,
        services=services,
        left=time_left(context.clock, record),
        healthy=record.phase == "running" and all(state.standing == "ready" for state in states),
        strangers=strangers,
        peaks=context.store.peaks(record.project),
    )


def _usage(context: Context, containers: tuple[Container, ...]) -> dict[str, Usage]:
    running = [container for container in containers if container.pid]
    first = context.engine.readings(running)
    context.clock.sleep(CPU_WINDOW)
    second = context.engine.readings(running)
    return {name: _between(first.get(name), reading) for name, reading in second.items()}


def _told_usage(context: Context, containers: tuple[Container, ...]) -> dict[str, Usage]:
    """What docker says of containers whose cgroups are out of reach; it takes two seconds for all of them."""
    running = [container for container in containers if container.state == "running"]
    if not running:
        return {}
    try:
        found = context.engine.sample(running)
    except StackctlError as error:
        context.progress.warn(f"what the services use is not known: {error}")
        return {}
    return {name: Usage(pids=reading.pids, memory=reading.memory) for name, reading in found.items()}


def _between(first: Reading | None, second: Reading) -> Usage:
    cpu = None
    if first is not None and first.cpu is not None and second.cpu is not None and second.at > first.at:
        cpu = max(0.0, second.cpu - first.cpu) / (second.at - first.at)
    return Usage(pids=second.pids, memory=second.memory, cpu=cpu)


def _sum(used: Mapping[str, Usage], containers: list[Container]) -> Usage:
    samples = [used[container.id] for container in containers if container.id in used]
    pids = [one.pids for one in samples if one.pids is not None]
    memory = [one.memory for one in samples if one.memory is not None]
    cpu = [one.cpu for one in samples if one.cpu is not None]
    return Usage(
        pids=sum(pids) if pids else None,
        memory=sum(memory) if memory else None,
        cpu=sum(cpu) if cpu else None,
    )
