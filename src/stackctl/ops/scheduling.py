"""Many tasks, so many at a time within a budget; they outlive the process, and are found again by records."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from stackctl.core.admission import Budget, admit, demand_of, misfit
from stackctl.core.batch_results import never_began
from stackctl.core.errors import Busy, StackctlError, StateError, TimedOut, UsageError
from stackctl.core.names import task_project
from stackctl.core.records import LIVE, TASK_SERVICE, EnvironmentRecord
from stackctl.core.spec_files import spec_from_plain, spec_to_plain
from stackctl.core.tasks import task_line
from stackctl.ops.adopting_tasks import holders_records
from stackctl.ops.crew import Crew
from stackctl.ops.grounds import OneEngine
from stackctl.ops.holding import held
from stackctl.ops.recording import deadline
from stackctl.ops.task_ending import end_task, wish
from stackctl.ops.task_preparing import prepare_task
from stackctl.ops.task_starting import StartOptions, new_task_id, pending_record
from stackctl.ops.task_working import give_up
from stackctl.ops.tickets import Recovery, State, Ticket

if TYPE_CHECKING:
    from stackctl.core.admission import Demand
    from stackctl.core.facts import EngineFacts
    from stackctl.core.tasks import TaskSpec
    from stackctl.ops.context import Context
    from stackctl.ops.grounds import Begun, Ground
    from stackctl.ops.task_preparing import Kitchen, PreparedTask

__all__ = ["Recovery", "Scheduler", "State", "Ticket"]

QUEUE_SECONDS = 30 * 86400.0
"""How long a task may wait to be started; its own lifetime begins when it is."""
LEAVING = 5.0
"""Seconds for threads to leave their tasks when the block ends; they are daemons and end with the process."""


class Scheduler:
    """Runs tasks within a budget, strictly in the order in which they were submitted.

    Each task that runs has a thread of this process, which starts it, stays with it and writes down how it
    ended. When the process is gone the tasks run on, bounded and watched by the supervisor, and a scheduler
    of the same holder finds them with `recover`.

    Args:
        contexts: Makes a context whose engine belongs to one thread at a time.
        kitchen: What tasks are prepared with; sidecars of own templates are best rendered before `open`.
        budget: What all may use together, and how many run at once.
        holder: Whose tasks these are; one process at a time is a holder.
        command: What holds locks, for messages.
        on_end: Called in a task's thread with its record when it has ended, before its place is given to
            another; what it raises ends the scheduler.
        options: How tasks are started; never tied, since they belong to the holder.
        ground: Where they run: one engine unless it is given.
    """

    def __init__(
        self,
        *,
        contexts: Callable[[], Context],
        kitchen: Kitchen,
        budget: Budget,
        holder: str,
        command: str,
        on_end: Callable[[EnvironmentRecord], None] | None = None,
        options: StartOptions | None = None,
        ground: Ground | None = None,
    ) -> None:
        self._ground: Ground = ground or OneEngine()
        self._contexts, self._kitchen, self._budget = contexts, kitchen, budget
        self._crew = Crew(contexts)
        self.holder, self._command = holder, command
        self._on_end = on_end
        self._options = replace(options or StartOptions(), command=command, tied=False)
        self._waiting: deque[Ticket] = deque()
        self._tickets: dict[str, Ticket] = {}
        self._active: set[Ticket] = set()
        self._count = 0
        self._stopped = False
        self._held = ExitStack()
        self._facts: EngineFacts | None = None

    # Beginning and end

    @contextmanager
    def open(self) -> Iterator[Scheduler]:
        """Be the holder, until the end of the block or until it is handed over; what runs then runs on.

        Raises:
            Busy: Another process is.
            EngineUnavailable, TimedOut: The engine cannot be asked.
        """
        with self._crew.context() as context:
            self._facts = self._ground.facts(context)
            self._held.enter_context(held(context.store, self.holder, self._command))
        try:
            yield self
        finally:
            self._release()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing waits and nothing runs, or so many seconds; whether that is so.

        Raises:
            StackctlError: The scheduler failed: nothing starts any more, what runs goes on.
        """
        with self._crew.changed:
            done = self._crew.changed.wait_for(self._is_done, timeout)
        if done and self._crew.failure is not None:
            raise self._crew.failure
        return done

    def hand_over(self, timeout: float = 300.0) -> None:
        """Stop being the holder at once and end nothing: a scheduler of the same holder goes on.

        What waits durably is started by that one; other tickets that wait are dropped. A task that is just
        being started is waited for, so that the next holder finds it running.

        Raises:
            TimedOut: One is still being started.
        """
        if not self._leave(timeout):
            raise TimedOut("a task is still being started, so it cannot be handed over", hint="try again")
        self._held.close()

    def _leave(self, timeout: float) -> bool:
        """Start nothing any more and let every thread leave its task; whether all have."""
        with self._crew.changed:
            self._stopped = True
            self._drop_waiting()
        return self._crew.leave(timeout)

    def _release(self) -> None:
        self._leave(LEAVING)
        self._crew.close()
        self._held.close()

    def _is_done(self) -> bool:
        stopped = self._stopped or self._crew.failure is not None
        return self._crew.idle and (stopped or not self._waiting)

    # Submitting

    @property
    def counts(self) -> dict[State, int]:
        """How many wait, are being started, run, and have ended."""
        with self._crew.changed:
            running = sum(one.state == "running" for one in self._active)
            starting = len(self._active) - running
            waiting = len(self._waiting)
            return {"waiting": waiting, "starting": starting, "running": running, "ended": self._count}

    def prepare(self, spec: TaskSpec, key: str, task: str = "") -> PreparedTask:
        """Check a task as far as that can be done without starting it.

        Raises:
            UsageError: Something of it is wrong, or it never fits into the budget.
            PolicyError: It asks for what policy refuses.
        """
        if not task:
            with self._crew.context() as context:
                task = new_task_id(context)
        prepared = prepare_task(task, replace(spec, holder=self.holder, key=key), self._kitchen)
        message, hint = misfit(key, self._demand(prepared), self._budget)
        if message:
            raise UsageError(message, hint=hint)
        return prepared

    def submit(self, spec: TaskSpec, key: str, *, durable: bool = False) -> Ticket:
        """Put a task in line; any thread may.

        Args:
            durable: It is kept on disk while it waits, so that a later scheduler of this holder starts it.

        Raises:
            UsageError, PolicyError: As `prepare`; or the key is taken, or the scheduler was closed.
            StateError: It cannot be kept.
        """
        return self.enqueue(self.prepare(spec, key), durable=durable)

    def enqueue(self, prepared: PreparedTask, *, durable: bool = False) -> Ticket:
        """Put a task in line that `prepare` has made; raises as `submit`."""
        ticket = Ticket(
            key=prepared.spec.key, id=prepared.id, demand=self._demand(prepared), prepared=prepared
        )
        with self._crew.changed:
            if self._stopped:
                raise UsageError(f"`{self.holder}` takes no more tasks", hint="it was closed")
            self._enter(ticket)
        if durable:
            self._keep(ticket, prepared)
        with self._crew.changed:
            self._waiting.append(ticket)
            if self._stopped:
                self._drop_waiting()
            self._fill()
        return ticket

    def _enter(self, ticket: Ticket) -> None:
        if ticket.key in self._tickets:
            raise UsageError(
                f"a task with the key `{ticket.key}` has not ended", hint="give each its own key"
            )
        self._tickets[ticket.key] = ticket

    def _keep(self, ticket: Ticket, prepared: PreparedTask) -> None:
        try:
            with (
                self._crew.context() as context,
                context.store.lock(prepared.project, command=self._command, wait=10.0),
            ):
                context.store.write_spec(prepared.project, spec_to_plain(prepared.spec))
                record = pending_record(context, prepared, self._options, self._known_facts())
                record = replace(record, deadline=deadline(context, QUEUE_SECONDS))
                context.store.write(record)
                ticket.record = record
        except BaseException:
            with self._crew.changed:
                del self._tickets[ticket.key]
            raise

    def _demand(self, prepared: PreparedTask) -> Demand:
        return demand_of(prepared.prepared.bounded.services, self._known_facts().cpus)

    def _known_facts(self) -> EngineFacts:
        if self._facts is None:
            raise RuntimeError("the scheduler is not open")
        return self._facts

    # Cancelling

    def cancel(self, key: str, reason: str = "by hand") -> bool:
        """End one task, whatever it is at; whether there was one that had not ended.

        It returns at once; the ticket's future says when it has ended.
        """
        with self._crew.changed:
            ticket = self._tickets.get(key)
            if ticket is None:
                return False
            if ticket.state == "waiting":
                self._waiting.remove(ticket)
                self._activate(ticket, "starting")
                self._crew.run(self._abandon, ticket, reason)
            else:
                self._end(ticket, reason)
            return True

    def stop(self, reason: str) -> None:
        """Start nothing any more and end what runs; what waits is dropped, without a trace unless durable."""
        with self._crew.changed:
            self._stopped = True
            self._drop_waiting()
            for ticket in self._active:
                self._end(ticket, reason)
            self._crew.changed.notify_all()

    def kill(self) -> None:
        """Do not wait for tasks that are being ended: KILL to what runs."""
        with self._crew.changed:
            running = [one.record for one in self._active if one.state == "running" and one.record]
        context = self._contexts()
        with suppress(StackctlError):
            context.engine.kill(
                [one for record in running for one in record.containers.get(TASK_SERVICE, ())]
            )
        context.engine.close()

    def _drop_waiting(self) -> None:
        while self._waiting:
            ticket = self._waiting.popleft()
            ticket.state = "ended"
            self._tickets.pop(ticket.key, None)
            ticket.drop()

    def _end(self, ticket: Ticket, reason: str) -> None:
        if ticket.cancelled:
            return
        ticket.cancelled = reason
        if ticket.state == "running":
            self._crew.run(self._end_beside, ticket, reason)
        elif ticket.state == "starting":  # it is ended by its own thread
            self._crew.run(self._wish, ticket, reason)

    def _end_beside(self, context: Context, ticket: Ticket, reason: str) -> None:
        with suppress(Busy):  # somebody else is ending it
            end_task(context, task_project(ticket.id), "cancelled", reason, command=self._command)

    def _wish(self, context: Context, ticket: Ticket, reason: str) -> None:
        with suppress(StackctlError):
            wish(context, task_project(ticket.id), reason)

    def _abandon(self, context: Context, ticket: Ticket, reason: str) -> None:
        if ticket.prepared is not None:
            record = give_up(
                context, ticket.prepared, self._options, self._known_facts(), "cancelled", reason
            )
            self._ended(ticket, record)

    # Running

    def _fill(self) -> None:
        """Start what may start now; under the lock."""
        if self._stopped or self._crew.failure is not None:
            return
        used = [one.demand for one in self._active]
        first = [one.demand for one in islice(self._waiting, self._budget.tasks)]
        for _ in range(admit(first, used, self._budget)):
            ticket = self._waiting.popleft()
            self._activate(ticket, "starting")
            self._crew.run(self._start, ticket)

    def _activate(self, ticket: Ticket, state: State) -> None:
        ticket.state = state
        self._active.add(ticket)

    def _start(self, context: Context, ticket: Ticket) -> None:
        prepared = ticket.prepared
        if prepared is None:
            raise RuntimeError("a ticket that waits has a prepared task")
        if ticket.cancelled:
            return self._abandon(context, ticket, ticket.cancelled)
        started = self._ground.begin(context, prepared, self._options, self._known_facts(), ticket.take)
        ticket.prepared = None  # thousands of documents need not be kept
        context.store.remove_spec(prepared.project)
        if isinstance(started, EnvironmentRecord):
            return self._ended(ticket, started)
        self._attend(context, ticket, started)
        return None

    def _attend(self, context: Context, ticket: Ticket, started: Begun) -> None:
        with self._crew.changed:
            ticket.state, ticket.record = "running", started.record
            reason = ticket.cancelled
        if reason:
            started.let_go()
            record = end_task(context, started.record.project, "cancelled", reason, command=self._command)
        else:
            record = self._ground.attend(context, started, self._command, self._crew.bell)
        self._ended(ticket, record)

    def _go_on(self, context: Context, ticket: Ticket) -> None:
        if ticket.record is not None:
            record = self._ground.go_on(context, ticket.record, self._command, self._crew.bell)
            self._ended(ticket, record)

    def _ended(self, ticket: Ticket, record: EnvironmentRecord) -> None:
        ticket.record = record
        if self._on_end is not None:
            self._on_end(record)
        with self._crew.changed:
            ticket.state = "ended"
            self._count += 1
            self._active.discard(ticket)
            self._tickets.pop(ticket.key, None)
            self._fill()
            self._crew.changed.notify_all()
        ticket.future.set_result(record)

    # Recovery

    def recover(self, but: Collection[str] = ()) -> Recovery:
        """Find every task of this holder that an earlier process left, in whatever state.

        Those that run are attended again, whatever the budget says; those that were cut short while they
        were started or ended are brought to rest. Nothing that was started is ever started again.

        Args:
            but: Ids of tasks that have ended and are not asked for.

        Raises:
            StackctlError: One of them cannot be dealt with.
        """
        with self._crew.context() as context:
            records = holders_records(context, self.holder, command=self._command)
            lines = [task_line(record) for record in records if record.phase not in LIVE]
            seen = {record.project for record in records}
            old = context.store.finished_tasks()
            lines += [one for one in old if one.holder == self.holder and task_project(one.id) not in seen]
            lines = [one for one in lines if one.id not in but]
            running = [self._rejoin(record) for record in records if record.phase == "running"]
            again = [record.project for record in records if record.phase == "pending"]
            again += [task_project(line.id) for line in lines if never_began(line)]
            waiting = [one for project in again if (one := self._requeue(context, project)) is not None]
        ended = sorted(lines, key=lambda line: (line.created, line.id))
        return Recovery(running=tuple(running), waiting=tuple(waiting), ended=tuple(ended))

    def _rejoin(self, record: EnvironmentRecord) -> Ticket:
        task = record.task
        if task is None:
            raise RuntimeError(f"{record.project} is no task")
        demand = demand_of(record.services, self._known_facts().cpus)
        ticket = Ticket(key=task.key, id=task.id, demand=demand, record=record)
        with self._crew.changed:
            self._enter(ticket)
            self._activate(ticket, "running")
            self._crew.run(self._go_on, ticket)
        return ticket

    def _requeue(self, context: Context, project: str) -> Ticket | None:
        """Put a task in line again that was kept while it waited; None for one that was not kept."""
        raw = context.store.read_spec(project)
        record = context.store.read(project)
        if raw is None or record is None or record.task is None:
            return None
        try:
            spec = spec_from_plain(raw)
        except ValueError as error:
            raise StateError(f"`{context.store.folder(project)}/spec.json`: {error}") from None
        if spec.key in self._tickets:  # it was put in line again by one that was killed
            context.store.remove_spec(project)
            return None
        if record.phase != "pending":
            ticket = self.submit(spec, spec.key, durable=True)
            context.store.remove_spec(project)
            return ticket
        prepared = self.prepare(spec, spec.key, record.task.id)
        return self.enqueue(prepared)
