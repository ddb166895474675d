"""What `up` would change in what runs: the difference between two bounded documents, service by service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from stackctl.core.facts import ENDED, Container

if TYPE_CHECKING:
    from stackctl.core.records import ServiceRecord

Kind = Literal["create", "recreate", "start", "remove", "keep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceChange:
    """What `up` would do to one service; `keys` are the parts of its definition that differ."""

    service: str
    kind: Kind
    keys: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.service}" + (f" ({', '.join(self.keys)})" if self.keys else "")


def changes(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    containers: tuple[Container, ...],
    services: Mapping[str, ServiceRecord],
) -> tuple[ServiceChange, ...]:
    """Compare the document that was brought up with the new one, and both with what exists.

    Args:
        before: The bounded document of the last `up`; empty when there was none.
        after: The bounded document now.
        containers: What exists of the environment.
        services: What is asked for now, to know which services may have ended.
    """
    old, new = before.get("services", {}), after.get("services", {})
    halted = _halted(containers, services)
    found = []
    for name in sorted({*old, *new, *(c.service for c in containers)}):
        mine = [container for container in containers if container.service == name]
        found.append(_change(name, old.get(name), new.get(name), mine, services.get(name), halted))
    return tuple(found)


def _halted(containers: tuple[Container, ...], services: Mapping[str, ServiceRecord]) -> bool:
    """Whether nothing runs but jobs that others wait for: a daemon that is stopped ends all with code 0."""
    jobs = {name for name, service in services.items() if service.one_shot}
    return all(container.state in ENDED or container.service in jobs for container in containers)


def _change(
    name: str, old: Any, new: Any, containers: list[Container], asked: ServiceRecord | None, halted: bool
) -> ServiceChange:
    if new is None:
        return ServiceChange(service=name, kind="remove")
    if not containers:
        return ServiceChange(service=name, kind="create")
    if old != new:
        keys = sorted(key for key in {*(old or {}), *new} if (old or {}).get(key) != new.get(key))
        return ServiceChange(service=name, kind="recreate", keys=tuple(keys))
    finished = asked is not None and asked.restart in ("no", "on-failure") and (asked.one_shot or not halted)
    for container in containers:
        ended_well = container.state in ENDED and container.exit_code == 0 and finished
        if container.state != "running" and not ended_well:
            return ServiceChange(service=name, kind="start")
    wanted = asked.replicas if asked else 1
    return ServiceChange(service=name, kind="keep" if len(containers) == wanted else "create")


def as_done(
    planned: tuple[ServiceChange, ...], before: tuple[Container, ...], after: tuple[Container, ...]
) -> tuple[ServiceChange, ...]:
    """The plan as it was carried out: an image built or pulled anew recreates what was to be kept."""
    old = {container.id for container in before}
    new = {container.service for container in after if container.id not in old}
    return tuple(
        ServiceChange(service=change.service, kind="recreate", keys=("image",))
        if change.kind == "keep" and change.service in new
        else change
        for change in planned
    )


def removal_order(containers: tuple[Container, ...]) -> tuple[tuple[Container, ...], ...]:
    """Batches in which to stop containers: what depends on others before what it depends on.

    Compose writes the dependencies into the label `com.docker.compose.depends_on`
    ("db:service_healthy:false,cache:service_started:false"); a cycle or an unknown name ends the order
    there, and the rest goes in one batch.
    """
    left = list(containers)
    batches: list[tuple[Container, ...]] = []
    while left:
        needed = {name for container in left for name in _depends_on(container) if name != container.service}
        batch = tuple(container for container in left if container.service not in needed) or tuple(left)
        batches.append(batch)
        left = [container for container in left if container not in batch]
    return tuple(batches)


def _depends_on(container: Container) -> set[str]:
    text = container.labels.get("com.docker.compose.depends_on", "")
    return {part.split(":")[0] for part in text.split(",") if part}
