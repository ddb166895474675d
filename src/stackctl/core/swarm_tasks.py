"""A task as one service of a Swarm: what is told of it, and what of a task Swarm cannot do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from stackctl.core.creation import filled
from stackctl.core.errors import Problem
from stackctl.core.records import TASK_SERVICE
from stackctl.core.swarm import stamp_values
from stackctl.core.swarm_facts import NAMESPACE
from stackctl.core.swarm_watch import watch_label
from stackctl.core.units import parse_duration

if TYPE_CHECKING:
    from stackctl.core.labels import Stamp
    from stackctl.core.records import ServiceRecord
    from stackctl.core.tasks import TaskSpec

Api = tuple[int, int]
LIMITS_SINCE: Api = (1, 41)
"""The engine's API from which on a service has a limit on processes (Docker 20.10)."""
JOBS_SINCE: Api = (1, 43)
"""From which on a removed job takes its containers along (Docker 24); jobs are there since 1.41."""
LATE = 60.0
"""Seconds for who stays with a task to end it, before agents do."""
_NANO = 1_000_000_000
ROOT = frozenset({"", "0", "root", "0:0", "root:root"})
_NEEDLESS = (
    *("CAP_AUDIT_WRITE", "CAP_MKNOD", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW"),
    *("CAP_SETFCAP", "CAP_SETPCAP", "CAP_SYS_CHROOT"),
)
"""Dropped of a task that runs as root; the rest is what its package manager needs."""


def service_order(
    service: Mapping[str, Any],
    asked: ServiceRecord,
    stamp: Stamp,
    name: str,
    api: Api,
    until: Mapping[str, str],
) -> dict[str, Any]:
    """The body of `POST /services/create` for a task.

    It reserves what it may use, so that no node has more than it holds, and is never started twice.

    Args:
        service: The task's own service of its bounded document.
        asked: Its limits.
        stamp: The labels of the service and of its container.
        name: Of the service.
        api: What the manager speaks.
        until: Labels by which agents end it when nobody else has, see `last_moment`.

    Raises:
        ValueError: The service has a key that this cannot express; nothing is left out in silence.
    """
    values = stamp_values(stamp)
    container: dict[str, Any] = {"Labels": {**stamp.labels(), **watch_label(asked)}}
    template = {
        "ContainerSpec": container,
        "Resources": _resources(asked),
        "RestartPolicy": {"Condition": "none", "MaxAttempts": 0},
    }
    for key in sorted(service):
        lay = _LAY.get(key)
        if lay is None:
            raise ValueError(f"a service cannot be ordered with the key `{key}`")
        lay(template, filled(service[key], values))
    container["CapabilityDrop"] = _dropped(str(service.get("user") or ""))
    return {
        "Name": name,
        "Labels": {**stamp.labels(), **until, NAMESPACE: stamp.project},
        "TaskTemplate": template,
        "Mode": _mode(api),
    }


def last_moment(now: float, lifetime: float) -> float:
    """When agents end a task that nobody of ours ended, seconds since the epoch.

    It may wait for a node as long as it may run, and whoever stays with it comes first.
    """
    return now + 2 * lifetime + LATE


def _mode(api: Api) -> dict[str, Any]:
    if api >= JOBS_SINCE:
        return {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}
    return {"Replicated": {"Replicas": 1}}


def ended_mode(mode: Mapping[str, Any]) -> dict[str, Any]:
    """The mode of a service whose containers are to end, of what its mode was."""
    if "ReplicatedJob" in mode:
        return {"ReplicatedJob": {"MaxConcurrent": 0, "TotalCompletions": 0}}
    return {"Replicated": {"Replicas": 0}}


def _resources(asked: ServiceRecord) -> dict[str, Any]:
    reserved = {"NanoCPUs": round(asked.cpus * _NANO), "MemoryBytes": asked.memory}
    return {"Limits": {**reserved, "Pids": asked.pids}, "Reservations": reserved}


def _dropped(user: str) -> list[str]:
    return list(_NEEDLESS) if user in ROOT else ["ALL"]


Lay = Callable[[dict[str, Any], Any], None]


def _own(key: str, read: Callable[[Any], Any] = lambda value: value) -> Lay:
    def lay(template: dict[str, Any], value: Any) -> None:
        template["ContainerSpec"][key] = read(value)

    return lay


def _labels(template: dict[str, Any], value: Mapping[str, Any]) -> None:
    own = {str(name): str(text) for name, text in value.items()}
    template["ContainerSpec"]["Labels"] = {**own, **template["ContainerSpec"]["Labels"]}


def _logging(template: dict[str, Any], value: Mapping[str, Any]) -> None:
    options = {name: str(text) for name, text in (value.get("options") or {}).items()}
    template["LogDriver"] = {"Name": value.get("driver", ""), "Options": options}


def _nothing(template: dict[str, Any], value: Any) -> None:
    """What is said elsewhere: limits, the dropped capabilities, that nothing is restarted."""


_LAY: Mapping[str, Lay] = {
    "image": _own("Image"),
    "command": _own("Args", list),
    "environment": _own("Env", lambda value: [f"{name}={text}" for name, text in sorted(value.items())]),
    "working_dir": _own("Dir"),
    "user": _own("User", str),
    "init": _own("Init", bool),
    "stop_grace_period": _own("StopGracePeriod", lambda value: round(parse_duration(str(value)) * _NANO)),
    "labels": _labels,
    "logging": _logging,
    "network_mode": _nothing,
    "restart": _nothing,
    "security_opt": _nothing,
    "pids_limit": _nothing,
    "mem_limit": _nothing,
    "memswap_limit": _nothing,
    "cpus": _nothing,
}


def refused(spec: TaskSpec) -> Iterator[Problem]:
    """What a task asks for that Swarm does not do, every problem of it."""
    here = "run the batch on one engine, without `--engine swarm`"
    for mount in spec.mounts:
        yield Problem(
            path="mounts",
            message=f"`{mount.words}` is a path of this machine, and Swarm starts tasks on any node",
            hint=f"put the files into the image, or {here}",
        )
    if spec.sidecars:
        names = ", ".join(f"`{name}`" for name in sorted(spec.sidecars))
        yield Problem(
            path="sidecars",
            message=f"a task on Swarm has no sidecars, and it asks for {names}",
            hint=f"bring them up as a stack with `stackctl up --engine swarm`, or {here}",
        )
    if spec.network:
        yield Problem(
            path="network",
            message=f"a task on Swarm is on its node's own network, never on `{spec.network}`",
            hint=f"leave it out, or {here}",
        )
    if spec.guard is not None:
        yield Problem(
            path="guard",
            message="nobody sweeps the processes of a task on Swarm",
            hint=f"leave it out, or {here}",
        )


def old_managers(api: Api) -> str:
    """Why tasks cannot run on a Swarm whose managers are too old; empty where they can."""
    if api >= LIMITS_SINCE:
        return ""
    spoken, wanted = (".".join(map(str, one)) for one in (api, LIMITS_SINCE))
    return f"the manager speaks API {spoken}, and a limit on a service's processes needs {wanted}"


def service_name(project: str) -> str:
    """What the service of a task is called."""
    return f"{project}_{TASK_SERVICE}"
