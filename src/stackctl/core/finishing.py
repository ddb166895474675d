"""The judgement of tasks that have ended by themselves: what their own container says is their outcome."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stackctl.core.actions import Action, Violation
from stackctl.core.facts import ENDED
from stackctl.core.records import TASK_SERVICE
from stackctl.core.tasks import outcome
from stackctl.core.world import World, readable

if TYPE_CHECKING:
    from stackctl.core.facts import Container
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.supervision import Supervision


def finished(world: World, limits: Supervision) -> Iterator[Action]:
    """Tasks whose own container has ended and whose command does not see to it itself.

    What a reboot of the host ended says nothing of the task.
    """
    for one in readable(world.environments):
        record = one.record
        if record.task is None or record.phase != "running" or one.owner not in ("none", "dead"):
            continue
        own = next((c for c in one.containers if c.service == TASK_SERVICE), None)
        if own is not None and own.state in ENDED and record.deadline.boot == world.now.boot:
            yield own_ending(record, own)


def own_ending(record: EnvironmentRecord, container: Container) -> Action:
    """The act that writes down how a task ended, its sidecars with it."""
    phase = outcome(container.exit_code, oom_killed=container.oom_killed)
    limit = record.services[TASK_SERVICE].memory if TASK_SERVICE in record.services else 0
    killed = Violation(measure="memory", level="kernel", reading=limit, mark=limit, limit=limit)
    by_itself = f"it ended with exit code {container.exit_code}"
    by_kernel = f"`{TASK_SERVICE}` hit its memory limit: the kernel ended it"
    return Action(
        rule="oom" if phase == "killed" else "finished",
        kind="end",
        project=record.project,
        service=TASK_SERVICE,
        container=container.id if phase == "killed" else "",
        phase=phase,
        reason=by_kernel if phase == "killed" else by_itself,
        violation=killed if phase == "killed" else None,
        incident=phase == "killed",
    )
