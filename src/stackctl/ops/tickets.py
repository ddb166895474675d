"""A task in the hands of a scheduler, and what a scheduler finds when it takes over from another."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from stackctl.core.admission import Demand
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.tasks import TaskLine
    from stackctl.ops.task_preparing import PreparedTask

State = Literal["waiting", "starting", "running", "ended"]


def _future() -> Future[EnvironmentRecord]:
    found: Future[EnvironmentRecord] = Future()
    found.set_running_or_notify_cancel()  # it is not the future through which a task is cancelled
    return found


@dataclass(eq=False, kw_only=True)
class Ticket:
    """A task that was submitted.

    Args:
        key: What tells it from the others of its holder.
        id: The task's id.
        demand: What it counts for while it runs.
        state: As the scheduler sees it.
        record: Its record once there is one.
        future: Its record when it has ended; `CancelledError` where it was dropped or handed over, another
            error where the scheduler failed.
        cancelled: Why it is being ended, empty where it is not.
    """

    key: str
    id: str
    demand: Demand
    prepared: PreparedTask | None = None
    state: State = "waiting"
    record: EnvironmentRecord | None = None
    future: Future[EnvironmentRecord] = field(default_factory=_future)
    cancelled: str = ""

    def take(self, record: EnvironmentRecord) -> None:
        """Have a record of it."""
        self.record = record

    def drop(self) -> None:
        """Tell whoever waits for its end that nobody here will see it."""
        if not self.future.done():
            self.future.set_exception(CancelledError())


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What was found of a holder's tasks.

    Args:
        running: Those that run, attended again.
        waiting: Those that were kept while they waited, in line again.
        ended: Those that have ended, the oldest first.
    """

    running: tuple[Ticket, ...] = ()
    waiting: tuple[Ticket, ...] = ()
    ended: tuple[TaskLine, ...] = ()
