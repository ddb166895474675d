"""How a task begins on a Swarm: its record, its service, and that Swarm has its limits as they were asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stackctl.core.errors import EngineRefused, Interrupted, StackctlError
from stackctl.core.records import SWARM, TASK_SERVICE
from stackctl.core.swarm_stages import deadline_labels
from stackctl.core.swarm_tasks import last_moment, service_name, service_order
from stackctl.core.tasks import CANCELLED
from stackctl.ops.down import Aim
from stackctl.ops.placing import stamp_of
from stackctl.ops.swarm_task_ending import conclude
from stackctl.ops.swarm_task_looking import sight_of
from stackctl.ops.swarm_task_resting import running
from stackctl.ops.task_outcome import undone_as
from stackctl.ops.task_starting import begun_record

if TYPE_CHECKING:
    from stackctl.core.facts import EngineFacts
    from stackctl.core.records import EnvironmentRecord
    from stackctl.ops.context import Context
    from stackctl.ops.task_preparing import PreparedTask
    from stackctl.ops.task_starting import StartOptions


LEADERLESS = 30.0
"""Seconds for managers to elect a leader, without which nothing can be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmStarted:
    """A task of which Swarm was told; it may wait for a node still, or have ended already."""

    record: EnvironmentRecord

    def let_go(self) -> None:
        """Nothing is held."""


def start_on_swarm(
    context: Context,
    prepared: PreparedTask,
    options: StartOptions,
    facts: EngineFacts,
    api: tuple[int, int],
    announced: Callable[[EnvironmentRecord], None],
) -> SwarmStarted:
    """Tell Swarm of a task, and see that it has its limits as they were asked for.

    The record is on disk before Swarm hears of anything; what fails is undone.

    Args:
        facts: Of the engine, its id the Swarm's.
        api: What the manager speaks.

    Raises:
        StackctlError: It could not be started; nothing of it is left but its record.
    """
    with context.store.lock(prepared.project, command=options.command, wait=10.0):
        record = replace(begun_record(context, prepared, options, facts), orchestrator=SWARM)
        context.store.write(record)
        announced(record)
        try:
            return SwarmStarted(record=_told(context, prepared, record, api))
        except BaseException as error:
            _undo(context, record, options, error)
            raise


def _told(
    context: Context, prepared: PreparedTask, record: EnvironmentRecord, api: tuple[int, int]
) -> EnvironmentRecord:
    if context.store.end_wished(record.project):
        raise Interrupted("the task was cancelled while it was started", exit_code=CANCELLED)
    service = prepared.prepared.bounded.document["services"][TASK_SERVICE]
    order = service_order(
        service,
        record.services[TASK_SERVICE],
        stamp_of(record),
        service_name(record.project),
        api,
        deadline_labels(last_moment(context.clock.now().wall, record.lifetime), record.lifetime),
    )
    _create(context, order)
    found = sight_of(context, record).service
    if found is None:
        raise EngineRefused(
            f"Swarm has no service of ours that is called `{order['Name']}`, though it was just told of it",
            hint="`docker service ls` shows what it has",
        )
    return running(context, record, found)


def _create(context: Context, order: Mapping[str, Any]) -> None:
    """Tell Swarm of a service; managers that elect a leader are asked again for a while."""
    until = context.clock.now().boottime + LEADERLESS
    while True:
        try:
            context.engine.swarm().create_service(order)
            return
        except EngineRefused as error:
            if "leader" not in error.message or context.clock.now().boottime >= until:
                raise
        context.clock.sleep(1.0)


def _undo(context: Context, record: EnvironmentRecord, options: StartOptions, error: BaseException) -> None:
    """Remove what was made, and say in its record why."""
    phase, reason = undone_as(context, record, error)
    try:
        sight = sight_of(context, record)
        conclude(context, record, sight, options.command, Aim(phase=phase, reason=reason))
    except StackctlError as problem:
        context.progress.warn(f"not everything of the task could be undone: {problem}")
