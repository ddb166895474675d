"""How an environment on a Swarm stands, by service and node; where it is reached, and on whose engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.errors import ServiceFailed, StateError
from stackctl.core.swarm_standing import swarm_standings
from stackctl.core.urls import inside, outside
from stackctl.ops.lifetimes import time_left
from stackctl.ops.reaching import WEB, Address, masks
from stackctl.ops.recording import deadline
from stackctl.ops.restart import check_ceiling
from stackctl.ops.status import EnvironmentView, ServiceView, TaskView, Usage
from stackctl.ops.swarm_agents import settle
from stackctl.ops.swarm_deadlines import tell_deadline
from stackctl.ops.swarm_looking import look_at_swarm

if TYPE_CHECKING:
    from stackctl.core.facts import PublishedPort
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.stack import MachinePolicy
    from stackctl.core.swarm_facts import Node, SwarmScene, SwarmService, SwarmTask
    from stackctl.ops.context import Context
    from stackctl.ops.protocols import Engine


def status_on_swarm(context: Context, project: str) -> EnvironmentView:
    """Look at an environment on a Swarm once.

    Raises:
        EngineUnavailable, TimedOut, EngineRefused: The manager cannot be asked.
    """
    record = context.store.read(project)
    if record is None:
        raise StateError(f"nothing is remembered of `{project}`", hint="`stackctl list` shows every one")
    scene = look_at_swarm(context, project, record)
    return swarm_view(context, settle(context, record, scene), scene)


def swarm_view(context: Context, record: EnvironmentRecord, scene: SwarmScene) -> EnvironmentView:
    """An environment on a Swarm as it was last seen; what it uses is not known from a manager."""
    where = swarm_addresses(record, scene, masks(record))
    by_name = {service.name: service for service in scene.services}
    states = swarm_standings(record.services, scene)
    services = tuple(
        ServiceView(
            name=state.service,
            words=state.words,
            standing=state.standing,
            asked=record.services[state.service],
            usage=Usage(),
            containers=tuple(
                task.container
                for task in scene.tasks
                if state.service in by_name
                and task.service == by_name[state.service].id
                and task.state == "running"
                and task.desired == "running"
            ),
            addresses=tuple(one for one in where if one.service == state.service),
            ports=by_name[state.service].ports if state.service in by_name else (),
        )
        for state in states
    )
    return EnvironmentView(
        record=record,
        services=services,
        left=time_left(context.clock, record),
        healthy=record.phase == "running" and all(state.standing == "ready" for state in states),
        strangers=scene.strangers,
        tasks=task_views(record, scene),
    )


def swarm_addresses(
    record: EnvironmentRecord, scene: SwarmScene, secrets: Mapping[str, str]
) -> tuple[Address, ...]:
    """Where services are reached: what is published on any node that is ready, the rest by its own network.

    Args:
        secrets: Name -> value to stand in the URLs; give masks where they must not be shown.
    """
    found = [
        _address(record, service, port.container_port, port.host_port, node, secrets)
        for service in scene.services
        for port, node in _published(scene, service)
        if port.host_port and port.protocol == "tcp" and service.name in record.services
    ]
    published = {address.service for address in found}
    for name, sidecar in record.sidecars.items():
        service = next((one for one in scene.services if one.name == name), None)
        if service is not None and name not in published:
            found.append(_address(record, service, sidecar.port, 0, "", secrets))
    return tuple(sorted(found, key=lambda one: (one.sidecar, one.service, one.port)))


def _published(scene: SwarmScene, service: SwarmService) -> list[tuple[PublishedPort, str]]:
    """Each port of a service and a node's address where it is open: any, or those of its tasks."""
    ready = {one.id: one.address for one in scene.nodes if one.state == "ready" and one.address}
    anywhere = next(iter(ready.values()), "")
    found = [(port, anywhere) for port in service.ports]
    for task in scene.tasks_of(service):
        if task.state == "running" and task.desired == "running" and task.node in ready:
            found += [(port, ready[task.node]) for port in service.node_ports]
    return list(dict.fromkeys(found))


def _address(
    record: EnvironmentRecord,
    service: SwarmService,
    port: int,
    host_port: int,
    node: str,
    secrets: Mapping[str, str],
) -> Address:
    name = service.name
    pattern = record.sidecars[name].url if name in record.sidecars else WEB
    return Address(
        service=name,
        port=port,
        host_port=host_port,
        host_ip=node if host_port else "",
        host=outside(pattern, node, host_port, secrets) if host_port and node else "",
        container=inside(name, port, pattern, secrets),
        sidecar=name in record.sidecars,
    )


def task_views(record: EnvironmentRecord, scene: SwarmScene) -> tuple[TaskView, ...]:
    """Every task that is to run, and the last of each service that none of runs; by service, then node."""
    found: list[TaskView] = []
    for service in scene.services:
        if service.name not in record.services:
            continue
        tasks = scene.tasks_of(service)
        wanted = [task for task in tasks if task.desired in ("running", "ready")] or list(tasks[:1])
        found += [_task_view(service.name, task, scene, record) for task in wanted]
    return tuple(sorted(found, key=lambda one: (one.service, one.node, one.container)))


def _task_view(name: str, task: SwarmTask, scene: SwarmScene, record: EnvironmentRecord) -> TaskView:
    node = scene.node(task.node)
    words = task.state if node is None or node.state == "ready" else f"{task.state}, node {node.state}"
    error = task.error
    holder = scene.node(record.held.get(name, ("",))[0])
    if not task.node and holder is not None and not holder.takes_work:
        error = f"its data is on {holder.hostname}, which is {holder.words}"
    host = node.hostname if node else ""
    return TaskView(service=name, node=host, words=words, error=error, container=task.container)


def running_task(context: Context, record: EnvironmentRecord, service: str) -> tuple[SwarmTask, Node]:
    """The first running task of a service, and its node.

    Raises:
        ServiceFailed: None runs.
    """
    scene = look_at_swarm(context, record.project, record)
    for one in scene.services:
        for task in scene.tasks_of(one) if one.name == service else ():
            node = scene.node(task.node)
            if task.state == "running" and task.desired == "running" and node and node.state == "ready":
                return task, node
    raise ServiceFailed(
        f"`{service}` of `{record.project}` is not running", hint="`stackctl status` shows why"
    )


def engine_of(context: Context, task: SwarmTask, node: Node, service: str) -> Engine:
    """The engine that has a task's container.

    Raises:
        ServiceFailed: It is out of reach from here; the hint says how it is reached.
    """
    engine = context.engine.swarm().engine_of(node)
    if engine is None:
        raise ServiceFailed(
            f"`{service}` runs on node {node.hostname} ({node.address}), and its engine is out of reach",
            hint=f"`docker context create {node.hostname} --docker host=ssh://{node.hostname}` lets it be; "
            f"on the node itself: `docker exec -it {task.container[:12]} COMMAND`",
        )
    return engine


def extend_on_swarm(
    context: Context, machine: MachinePolicy, record: EnvironmentRecord, seconds: float, *, command: str
) -> EnvironmentRecord:
    """Let an environment on a Swarm live for so many seconds from now.

    Raises:
        PolicyError: The machine's ceiling is lower.
        ServiceFailed: It is not up.
    """
    check_ceiling(machine, seconds)
    with context.store.lock(record.project, command=command):
        record = context.store.read(record.project) or record
        if record.phase != "running":
            raise ServiceFailed(f"`{record.project}` is {record.phase}", hint=f"`stackctl up {record.stack}`")
        scene = look_at_swarm(context, record.project, record)
        record = replace(record, lifetime=seconds, deadline=deadline(context, seconds))
        tell_deadline(context, record, scene)  # first: it is the managers' word that ends it
        context.store.write(record)
    return record
