"""Whether the services of an environment stand as they should: the judgement behind waiting and `status`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stackctl.core.facts import ENDED, Container

if TYPE_CHECKING:
    from stackctl.core.records import ServiceRecord

SETTLED = 0.1
"""Seconds that a service without a health check must have run; longer would be felt in every `up`."""

Standing = Literal["ready", "waiting", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """How one service stands.

    Args:
        words: One or two words for people ("healthy", "exited 1", "starting 1/3").
        reason: For a failed one, the sentence that says why; empty otherwise.
        culprit: Id of the container that failed, empty otherwise.
    """

    service: str
    standing: Standing
    words: str
    reason: str = ""
    culprit: str = ""


def standings(
    services: Mapping[str, ServiceRecord], containers: Iterable[Container]
) -> tuple[ServiceState, ...]:
    """Judge every service of an environment by its containers, in the order of their names."""
    by_service: dict[str, list[Container]] = {name: [] for name in services}
    for container in containers:
        if container.service in by_service and not container.one_off:
            by_service[container.service].append(container)
    return tuple(_standing(name, services[name], by_service[name]) for name in sorted(services))


def _standing(name: str, asked: ServiceRecord, containers: list[Container]) -> ServiceState:
    states = [_container_standing(name, asked, container) for container in containers]
    for state in states:
        if state.standing == "failed":
            return state
    waiting = [state for state in states if state.standing == "waiting"]
    missing = asked.replicas - len(states)
    if missing <= 0 and not waiting:
        words = states[0].words if states else "no replicas"
        return ServiceState(service=name, standing="ready", words=words)
    words = waiting[0].words if waiting else "not made"
    if asked.replicas > 1:
        words = f"{words} {len(states) - len(waiting)}/{asked.replicas}"
    return ServiceState(service=name, standing="waiting", words=words)


def _container_standing(name: str, asked: ServiceRecord, container: Container) -> ServiceState:
    if container.state in ENDED:
        return _ended(name, asked, container)
    if container.state == "running":
        if container.health == "unhealthy":
            reason = f"`{name}` is unhealthy: its health check keeps failing"
            return _failed(name, "unhealthy", reason, container)
        if container.health == "starting":
            return ServiceState(service=name, standing="waiting", words="starting")
        return ServiceState(service=name, standing="ready", words=container.health or "running")
    return ServiceState(service=name, standing="waiting", words=container.state)


def _ended(name: str, asked: ServiceRecord, container: Container) -> ServiceState:
    code = container.exit_code
    if code == 0 and asked.restart in ("no", "on-failure"):
        return ServiceState(service=name, standing="ready", words="done")
    why = " after the kernel ended it for memory" if container.oom_killed else ""
    reason = f"`{name}` ended with exit code {code}{why}"
    return _failed(name, f"exited {code}", reason, container)


def _failed(name: str, words: str, reason: str, container: Container) -> ServiceState:
    return ServiceState(service=name, standing="failed", words=words, reason=reason, culprit=container.id)


def unsettled(containers: Iterable[Container], now: float) -> float:
    """Seconds until every running container without a health check has run long enough to be believed.

    Args:
        now: The engine's clock, seconds since the epoch; one that runs ahead or behind costs no more than
            `SETTLED`.
    """
    ages = [now - c.started for c in containers if c.state == "running" and not c.health]
    return min(SETTLED, max((SETTLED - age for age in ages), default=0.0)) if ages else 0.0
