"""The threads of a scheduler, each with a context of its own, and how they all leave their tasks at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Thread
from typing import TYPE_CHECKING

from stackctl.ops.task_working import Bell, HandedOver

if TYPE_CHECKING:
    from stackctl.ops.context import Context
    from stackctl.ops.tickets import Ticket


class Crew:
    """Threads that work on tickets.

    Args:
        contexts: Makes a context whose engine belongs to one thread at a time.

    Attributes:
        changed: Guards all that belongs to the scheduler; told of each change.
        bell: Lets every thread leave its task.
        failure: The first error that was no task's own; nothing is started after it.
    """

    def __init__(self, contexts: Callable[[], Context]) -> None:
        self.changed, self.bell = Condition(), Bell()
        self.failure: BaseException | None = None
        self._contexts = contexts
        self._threads: set[Thread] = set()
        self._spare: list[Context] = []

    @property
    def idle(self) -> bool:
        """Whether no thread works."""
        return not self._threads

    @contextmanager
    def context(self) -> Iterator[Context]:
        """A context that nobody else has meanwhile; its engine's connection is kept for the next."""
        with self.changed:
            found = self._spare.pop() if self._spare else None
        context = found if found is not None else self._contexts()
        try:
            yield context
        finally:
            with self.changed:
                self._spare.append(context)

    def run(self, work: Callable[..., None], ticket: Ticket, *more: str) -> None:
        """Do something for a ticket in a thread; under the lock."""

        def whole() -> None:
            try:
                with self.context() as context:
                    work(context, ticket, *more)
            except HandedOver:
                ticket.drop()
            except BaseException as error:  # raised by whoever waits, in that thread
                self._fail(ticket, error)
            finally:
                with self.changed:
                    self._threads.discard(thread)
                    self.changed.notify_all()

        thread = Thread(target=whole, name=f"task-{ticket.id}", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _fail(self, ticket: Ticket, error: BaseException) -> None:
        with self.changed:
            self.failure = self.failure or error
            self.bell.ring()
            self.changed.notify_all()
        if not ticket.future.done():
            ticket.future.set_exception(error)

    def leave(self, timeout: float) -> bool:
        """Let every thread leave its task, and wait so many seconds for that; whether all have."""
        with self.changed:
            self.bell.ring()
            return self.changed.wait_for(lambda: self.idle, timeout)

    def close(self) -> None:
        """Close what is open, as far as no thread uses it any more."""
        with self.changed:
            spare, self._spare = self._spare, []
            idle = self.idle
        for context in spare:
            context.engine.close()
        if idle:
            self.bell.close()
