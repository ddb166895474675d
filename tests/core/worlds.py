"""Worlds for the supervisor's judgement, made of literals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stackctl.core.deployment import Instant
from stackctl.core.facts import Container, Reading
from stackctl.core.records import Deadline, EnvironmentRecord, Lease, ServiceRecord
from stackctl.core.world import Trail, Watched, World

NOW = Instant(wall=1_000_000.0, boottime=5_000.0, boot="boot-a")
MIB = 1 << 20
MARKS: dict[str, Any] = {
    "pids": 200,
    "memory": 80 * MIB,
    "sustain_pids": 2.0,
    "sustain_memory": 10.0,
    "urgent_pids": 245,
    "urgent_memory": 95 * MIB,
    "on_violation": "environment",
}


def service(**values: Any) -> ServiceRecord:
    marks = {**MARKS, **values.pop("marks", {})}
    return ServiceRecord(
        **{"pids": 256, "memory": 100 * MIB, "swap": 100 * MIB, "cpus": 1.0, "watchdog": marks, **values}
    )


def record(**values: Any) -> EnvironmentRecord:
    left = values.pop("left", 3600.0)
    boot = values.pop("boot", NOW.boot)
    deadline = Deadline(wall=NOW.wall + left, boottime=NOW.boottime + left, boot=boot)
    plain: dict[str, Any] = {
        "project": "app-aaaaaa",
        "stack": "app",
        "generation": "g1",
        "phase": "running",
        "root": "/r",
        "engine": "E",
        "home": "h",
        "user": 0,
        "created": NOW.wall - 100,
        "updated": NOW.wall - 50,
        "began": NOW.wall - 100,
        "lifetime": 3600.0,
        "deadline": deadline,
        "services": {"web": service()},
    }
    return EnvironmentRecord(**{**plain, **values})


def lease() -> Lease:
    return Lease(boot=NOW.boot, pid=77, started=1, command="stackctl up app")


def container(name: str = "web", /, **values: Any) -> Container:
    plain: dict[str, Any] = {
        "id": f"{name}-1",
        "name": f"app-aaaaaa-{name}-1",
        "image": "i",
        "project": "app-aaaaaa",
        "service": name,
        "state": "running",
        "created": NOW.wall - 90,
        "started": NOW.wall - 89,
    }
    return Container(**{**plain, **values})


def readings(*values: tuple[float, int | None, int | None], **counters: int) -> Trail:
    """A trail of (seconds ago, pids, memory); counters apply to the last one, and begin at 0."""
    start = dict.fromkeys(counters, 0)
    found = [Reading(at=1000.0 - ago, pids=pids, memory=memory, **start) for ago, pids, memory in values]
    if found:
        found[-1] = replace(found[-1], **counters)
    return Trail(tuple(found))


def quiet(seconds: float = 30.0, pids: int = 5, memory: int = MIB) -> Trail:
    """A minute of nothing to see."""
    return readings(*[(float(ago), pids, memory) for ago in range(int(seconds), -1, -1)])


def watched(**values: Any) -> Watched:
    containers = values.pop("containers", (container(),))
    trails = values.pop("trails", {one.id: quiet() for one in containers})
    owner = values.pop("owner", "none")
    by_hand, orphans = values.pop("by_hand", frozenset()), values.pop("orphans", {})
    busy, here, networks = values.pop("busy", False), values.pop("here", True), values.pop("networks", ())
    return Watched(
        record=record(**values),
        containers=containers,
        networks=networks,
        owner=owner,
        trails=trails,
        by_hand=by_hand,
        busy=busy,
        here=here,
        orphans=orphans,
    )


def world(*environments: Watched, **values: Any) -> World:
    return World(**{"now": NOW, "engine_time": NOW.wall, "environments": environments, **values})
