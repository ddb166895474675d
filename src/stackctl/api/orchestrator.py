"""Many tasks from an asyncio program: within a budget, each key once, kept when it is replaced."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Generator, Mapping
from concurrent.futures import CancelledError
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from stackctl.core.errors import Busy, StackctlError, UsageError

if TYPE_CHECKING:
    from concurrent.futures import Future
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from stackctl.api.asking import Command, SpecOptions
    from stackctl.api.limits import Limits
    from stackctl.api.outcomes import Outcome
    from stackctl.api.tasks import Task
    from stackctl.api.world import World
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.tasks import TaskLine
    from stackctl.ops import scheduling
    from stackctl.ops.scheduling import Scheduler
    from stackctl.ops.task_starting import StartOptions

AT_ONCE = 16
"""Tasks that are cancelled at once; each takes a thread."""


class Ticket:
    """A task of an orchestrator; awaiting it gives its outcome.

    Awaiting raises `Busy` where the orchestrator was handed over or closed before the task had ended, and
    the orchestrator's own error where that failed. Any number of coroutines may await it, at any time.

    Attributes:
        id: The task's id, 12 hex digits.
        key: What tells it from the orchestrator's other tasks.
    """

    def __init__(self, world: World, task: str, key: str, future: asyncio.Future[Outcome]) -> None:
        self._world, self._future = world, future
        self._ticket: scheduling.Ticket | None = None
        self.id, self.key = task, key

    def __repr__(self) -> str:
        return f"<Ticket {self.key} {self.id} {self.state}>"

    def __await__(self) -> Generator[Any, None, Outcome]:
        return asyncio.shield(self._future).__await__()

    @property
    def state(self) -> str:
        """`waiting`, `starting`, `running` or `ended`."""
        return "ended" if self._future.done() or self._ticket is None else self._ticket.state

    @property
    def task(self) -> Task:
        """The task itself, for its logs, its sidecars, and commands in it; its methods block."""
        from stackctl.api.tasks import Task

        return Task(self._world, self.id)


class Orchestrator:
    """Runs tasks, so many at once within a budget, strictly in the order in which they were submitted.

    `async with client.orchestrator("evals") as o:` is the one of its name in this state directory. Its tasks
    do not belong to this process: killed at any moment, they run on, bounded and watched by the supervisor,
    those that wait are kept on disk, and the next orchestrator of the name finds all of them. A key is done
    once: `submit` with the key of a task that waits, runs or has ended gives that task's ticket and starts
    nothing, so that a program may submit all it has whenever it begins. Only one that was cancelled, or was
    lost before it had begun, is begun anew.

    Leaving the block waits until everything has ended; leaving it by an error, or cancelled, ends what runs
    and gives up what waits. `hand_over` before that keeps all of it for the next one.

    All methods belong to the event loop that entered it.
    """

    def __init__(
        self, world: World, name: str, max_running: int, budget: Limits | None, options: StartOptions
    ) -> None:
        self._world, self.name = world, name
        self._max, self._budget, self._options = max_running, budget, options
        self._held = ExitStack()
        self._open: dict[str, Ticket] = {}
        self._ended: dict[str, TaskLine] = {}
        self._news: deque[Outcome] = deque()
        self._failure: BaseException | None = None
        self._entering: dict[str, asyncio.Task[Ticket]] = {}
        self._over = False

    # Beginning and end

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        beginning = asyncio.ensure_future(asyncio.to_thread(self._begin))
        try:
            self._scheduler, found = await asyncio.shield(beginning)
        except BaseException:
            await asyncio.wait([beginning])
            await asyncio.to_thread(self._held.close)
            raise
        self._ended = {line.key: line for line in found.ended}
        for one in (*found.running, *found.waiting):
            self._follow(one)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not None and not self._over:
                await self.cancel_all(f"its orchestrator was left by {kind.__name__}")
            while (self._open or self._entering) and self._failure is None:
                await self._something()
        finally:
            self._over = True
            self._settle_all(self._left())
            await asyncio.shield(asyncio.to_thread(self._held.close))
        if self._failure is not None and kind is None:
            raise self._failure

    def _begin(self) -> tuple[Scheduler, scheduling.Recovery]:
        from stackctl.ops.scheduling import Scheduler

        facts = self._world.engine().facts()
        scheduler = Scheduler(
            contexts=self._world.new_context,
            kitchen=self._world.kitchen,
            budget=_budget(facts.memory, facts.cpus, self._max, self._budget),
            holder=self.name,
            command=self._options.command,
            options=self._options,
        )
        self._held.enter_context(scheduler.open())
        self._world.watch()
        return scheduler, scheduler.recover()

    async def hand_over(self) -> None:
        """Stop at once and end nothing: a new orchestrator of the name, in any process, takes all of it over.

        What runs runs on, what waits stays in line. Awaiting a ticket that has not ended raises `Busy` from
        now on, and `submit` is an error.

        Raises:
            TimedOut: A task is still being started.
        """
        await asyncio.to_thread(self._scheduler.hand_over)
        self._over = True
        self._settle_all(self._left())

    # Tasks

    async def submit(
        self, image: str, command: Command = (), *, key: str = "", **options: Unpack[SpecOptions]
    ) -> Ticket:
        """Put a task in line; it is on disk when this returns.

        Args:
            image: Reference of the image; where the orchestrator runs inside an environment, also the name of
                a task that its stack defines.
            command: Words, or text that is split as a shell splits it; empty for the image's own.
            key: What it is known by; an orchestrator does each key once, until its task is forgotten. Empty
                for a new one.
            options: As in `SpecOptions`.

        Raises:
            TypeError: There is no such option.
            UsageError: Something of it is wrong, it never fits into the budget, or the orchestrator is over.
            PolicyError: It asks for what policy refuses; all problems at once.
            StackctlError: The orchestrator failed before.
        """
        if self._failure is not None:
            raise self._failure
        if self._over:
            raise UsageError(f"`{self.name}` takes no more tasks", hint="it was handed over or closed")
        key = key or uuid4().hex
        known = self._known(key)
        if known is not None:
            return known
        if key not in self._entering:
            entering = asyncio.create_task(self._enter(image, command, key, options))
            entering.add_done_callback(_heard)
            self._entering[key] = entering
        # whoever gives up here does not keep a task that is on disk from being followed
        return await asyncio.shield(self._entering[key])

    async def _enter(self, image: str, command: Command, key: str, options: SpecOptions) -> Ticket:
        try:
            return self._follow(await asyncio.to_thread(self._queue, image, command, key, options))
        finally:
            del self._entering[key]
            self._changed.set()

    def _queue(self, image: str, command: Command, key: str, options: SpecOptions) -> scheduling.Ticket:
        from stackctl.api.asking import SpecOptions, as_defined, ask

        spec = ask(self._world, image, command, options, SpecOptions)
        spec = as_defined(self._world, spec, self._options.inside)
        self._world.watch()
        return self._scheduler.submit(spec, key, durable=True)

    def _known(self, key: str) -> Ticket | None:
        """The ticket of a key that waits, runs, or was done; None for one that may be begun."""
        from stackctl.core.batch_results import never_began

        found, line = self._open.get(key), self._ended.get(key)
        if found is not None or line is None or line.phase == "cancelled" or never_began(line):
            return found
        outcome = self._outcome_of(line.id)
        if outcome is None:  # it was forgotten meanwhile
            del self._ended[key]
            return None
        ticket = Ticket(self._world, line.id, key, self._loop.create_future())
        ticket._future.set_result(outcome)
        return ticket

    def _outcome_of(self, task: str) -> Outcome | None:
        from stackctl.api.tasks import Task

        with suppress(StackctlError):
            return Task(self._world, task).outcome
        return None

    @property
    def active(self) -> tuple[Ticket, ...]:
        """What is being started or runs, those taken over too."""
        return tuple(one for one in self._open.values() if one.state in ("starting", "running"))

    @property
    def waiting(self) -> tuple[Ticket, ...]:
        """What is in line, in order."""
        return tuple(one for one in self._open.values() if one.state == "waiting")

    @property
    def ended(self) -> Mapping[str, TaskLine]:
        """What has ended under this name and is not forgotten, by key; of former processes too."""
        return dict(self._ended)

    async def outcomes(self) -> AsyncIterator[Outcome]:
        """The outcomes of what ends from now on, as it ends, each once; until nothing waits or runs.

        Raises:
            StackctlError: The orchestrator failed: nothing starts any more; what runs goes on.
        """
        while True:
            while self._news:
                yield self._news.popleft()
            if self._failure is not None:
                raise self._failure
            if not self._open:
                return
            await self._something()

    async def cancel(self, key: str, reason: str = "by hand") -> bool:
        """End one task, whatever it is at, and wait until it has ended; whether there was one."""
        ticket = self._open.get(key)
        if ticket is None:
            return False
        await asyncio.to_thread(self._scheduler.cancel, key, reason)
        with suppress(StackctlError):
            await ticket
        return True

    async def cancel_all(self, reason: str = "by hand") -> None:
        """End what runs, give up what waits, and wait until all have ended."""
        keys = [one.key for one in (*reversed(self.waiting), *self.active)]
        for first in range(0, len(keys), AT_ONCE):
            await asyncio.gather(*(self.cancel(key, reason) for key in keys[first : first + AT_ONCE]))

    # What threads tell

    def _follow(self, entered: scheduling.Ticket) -> Ticket:
        ticket = Ticket(self._world, entered.id, entered.key, self._loop.create_future())
        ticket._ticket = entered
        self._open[entered.key] = ticket

        def told(future: Future[EnvironmentRecord]) -> None:
            with suppress(RuntimeError):  # the loop was closed meanwhile
                self._loop.call_soon_threadsafe(self._told, ticket, future)

        entered.future.add_done_callback(told)
        return ticket

    def _told(self, ticket: Ticket, future: Future[EnvironmentRecord]) -> None:
        """A task has ended, or nothing more is learned of it; in the loop."""
        error = future.exception()
        if error is None:
            self._learn(ticket, future.result())
        elif isinstance(error, CancelledError):
            self._settle(ticket, self._left())
        else:
            self._failure = self._failure or error
            self._settle_all(error)

    def _learn(self, ticket: Ticket, record: EnvironmentRecord) -> None:
        from stackctl.api.outcomes import outcome_of
        from stackctl.core.tasks import task_line

        outcome = outcome_of(record, self._world.store.folder(record.project))
        self._ended[ticket.key] = task_line(record)
        self._news.append(outcome)
        self._settle(ticket, outcome)

    def _left(self) -> BaseException:
        """Why nothing more is learned of a task here."""
        gone = Busy(f"`{self.name}` has let go of it", hint="the next orchestrator of that name has the task")
        return self._failure or gone

    def _settle_all(self, error: BaseException) -> None:
        for ticket in list(self._open.values()):
            self._settle(ticket, error)

    def _settle(self, ticket: Ticket, end: Outcome | BaseException) -> None:
        if self._open.get(ticket.key) is ticket:
            del self._open[ticket.key]
        if not ticket._future.done():
            if isinstance(end, BaseException):
                ticket._future.set_exception(end)
                ticket._future.exception()  # it need not be awaited
            else:
                ticket._future.set_result(end)
        self._changed.set()

    async def _something(self) -> None:
        """Wait until a task has ended."""
        self._changed.clear()
        await self._changed.wait()


def _heard(entering: asyncio.Task[Ticket]) -> None:
    """Its error need not be awaited: asyncio would print it."""
    if not entering.cancelled():
        entering.exception()


def _budget(memory: int, cpus: int, tasks: int, asked: Limits | None) -> Any:
    """What all may use at once: what was asked for, else the whole of the engine's host.

    Raises:
        UsageError: It names what no budget has.
    """
    from stackctl.core.admission import host_budget, parse_budget

    whole = host_budget(memory, cpus, tasks)
    said = asked.plain() if asked is not None else {}
    wrong = sorted(said.keys() - {"memory", "cpus"})
    if wrong:
        raise UsageError(f"a budget has no {wrong[0]}", hint='such as budget=Limits(memory="16g", cpus=8)')
    return parse_budget(",".join(f"{name}={value}" for name, value in said.items()), whole) if said else whole
