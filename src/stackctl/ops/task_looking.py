"""Tasks as they are listed: the live ones as they stand now, the ended ones from the index."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from stackctl.core.errors import Busy, EngineRefused, StackctlError, TimedOut
from stackctl.core.facts import ENDED
from stackctl.core.labels import PREFIX
from stackctl.core.records import LIVE, TASK_SERVICE
from stackctl.core.tasks import FINISHED, TaskLine, task_line
from stackctl.ops.task_ending import end_task, finish_task

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stackctl.core.records import EnvironmentRecord
    from stackctl.ops.context import Context

LOOKING = "stackctl tasks"
_GONE = "the command that it belonged to is gone"
LOOK = 0.2
"""Seconds between two looks at a task that somebody waits for."""


def list_tasks(context: Context, *, everything: bool) -> tuple[TaskLine, ...]:
    """The tasks, the oldest first; those that ended by themselves unseen are finished on the way.

    Args:
        everything: Also those that have ended.

    Raises:
        StateError: They cannot be listed.
    """
    settle(context)
    recent = [task_line(record) for record in context.store.records() if record.task]
    if not everything:
        return tuple(line for line in recent if line.phase not in FINISHED)
    seen = {line.id for line in recent}
    old = [line for line in context.store.finished_tasks() if line.id not in seen]
    return tuple(sorted([*old, *recent], key=lambda line: (line.created, line.id)))


def settle(context: Context, records: Iterable[EnvironmentRecord] | None = None) -> None:
    """Finish tasks whose own container has ended and whose command does not see to it.

    Those whose command is proven dead are ended. It is the cheap pass of whoever looks at tasks: one listing,
    and nothing where the engine cannot be asked.
    """
    chosen = context.store.records() if records is None else records
    live = [one for one in chosen if one.task and one.phase in LIVE and _nobody(context, one)]
    there = [one for one in live if one.on_swarm]
    live = [one for one in live if not one.on_swarm]
    settle_on_swarm(context, there)
    running = {one.project: one for one in live if one.phase == "running"}
    if running:
        with suppress(StackctlError):
            ours = {f"{PREFIX}home": context.store.identity}
            ours |= {f"{PREFIX}project": next(iter(running))} if len(running) == 1 else {}
            listed = {
                one.labels.get(f"{PREFIX}project", ""): one.state
                for one in context.engine.containers(ours)
                if one.service == TASK_SERVICE
            }
            for project in running:
                if listed.get(project, "dead") in ENDED:  # looked at again under its lock
                    with suppress(Busy):
                        finish_task(context, project, command=LOOKING)
    for left in live:
        if left.tied or left.phase == "stopping":
            with suppress(StackctlError):
                end_task(context, left.project, "lost", _GONE, command=LOOKING, wait=0)


def settle_on_swarm(context: Context, records: Iterable[EnvironmentRecord]) -> None:
    """Finish what has ended of tasks on the Swarm that the engine manages, and what is over its lifetime.

    What was cut short while it was started or ended is brought to rest. Where the managers cannot be asked,
    nothing is done, and nothing to tasks of another Swarm.
    """
    for record in records:
        if record.phase == "pending":
            continue
        from stackctl.ops.adopting_tasks import bring_to_rest  # here: a list of tasks seldom needs it

        try:
            bring_to_rest(context, record.project, command=LOOKING)
        except (Busy, EngineRefused):  # one of another Swarm keeps nobody from the others
            continue
        except StackctlError:
            return


def _nobody(context: Context, record: EnvironmentRecord) -> bool:
    """Whether nobody sees to it: it belongs to its record, or its command is proven dead."""
    return record.lease is None or context.store.lease_alive(record.lease) is False


def wait_for(context: Context, project: str, until: float) -> EnvironmentRecord:
    """Look until a task has ended.

    Args:
        until: When to give up, by the clock that counts suspended time.

    Raises:
        TimedOut: It has not ended by then.
        StateError: Its record is gone, or cannot be read.
    """
    while True:
        record = context.store.read(project)
        if record is None or record.phase not in LIVE:
            return _known(record, project)
        settle(context, [record])
        record = context.store.read(project)
        if record is None or record.phase not in LIVE:
            return _known(record, project)
        if context.clock.now().boottime >= until:
            raise TimedOut(
                f"task {record.title} is still {record.phase}", hint="give it more time with --timeout"
            )
        context.clock.sleep(LOOK)


def _known(record: EnvironmentRecord | None, project: str) -> EnvironmentRecord:
    if record is None:
        from stackctl.core.errors import StateError

        raise StateError(f"`{project}` was forgotten while it was waited for")
    return record
