"""Tasks on a Swarm that a process left behind: what was told goes on, what was cut short comes to rest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.enforcement import unenforced
from stackctl.core.errors import LimitsUnenforced, Problem
from stackctl.core.records import TASK_SERVICE
from stackctl.ops.down import Aim, begun_ending
from stackctl.ops.recording import deadline
from stackctl.ops.swarm_task_ending import conclude, finish_on_swarm
from stackctl.ops.swarm_task_looking import sight_of

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.swarm_facts import SwarmService
    from stackctl.ops.context import Context

VERIFIED = "in force as Swarm has them"


def running(context: Context, record: EnvironmentRecord, service: SwarmService) -> EnvironmentRecord:
    """Write the record of a task whose service is there, once its limits were read back.

    Raises:
        LimitsUnenforced: Swarm has another limit, or none.
    """
    asked = record.services[TASK_SERVICE]
    if wrong := unenforced(asked, replace(service.limits, swap=asked.swap)):
        raise LimitsUnenforced(
            "the Swarm does not enforce every limit that was asked for",
            problems=tuple(Problem(path="limits", message=sentence) for sentence in wrong),
        )
    record = replace(
        record,
        phase="running",
        updated=context.clock.now().wall,
        deadline=deadline(context, record.lifetime),
        lease=None,
        verified=VERIFIED,
    )
    context.store.write(record)
    return record


def rest_on_swarm(context: Context, record: EnvironmentRecord, *, command: str) -> EnvironmentRecord:
    """Finish what a process that is gone was doing with a task; for who holds its lock.

    One whose service is there goes on; one of which Swarm never heard is `lost` without a time at which it
    started, so that it may be done under another id. Where it waits or runs, it stays as it is.

    Raises:
        EngineUnavailable, EngineRefused, TimedOut: The managers cannot be asked, or refuse.
    """
    if record.phase == "running":
        return finish_on_swarm(context, record, command=command)
    if record.phase not in ("starting", "stopping"):
        return record
    sight = sight_of(context, record)
    if record.phase == "stopping":
        cut_short = Aim(phase=record.aim, reason="an interrupted command was cleaned up")
        return conclude(context, record, sight, command, begun_ending(record) or cut_short)
    if sight.service is None:
        before = record.lease.command if record.lease else "its command"
        aim = Aim(phase="lost", reason=f"`{before}` died before it was started")
        return conclude(context, record, sight, command, aim)
    try:
        return running(context, record, sight.service)
    except LimitsUnenforced as error:
        return conclude(context, record, sight, command, Aim(phase="failed", reason=error.message))
