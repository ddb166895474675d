"""What Swarm's API says, as the core's facts; a field that is missing or odd becomes the fact's default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stackctl.core.errors import EngineRefused, EngineUnavailable, StackctlError
from stackctl.core.facts import AppliedLimits, PublishedPort
from stackctl.core.swarm_facts import Cluster, Node, SwarmService, SwarmTask, SwarmThing
from stackctl.engine.parse import parse_time

_FILLED_IN = "StopGracePeriod"
_NANO = 1_000_000_000
_HEAD = 8
"""Bytes before each part of a log: its stream, three that are nothing, its length."""
_COMPLAINT = 3
"""The stream of what a manager says of itself."""


def parse_cluster(raw: Mapping[str, Any]) -> Cluster:
    """The `Swarm` part of `docker info`."""
    if raw.get("LocalNodeState") != "active":
        return Cluster(id="")
    return Cluster(
        id=str(_part(raw, "Cluster").get("ID") or ""),
        node=str(raw.get("NodeID") or ""),
        manager=bool(raw.get("ControlAvailable")),
    )


def parse_node(raw: Mapping[str, Any]) -> Node:
    """One of `docker node inspect`."""
    spec, told, status = _part(raw, "Spec"), _part(raw, "Description"), _part(raw, "Status")
    resources = _part(told, "Resources")
    return Node(
        id=str(raw.get("ID", "")),
        hostname=str(told.get("Hostname", "")),
        role=str(spec.get("Role", "worker")),
        state=str(status.get("State", "unknown")),
        availability=str(spec.get("Availability", "active")),
        address=str(status.get("Addr", "")),
        leader=bool(_part(raw, "ManagerStatus").get("Leader")),
        labels=dict(_part(spec, "Labels")),
        cpus=int(resources.get("NanoCPUs") or 0) / _NANO,
        memory=int(resources.get("MemoryBytes") or 0),
    )


def parse_service(raw: Mapping[str, Any], project: str) -> SwarmService:
    """One of `docker service inspect`, its name without the stack's."""
    spec, update = _part(raw, "Spec"), _part(raw, "UpdateStatus")
    template = _part(spec, "TaskTemplate")
    limits = _part(_part(template, "Resources"), "Limits")
    ports = _part(raw, "Endpoint").get("Ports") or ()
    return SwarmService(
        id=str(raw.get("ID", "")),
        name=str(spec.get("Name", "")).removeprefix(f"{project}_"),
        labels=dict(_part(spec, "Labels")),
        replicas=int(_part(_part(spec, "Mode"), "Replicated").get("Replicas") or 0),
        limits=AppliedLimits(
            pids=int(limits.get("Pids") or -1),
            memory=int(limits.get("MemoryBytes") or -1),
            cpus=int(limits.get("NanoCPUs") or -_NANO) / _NANO,
        ),
        update=str(update.get("State") or ""),
        updated=str(update.get("StartedAt") or ""),
        ports=tuple(_port(one) for one in ports if one.get("PublishMode") != "host"),
        node_ports=tuple(_port(one) for one in ports if one.get("PublishMode") == "host"),
        image=str(_part(template, "ContainerSpec").get("Image", "")).partition("@")[0],
    )


def _port(raw: Mapping[str, Any]) -> PublishedPort:
    return PublishedPort(
        container_port=int(raw.get("TargetPort") or 0),
        protocol=str(raw.get("Protocol", "tcp")),
        host_ip="0.0.0.0",  # noqa: S104 - what Swarm binds, on every node
        host_port=int(raw.get("PublishedPort") or 0),
    )


def parse_task(raw: Mapping[str, Any], templates: Mapping[str, Any]) -> SwarmTask:
    """One task.

    Args:
        templates: Service's id -> what it says now that tasks are made from.
    """
    status, service = _part(raw, "Status"), str(raw.get("ServiceID", ""))
    container = _part(status, "ContainerStatus")
    code = container.get("ExitCode")
    state = str(status.get("State", "new"))
    return SwarmTask(
        id=str(raw.get("ID", "")),
        service=service,
        slot=int(raw.get("Slot") or 0),
        node=str(raw.get("NodeID") or ""),
        state=state,
        desired=str(raw.get("DesiredState", "")),
        error=str(status.get("Err") or (status.get("Message") if state == "rejected" else "") or ""),
        exit_code=code if isinstance(code, int) else None,
        container=str(container.get("ContainerID") or ""),
        created=str(raw.get("CreatedAt", "")),
        current=_same(raw.get("Spec"), templates.get(service)),
        stamp=dict(_part(_part(_part(raw, "Spec"), "ContainerSpec"), "Labels")),
        at=parse_time(status.get("Timestamp")),
        memory=_claimed(raw, "MemoryBytes"),
        nano_cpus=_claimed(raw, "NanoCPUs"),
    )


def _claimed(raw: Mapping[str, Any], key: str) -> int:
    """What a task reserves of something, or may use where that is more."""
    resources = _part(_part(raw, "Spec"), "Resources")
    return max(int(_part(resources, name).get(key) or 0) for name in ("Reservations", "Limits"))


def service_log(data: bytes) -> tuple[bytes, bool]:
    """What a service wrote, of its log's frames, and whether that is all: managers say what they lack."""
    parts, whole, at = [], True, 0
    while at + _HEAD <= len(data):
        size = int.from_bytes(data[at + 4 : at + _HEAD], "big")
        if data[at] == _COMPLAINT:
            whole = False
        else:
            parts.append(data[at + _HEAD : at + _HEAD + size])
        at += _HEAD + size
    return b"".join(parts), whole


_NO_LEADER = ("does not have a leader", "code = deadlineexceeded")
"""What a manager says that knows of no leader, and what says one whose leader has just been lost."""


def no_leader() -> EngineUnavailable:
    """The error while managers elect one, or are too few for it."""
    return EngineUnavailable(
        "the managers of the Swarm have no leader at this moment",
        hint="they elect one within half a minute; if not, too few are there: look at `docker node ls`",
    )


def no_manager(words: str) -> StackctlError | None:
    """The error where no manager is there to decide; None where the engine said something else."""
    said = words.lower()
    if any(one in said for one in _NO_LEADER):
        return no_leader()
    if "not a swarm manager" not in said:
        return None
    return EngineRefused(
        "the engine is no manager of a Swarm",
        hint="choose a manager's by DOCKER_HOST or a docker context; `docker swarm init` makes one",
    )


def templates_of(services: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Service's id -> what tasks are made from, of `docker service inspect`."""
    return {str(one.get("ID", "")): _part(one, "Spec").get("TaskTemplate") for one in services}


def _same(spec: Any, template: Any) -> bool:
    """Whether a task was made from a template; what docker fills in for people stands in the latter alone."""
    if not template:
        return False
    made, told = _said(_part(spec, "ContainerSpec")), _said(_part(template, "ContainerSpec"))
    told = {key: value for key, value in told.items() if key in made or key != _FILLED_IN}
    keys = ("Resources", "Placement", "LogDriver", "ForceUpdate")
    return bool(made == told and all(_said(spec.get(key)) == _said(template.get(key)) for key in keys))


def _said(node: Any) -> Any:
    """What is said in earnest: a newer docker command writes out what an older daemon leaves away."""
    if isinstance(node, Mapping):
        return {key: kept for key, value in node.items() if (kept := _said(value))}
    return [_said(one) for one in node] if isinstance(node, list) else node


def parse_thing(kind: str, raw: Mapping[str, Any]) -> SwarmThing:
    """A network, config or secret."""
    spec = _part(raw, "Spec") or raw
    return SwarmThing(
        kind=kind,
        id=str(raw.get("ID") or raw.get("Id") or ""),
        name=str(spec.get("Name", "")),
        labels=dict(_part(spec, "Labels")),
    )


def _part(raw: Any, key: str) -> Any:
    found = raw.get(key) if isinstance(raw, Mapping) else None
    return {} if found is None else found
