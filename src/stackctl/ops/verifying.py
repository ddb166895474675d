"""Reading back after `up`: proof that each limit is in force in the engine and in the kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from stackctl.core.enforcement import unenforced
from stackctl.core.errors import LimitsUnenforced, Problem
from stackctl.core.loosening import PROVEN

if TYPE_CHECKING:
    from stackctl.core.facts import Container, EngineFacts
    from stackctl.core.records import ServiceRecord
    from stackctl.ops.context import Context

ENGINE_ONLY = "unverified: the cgroups of this engine cannot be read from here"
PATIENCE = 2.0
"""Seconds until every limit must stand in the kernel; with systemd's driver one may come late."""
_BETWEEN = 0.1


def verify(
    context: Context,
    facts: EngineFacts,
    services: Mapping[str, ServiceRecord],
    containers: Sequence[Container],
    *,
    allow_unenforced: bool = False,
) -> str:
    """Compare HostConfig of every container, and the cgroup files of what runs, with what was asked.

    Returns:
        `kernel` (`PROVEN`) when the cgroup files prove it, else a sentence that begins with `unverified`.

    Raises:
        LimitsUnenforced: A limit is not in force, and it was not allowed to be so.
    """
    patience = 0.0 if allow_unenforced else PATIENCE  # what need not come is not waited for
    problems = _settled_problems(context, facts, services, containers, patience)
    if problems and not allow_unenforced:
        raise LimitsUnenforced(
            "the kernel does not enforce every limit that was asked for",
            hint="`stackctl doctor` says which controllers are missing; "
            "`--allow-unenforced` starts it all the same",
            problems=tuple(problems),
        )
    if problems:
        return "unverified: " + "; ".join(problem.message for problem in problems)
    return PROVEN if facts.local else ENGINE_ONLY


def _settled_problems(
    context: Context,
    facts: EngineFacts,
    services: Mapping[str, ServiceRecord],
    containers: Sequence[Container],
    patience: float,
) -> list[Problem]:
    """What is not in force once the kernel was told again, and had time to hear of it."""
    until = context.clock.now().boottime + patience
    problems = _problems(context, facts, services, containers)
    if problems and facts.local:
        context.engine.renew_limits(containers)
        problems = _problems(context, facts, services, containers)
    while problems and facts.local and context.clock.now().boottime < until:
        context.clock.sleep(_BETWEEN)
        problems = _problems(context, facts, services, containers)
    return problems


def _problems(
    context: Context,
    facts: EngineFacts,
    services: Mapping[str, ServiceRecord],
    containers: Sequence[Container],
) -> list[Problem]:
    readings = context.engine.readings(containers) if facts.local else {}
    problems: list[Problem] = []
    for container in containers:
        asked = services.get(container.service)
        if asked is None:
            continue
        reading = readings.get(container.id)
        for sentence in unenforced(asked, container.limits, reading.limits if reading else None):
            problems.append(Problem(path=f"services.{container.service}", message=sentence))
    return problems
