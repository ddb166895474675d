"""What is written down before anything is ended: readings, processes and the last log lines."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from stackctl.core.errors import StackctlError
from stackctl.core.incidents import LOG_LINE, LOG_LINES, Incident, process_groups, to_plain, trail_data

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stackctl.core.actions import Action
    from stackctl.core.facts import Container, Process
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.world import Trail
    from stackctl.ops.context import Context

ID_TIME = "%Y%m%dT%H%M%SZ"
"""How the id of an incident begins, in UTC, so that ids sort as times do."""


def new_incident(context: Context, action: Action, record: EnvironmentRecord | None) -> Incident:
    """An incident of what is about to be done; nothing is written yet."""
    wall = context.clock.now().wall
    stamp = time.strftime(ID_TIME, time.gmtime(wall))
    incident = Incident(
        id=f"{stamp}-{action.rule.replace('_', '-')}-{uuid4().hex[:4]}",
        at=wall,
        rule=action.rule,
        action=action.kind,
        project=action.project,
        service=action.service,
        container=action.container,
        phase=action.phase if action.kind == "end" else "",
        reason=action.reason,
        violation=action.violation,
    )
    if record is None:
        return incident
    return replace(incident, stack=record.stack, instance=record.instance, generation=record.generation)


def with_evidence(
    context: Context, incident: Incident, container: Container | None, trails: Mapping[str, Trail]
) -> Incident:
    """The incident with what can be learned of its container; what cannot be had is left empty.

    Processes are read from outside: a container at its limit could not start a command to list them.
    """
    if container is None:
        return incident
    trail = trails.get(container.id)
    processes: tuple[Process, ...] = ()
    log = ""
    with suppress(StackctlError):
        processes = context.engine.processes(container)
    with suppress(StackctlError):
        log = context.engine.log_tail(container.id, LOG_LINES)
    return replace(
        incident,
        readings=trail_data(trail.readings if trail else ()),
        groups=process_groups(processes),
        processes=len(processes),
        log=tuple(line[:LOG_LINE] for line in log.splitlines()[-LOG_LINES:]),
        log_from=container.service,
    )


def keep(context: Context, incident: Incident) -> None:
    """Write an incident, or write it again with what was done.

    Raises:
        StateError: The file system refused.
    """
    context.store.write_incident(incident.project, incident.id, to_plain(incident))
