"""How a task on a Swarm ends: its outcome on disk first, then its output, then its service goes."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.actions import Action, Violation
from stackctl.core.errors import StackctlError, StateError
from stackctl.core.incidents import LOG_LINE, LOG_LINES
from stackctl.core.records import LIVE, TASK_SERVICE, Ending
from stackctl.core.swarm_ends import LOST_AFTER, TaskEnd, killed_words
from stackctl.core.swarm_facts import LIVE_TASKS
from stackctl.core.tasks import CANCELLED, KILLED
from stackctl.core.units import show_duration
from stackctl.ops.down import Aim, begun_ending
from stackctl.ops.evidence import keep, new_incident
from stackctl.ops.hearing import heard_out
from stackctl.ops.recording import ended
from stackctl.ops.swarm_agents import agents, gather_incidents
from stackctl.ops.swarm_task_looking import sight_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stackctl.core.incidents import Incident
    from stackctl.core.records import EnvironmentRecord, Phase
    from stackctl.ops.context import Context
    from stackctl.ops.protocols import Engine
    from stackctl.ops.swarm_task_looking import Sight

END_SECONDS = 30.0
"""For a container to end: it has its grace, and the managers have to hear of it."""
_LOOK = 0.2
LOG_SECONDS = 10.0
"""For a node to give what a task wrote, where managers say that they cannot reach it."""
TOLD = 3.0
"""For what an agent says of an ending to come to the managers."""
SIGNALLED = (KILLED, CANCELLED)
"""Exit codes of what a signal ended, as agents send them."""


def finish_on_swarm(
    context: Context, record: EnvironmentRecord, *, command: str, away: Mapping[str, float] | None = None
) -> EnvironmentRecord:
    """Write down how a task that has ended went, and remove its service; for who holds its lock.

    One that still runs stays as it is, unless its lifetime is over.

    Raises:
        EngineUnavailable, EngineRefused, TimedOut: The managers cannot be asked, or refuse.
    """
    if record.phase != "running":
        return record
    sight = sight_of(context, record, away)
    if sight.end is not None and (sight.service is not None or time_left(context, record) > 0):
        return conclude(context, record, sight, command, ended_by_itself(context, record, sight))
    if time_left(context, record) <= 0:
        return conclude(context, record, sight, command, _expired(context, record, sight))
    return record


def end_on_swarm(
    context: Context,
    record: EnvironmentRecord,
    phase: Phase,
    reason: str,
    *,
    command: str,
    asked: bool = False,
) -> EnvironmentRecord:
    """End a task that has not ended, whatever it is at; for who holds its lock.

    Args:
        phase, reason, asked: As `task_ending.end_task`.

    Raises:
        EngineUnavailable, EngineRefused, TimedOut: The managers cannot be asked, or refuse.
    """
    if record.phase not in LIVE:
        return record
    if record.phase == "pending":
        return ended(context, record, phase, reason)
    sight = sight_of(context, record)
    if record.phase == "running" and sight.end is not None and not asked:
        return conclude(context, record, sight, command, ended_by_itself(context, record, sight))
    aim = begun_ending(record) or Aim(phase=phase, reason=reason)
    return conclude(context, record, sight, command, aim)


def ended_by_itself(context: Context, record: EnvironmentRecord, sight: Sight) -> Aim:
    """What a task's own end amounts to; of what SIGKILL ended its node is asked who sent it."""
    end = sight.end
    if end is None:
        raise ValueError(f"{record.project} has not ended")
    if end.exit_code in SIGNALLED and (told := _by_agent(context, record)) is not None:
        return Aim(phase="killed", reason=told.reason, incident=told.id)
    if not end.by_kill:
        return Aim(phase=end.phase, reason=end.reason)
    node = sight.node.hostname if sight.node else ""
    asked = record.services[TASK_SERVICE]
    phase, reason = killed_words(asked, node, by_kernel=_by_kernel(context, sight))
    if phase != "killed":
        return Aim(phase=phase, reason=reason)
    mark = asked.memory
    action = Action(
        rule="oom",
        kind="end",
        project=record.project,
        service=TASK_SERVICE,
        phase=phase,
        reason=reason,
        violation=Violation(measure="memory", level="kernel", reading=mark, mark=mark, limit=mark),
        incident=True,
    )
    incident = _written(context, record, sight, action, "the kernel ended it")
    return Aim(phase=phase, reason=reason, incident=incident.id)


def _by_agent(context: Context, record: EnvironmentRecord) -> Incident | None:
    """The incident in which an agent ended a task; what it did is told a moment after the end."""
    until = context.clock.now().boottime + TOLD
    with suppress(StackctlError):
        while agents(context):
            for one in gather_incidents(context, record):
                if one.generation == record.generation and one.action != "report":
                    return one
            if context.clock.now().boottime >= until:
                break
            context.clock.sleep(_LOOK)
    return None


def _by_kernel(context: Context, sight: Sight) -> bool | None:
    """Whether a container's node says that the kernel ended it for memory; None where it is not reached."""
    with suppress(StackctlError), _at_its_node(context, sight) as (engine, container):
        found = engine.inspect([container]) if engine is not None else ()
        if engine is not None and found:
            return heard_out(replace(context, engine=engine), found[0]).oom_killed
    return None


def _expired(context: Context, record: EnvironmentRecord, sight: Sight) -> Aim:
    sight = _within_reach(context, record, sight)
    if sight.node is not None and sight.node.state != "ready":
        name = sight.node.hostname
        return Aim(phase="lost", reason=f"node {name}, which had it, is {sight.node.state}")
    over = f"its lifetime of {show_duration(record.lifetime)} is over"
    if sight.service is None:
        return Aim(phase="expired", reason=f"{over}, and an agent ended it")
    waited = sight.task is None or not sight.task.node
    reason = f"{over}, and no node had room for it" if waited else over
    action = Action(
        rule="expired", kind="end", project=record.project, phase="expired", reason=reason, incident=True
    )
    incident = _written(context, record, sight, action, "its service was ended")
    return Aim(phase="expired", reason=reason, incident=incident.id)


def _written(
    context: Context, record: EnvironmentRecord, sight: Sight, action: Action, done: str
) -> Incident:
    """The incident of an ending, with the last lines of the task."""
    log = _output(context, sight)[0].decode(errors="replace").splitlines()[-LOG_LINES:]
    incident = new_incident(context, action, record)
    incident = replace(
        incident,
        log=tuple(line[:LOG_LINE] for line in log),
        log_from=TASK_SERVICE,
        result="done",
        done=(done,),
    )
    keep(context, incident)
    return incident


def time_left(context: Context, record: EnvironmentRecord) -> float:
    """Seconds that a task's lifetime still lasts."""
    now = context.clock.now()
    return record.deadline.left(wall=now.wall, boottime=now.boottime, boot=now.boot)


def conclude(
    context: Context, record: EnvironmentRecord, sight: Sight, command: str, aim: Aim
) -> EnvironmentRecord:
    """End what runs of a task, keep what it wrote, remove its service; for who holds its lock.

    What it is to become, and its outcome as far as it is known, is on disk before anything is ended, so that
    whoever comes after a crash finishes the same.

    Raises:
        EngineUnavailable, EngineRefused, TimedOut: The managers cannot be asked, or refuse.
    """
    record = replace(
        with_outcome(record, sight, sight.end),
        phase="stopping",
        aim=aim.phase,
        ending=Ending(reason=aim.reason, at=context.clock.now().wall, incident=aim.incident),
        lease=context.store.lease(command),
        updated=context.clock.now().wall,
    )
    with suppress(StateError):  # a full disk keeps nobody alive who must be ended
        context.store.write(record)
    try:
        record, whole = _removed(context, record, sight)
    except StackctlError:
        with suppress(StateError):
            context.store.write(replace(record, attempts=record.attempts + 1, lease=None))
        raise
    reason = aim.reason if whole else f"{aim.reason}; not all that it wrote could be had"
    return ended(context, record, aim.phase, reason, aim.incident)


def _removed(context: Context, record: EnvironmentRecord, sight: Sight) -> tuple[EnvironmentRecord, bool]:
    """The record of a task whose service is gone, and whether all that it wrote was had before."""
    if sight.service is None:
        return record, True
    swarm, service = context.engine.swarm(), sight.service.id
    if not _lives(sight):
        sight = _within_reach(context, record, sight)
    output, whole = _output(context, sight)
    if sight.end is None or _lives(sight):
        swarm.end_service(service)
        sight = _until_ended(context, record)
        record = with_outcome(record, sight, sight.end)
        later, whole = _output(context, sight)
        output = max(output, later, key=len)
    with suppress(StateError):
        if output:
            context.store.write_output(record.project, output)
    swarm.remove_service(service)
    return record, whole


def _within_reach(context: Context, record: EnvironmentRecord, sight: Sight) -> Sight:
    """The task again once its node is ready, waited for as long as for one that is lost.

    After an election the managers know of no node until it reports, and give nothing that it has.
    """
    until = context.clock.now().boottime + LOST_AFTER
    while sight.node is not None and sight.node.state != "ready" and context.clock.now().boottime < until:
        context.clock.sleep(1.0)
        sight = sight_of(context, record, sight.away)
    return sight


def _until_ended(context: Context, record: EnvironmentRecord) -> Sight:
    """The task once it has ended; one whose node is away ends when the node is back."""
    until = context.clock.now().boottime + END_SECONDS
    while True:
        sight = sight_of(context, record)
        away = sight.node is not None and sight.node.state != "ready"
        if not _lives(sight) or away or context.clock.now().boottime >= until:
            return sight
        context.clock.sleep(_LOOK)


def _lives(sight: Sight) -> bool:
    return sight.task is not None and sight.task.state in LIVE_TASKS and bool(sight.task.node)


def _output(context: Context, sight: Sight) -> tuple[bytes, bool]:
    """What it wrote, and whether that is all; of a node that is away, nothing is asked."""
    if sight.service is None or sight.node is None:
        return b"", sight.task is None or not sight.task.node
    if sight.node.state != "ready":
        return b"", False
    output, whole, until = b"", False, context.clock.now().boottime + LOG_SECONDS
    with suppress(StackctlError):
        while True:
            output, whole = context.engine.swarm().service_output(sight.service.id)
            if whole or context.clock.now().boottime >= until:
                break
            if (own := _from_node(context, sight)) is not None:
                return own, True
            context.clock.sleep(1.0)
    return output, whole


def _from_node(context: Context, sight: Sight) -> bytes | None:
    """What its container wrote, as its node's engine has it; None where that is not reached."""
    with _at_its_node(context, sight) as (engine, container):
        return engine.output(container) if engine is not None else None


@contextmanager
def _at_its_node(context: Context, sight: Sight) -> Iterator[tuple[Engine | None, str]]:
    """The engine that has a task's container, None where it is not reached, and the container's id."""
    container = sight.task.container if sight.task is not None else ""
    reached = sight.node is not None and bool(container)
    engine = context.engine.swarm().engine_of(sight.node) if reached and sight.node else None
    try:
        yield engine, container
    finally:
        if engine is not None:
            engine.close()


def with_outcome(record: EnvironmentRecord, sight: Sight, end: TaskEnd | None) -> EnvironmentRecord:
    """The record with what is known of its own container: node, times, exit code."""
    part, task = record.task, sight.task
    if part is None or task is None or not task.node:
        gone = part is not None and task is None and record.phase == "running" and not part.started
        # it may have run unseen, so it is not done again
        return replace(record, task=replace(part, started=record.updated)) if part and gone else record
    node = sight.node.hostname if sight.node else task.node
    # Swarm says when a task came into its last state alone; what it never saw run began when it was put there
    started = part.started or (task.at if task.state == "running" else record.updated)
    over = end is not None and task.state not in LIVE_TASKS
    return replace(
        record,
        task=replace(
            part,
            node=node,
            started=started,
            finished=task.at if over else part.finished,
            exit_code=end.exit_code if end is not None and over else part.exit_code,
        ),
    )
