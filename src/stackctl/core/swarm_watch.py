"""What an agent on a node reads from a container's labels; it may end that one container."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from math import isfinite
from typing import TYPE_CHECKING, Any

from stackctl.core.labels import PREFIX, read_stamp
from stackctl.core.marks import refused_or_killed
from stackctl.core.records import SWARM, Deadline, EnvironmentRecord, ServiceRecord
from stackctl.core.verdicts import Rule, over_memory, over_pids
from stackctl.core.world import Trail, Watched

if TYPE_CHECKING:
    from stackctl.core.facts import AppliedLimits, Container

WATCH = f"{PREFIX}watch"
"""On a container: its limits and marks as JSON, so that its node needs no record to watch it."""
ROLE = f"{PREFIX}role"
AGENT = "agent"
_SERVICE = "com.docker.swarm.service.name"
_TOLD = ("pids", "memory", "swap", "cpus", "watchdog", "one_shot")
_NEVER = Deadline(wall=0.0, boottime=0.0, boot="")


def watch_label(asked: ServiceRecord) -> dict[str, str]:
    """The label that tells an agent what was asked for a service."""
    told = {name: value for name, value in asdict(asked).items() if name in _TOLD}
    return {WATCH: json.dumps(told, sort_keys=True, separators=(",", ":"))}


def read_watch(labels: Mapping[str, str]) -> ServiceRecord | None:
    """What was asked for a container's service; None where nothing that can be understood stands there."""
    try:
        raw = json.loads(labels.get(WATCH, ""))
        known = {one.name: raw[one.name] for one in fields(ServiceRecord) if one.name in raw}
        found = ServiceRecord(**known)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    sound = all(map(_is_number, (found.pids, found.memory, found.swap, found.cpus)))
    return found if sound and _marks_are_sound(found.watchdog) else None


def _marks_are_sound(watchdog: Any) -> bool:
    if not isinstance(watchdog, dict):
        return False
    return all(
        isinstance(value, str) if name == "on_violation" else _is_number(value)
        for name, value in watchdog.items()
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


def named(container: Container) -> Container:
    """A container of a Swarm with the project and the service that its labels name."""
    project = container.labels.get(f"{PREFIX}project", "")
    service = container.labels.get(_SERVICE, "").removeprefix(f"{project}_")
    return replace(container, project=project, service=service)


def watched(container: Container, trail: Trail | None, *, engine: str, busy: bool = False) -> Watched | None:
    """One container as the verdicts see it; None where its labels are not ours or cannot be understood.

    A stack's budget is left out: its services run on several nodes, and one node knows of its own alone.
    """
    stamp, asked = read_stamp(container.labels), read_watch(container.labels)
    if stamp is None or asked is None:
        return None
    on_violation = "report" if asked.watchdog.get("on_violation") == "report" else "service"
    asked = replace(asked, watchdog={**asked.watchdog, "on_violation": on_violation})
    record = EnvironmentRecord(
        project=stamp.project,
        stack=stamp.stack,
        instance=stamp.instance,
        generation=stamp.generation,
        phase="running",
        root="",
        stack_file="",
        engine=engine,
        engine_host="",
        home=stamp.home,
        user=stamp.user,
        created=container.created,
        lifetime=0.0,
        deadline=_NEVER,
        services={container.service: asked},
        orchestrator=SWARM,
    )
    trails = {container.id: trail} if trail is not None else {}
    return Watched(record=record, containers=(container,), trails=trails, busy=busy)


def loose_swap(container: Container, kernel: AppliedLimits | None = None) -> int:
    """The swap limit to be written into a running container, since Swarm sets none; 0 where it is there.

    Args:
        kernel: What the kernel enforces, where it was read: what docker says may have been taken back since.
    """
    asked = read_watch(container.labels)
    if asked is None or container.state != "running" or asked.swap <= 0:
        return 0
    lost = kernel is not None and kernel.swap is not None and kernel.swap != asked.swap
    return asked.swap if container.limits.swap != asked.swap or lost else 0


NODE_RULES: tuple[Rule, ...] = (over_pids, over_memory, refused_or_killed)
"""In the order of precedence; each is about one container, so that an agent acts upon no other."""
