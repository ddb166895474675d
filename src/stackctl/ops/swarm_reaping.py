"""What `reap` does where the engine manages a Swarm: tasks that ended unseen, and services of ended ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from stackctl.core.actions import Action
from stackctl.core.errors import Busy, StackctlError
from stackctl.core.labels import PREFIX, read_stamp
from stackctl.core.records import LIVE, EnvironmentRecord
from stackctl.core.tasks import STACK
from stackctl.ops.acting import Outcome
from stackctl.ops.looking import verified
from stackctl.ops.swarm_looking import manager
from stackctl.ops.swarm_task_ending import time_left
from stackctl.ops.swarm_task_looking import sight_of
from stackctl.ops.swarm_task_resting import rest_on_swarm

if TYPE_CHECKING:
    from stackctl.core.swarm_facts import SwarmService
    from stackctl.ops.context import Context

GONE = "its task has ended"
Step = tuple[Action, Callable[[], EnvironmentRecord | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmReaped:
    """What was done on a Swarm, or would be; `cluster` is its id, empty where the engine manages none."""

    cluster: str = ""
    outcomes: tuple[Outcome, ...] = ()
    planned: tuple[Action, ...] = ()


def reap_swarm(context: Context, *, command: str, dry: bool) -> SwarmReaped:
    """End what nobody ends of our tasks on the Swarm that the engine manages.

    That is: write down how those went that have ended, end those over their lifetime, bring those to rest
    that a killed command was starting or ending, and remove services whose task has ended. Nothing is asked
    where no record is a Swarm's.
    """
    if not any(one.task and one.on_swarm for one in context.store.records()):
        return SwarmReaped()
    try:
        cluster = manager(context).id
        steps = [*_unseen(context, cluster, command), *_left(context, cluster)]
    except StackctlError:
        return SwarmReaped()
    if dry:
        return SwarmReaped(cluster=cluster, planned=tuple(action for action, _ in steps))
    return SwarmReaped(cluster=cluster, outcomes=tuple(_tried(action, work) for action, work in steps))


def _unseen(context: Context, cluster: str, command: str) -> Iterator[Step]:
    """Tasks that are to be ended or finished, and are nobody's."""
    for record in context.store.records():
        if not record.task or not record.on_swarm or record.engine != cluster or record.phase not in LIVE:
            continue
        worked_on = record.lease is not None and context.store.lease_alive(record.lease) is not False
        if record.phase == "pending" or worked_on:
            continue
        end = sight_of(context, record).end
        over = time_left(context, record) <= 0
        if record.phase == "running" and end is None and not over:
            continue
        reason = end.reason if end else "its lifetime is over" if over else "its command died"
        rule = "finished" if end else "expired" if over else "stuck"
        action = Action(rule=rule, kind="end", project=record.project, reason=reason)
        yield action, partial(_rest, context, record, command)


def _rest(context: Context, record: EnvironmentRecord, command: str) -> EnvironmentRecord:
    with context.store.lock(record.project, command=command, wait=0):
        return rest_on_swarm(context, context.store.read(record.project) or record, command=command)


def _left(context: Context, cluster: str) -> Iterator[Step]:
    """Services whose task has ended by its record: a killed command's, which Swarm made late."""
    labels = {f"{PREFIX}home": context.store.identity, f"{PREFIX}stack": STACK}
    for service in context.engine.swarm().single_services(labels):
        record = context.store.read(service.labels.get(f"{PREFIX}project", ""))
        if record is None or record.phase in LIVE or record.engine != cluster:
            continue
        if verified(record, read_stamp(service.labels)):
            action = Action(rule="leftover", kind="end", project=record.project, reason=GONE)
            yield action, partial(_remove, context, service)


def _remove(context: Context, service: SwarmService) -> None:
    swarm = context.engine.swarm()
    swarm.end_service(service.id)
    swarm.remove_service(service.id)


def _tried(action: Action, work: Callable[[], EnvironmentRecord | None]) -> Outcome:
    try:
        record = work()
    except Busy as error:
        return Outcome(action=action, result="busy", words=str(error))
    except StackctlError as error:
        return Outcome(action=action, result="failed", words=str(error))
    words = f"task {record.title} is {record.phase}" if record else "its service was removed"
    return Outcome(action=action, result="done", words=words)
