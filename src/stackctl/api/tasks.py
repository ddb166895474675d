"""Tasks as a program holds them: any one by its id, and those that this program starts itself."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from stackctl.api.world import NAME
from stackctl.core.errors import StateError, TimedOut, UsageError
from stackctl.core.names import task_project
from stackctl.core.records import LIVE, TASK_SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from typing_extensions import Self

    from stackctl.api.asking import Command
    from stackctl.api.outcomes import Completed, Outcome
    from stackctl.api.services import Service
    from stackctl.api.world import World
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.tasks import TaskLine
    from stackctl.core.world import Trail
    from stackctl.ops.task_preparing import PreparedTask
    from stackctl.ops.task_running import Attendance
    from stackctl.ops.task_starting import StartOptions

EXEC_SECONDS = 600.0


class Task:
    """One task, whoever started it; any thread may call any method.

    Attributes:
        id: 12 hex digits.
    """

    def __init__(self, world: World, task: str) -> None:
        self._world = world
        self.id = task

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    @property
    def phase(self) -> str:
        """Where it stands now: `pending`, `starting`, `running`, `stopping`, or how it ended.

        Raises:
            StateError: Nothing is remembered of it any more.
        """
        return self._now().phase

    @property
    def line(self) -> TaskLine:
        """All that a list shows of it, as it stands now.

        Raises:
            StateError: Nothing is remembered of it any more.
        """
        from stackctl.core.tasks import task_line

        return task_line(self._now())

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None while it has not.

        Raises:
            StateError: Nothing is remembered of it any more.
        """
        record = self._now()
        return None if record.phase in LIVE else self._outcome(record)

    @property
    def folder(self) -> Path:
        """Where its record, its output and its sidecars' data are."""
        return self._world.store.folder(task_project(self.id))

    @property
    def sidecars(self) -> Mapping[str, Service]:
        """Its sidecars while they run, by name; once it has ended, only where their data is.

        Raises:
            EngineUnavailable, TimedOut: The engine cannot be asked.
        """
        from stackctl.api.services import services_of
        from stackctl.ops.looking import look
        from stackctl.ops.reaching import addresses, secret_values

        context, record = self._world.context(), self._record()
        if record.phase not in LIVE:
            found = services_of(record, (), self.folder)
        else:
            containers = look(context, record.project).containers
            where = addresses(record, containers, secret_values(context, record))
            found = services_of(record, where, self.folder)
        return {name: one for name, one in found.items() if name in record.sidecars}

    def wait(self, timeout: float | None = None) -> Outcome:
        """Wait until it has ended.

        Args:
            timeout: Seconds; None for as long as it takes, which its lifetime bounds.

        Raises:
            TimedOut: It has not ended by then; it goes on.
            StateError: It was forgotten meanwhile.
            EngineUnavailable: The engine does not answer any more.
        """
        from stackctl.ops.task_looking import wait_for

        context = self._world.context()
        return self._outcome(wait_for(context, task_project(self.id), self._until(timeout)))

    def logs(self) -> str:
        """What it wrote so far to both its streams, in order; what is no UTF-8 is replaced.

        Raises:
            StateError: Nothing is remembered of it any more.
            EngineUnavailable, TimedOut: The engine cannot be asked.
        """
        from stackctl.api.outcomes import read_output

        own = self._container(self._record())
        if own:
            context = self._world.context()
            if context.engine.inspect([own]):
                return context.engine.output(own).decode(errors="replace")
        return read_output(self.folder)

    def exec(
        self,
        command: Command,
        *,
        service: str = TASK_SERVICE,
        user: str = "",
        workdir: str = "",
        env: Mapping[str, str] | None = None,
        timeout: float = EXEC_SECONDS,
    ) -> Completed:
        """Run a command in its container, or in that of one of its sidecars, to its end.

        Where the task has a guard, orphans that the command left behind are swept afterwards.

        Args:
            service: The name of a sidecar; else its own container.
            user: User of the container, empty for the container's.
            workdir: Absolute path in the container, empty for the container's.
            env: Variables for it.
            timeout: Seconds.

        Raises:
            ServiceFailed: The container does not run.
            UnknownName: It has no such sidecar.
            TimedOut: It did not end in time; it goes on in the container.
            EngineRefused: The command could not be run, or wrote more than 64 MiB.
        """
        from stackctl.api.executing import How, execute

        how = How(user=user, workdir=workdir, env=env or {}, seconds=timeout)
        return execute(self._world, self._record(), service, command, how)

    def cancel(self, reason: str = "by hand") -> Outcome:
        """End it and its sidecars, politely at first; its data stays. One that has ended stays as it is.

        Args:
            reason: One sentence, kept in its record.

        Raises:
            Busy: Another command is working on it.
            EngineRefused: Something of it cannot be ended.
        """
        from stackctl.ops.task_ending import end_task

        project = task_project(self.id)
        ended = end_task(
            self._world.context(), project, "cancelled", reason, command=NAME, trails=self._trails()
        )
        return self._outcome(ended)

    def forget(self, *, data: bool = False) -> None:
        """Forget a task that has ended; a container that was kept goes.

        Args:
            data: Delete its sidecars' data as well.

        Raises:
            UsageError: It has not ended.
        """
        from stackctl.ops.task_forgetting import forget

        forget(self._world.context(), task_project(self.id), data=data, command=NAME)

    def _trails(self) -> Mapping[str, Trail]:
        """What this process has read of it, by container."""
        return {}

    def _until(self, timeout: float | None) -> float:
        return float("inf") if timeout is None else self._world.clock.now().boottime + timeout

    def _record(self) -> EnvironmentRecord:
        """Its record as it was last written.

        Raises:
            StateError: There is none.
        """
        record = self._world.store.read(task_project(self.id))
        if record is None:
            raise StateError(
                f"nothing is remembered of the task {self.id}", hint="it was forgotten, or never started"
            )
        return record

    def _now(self) -> EnvironmentRecord:
        """Its record, brought up to date where nobody sees to that."""
        from stackctl.ops.task_looking import settle

        record = self._record()
        if record.phase not in LIVE:
            return record
        settle(self._world.context(), [record])
        return self._record()

    def _outcome(self, record: EnvironmentRecord) -> Outcome:
        from stackctl.api.outcomes import outcome_of

        return outcome_of(record, self.folder)

    @staticmethod
    def _container(record: EnvironmentRecord) -> str:
        return next(iter(record.containers.get(TASK_SERVICE, ())), "")


class OwnTask(Task):
    """A task that belongs to this process: when the process dies, however that goes, the task is ended.

    It is started by entering it (`with client.task(…) as task:`), or by `start`. Leaving the block ends it if
    it still runs. While `wait` waits, its lifetime is kept and its peaks are read by this process; otherwise
    the supervisor does both. One that ends by itself is written down, and its sidecars end, when the program
    next waits, asks for its phase or leaves the block; they serve it until then.
    """

    def __init__(self, world: World, prepared: PreparedTask, options: StartOptions) -> None:
        super().__init__(world, prepared.id)
        self._prepared, self._options = prepared, options
        self._attendance: Attendance | None = None
        self._attending = RLock()

    def start(self) -> OwnTask:
        """Bring its sidecars up, start it, and prove its limits.

        Raises:
            UsageError: It was started already.
            StackctlError: It could not be started; nothing of it is left but its record and its data.
        """
        from stackctl.ops.task_running import Attendance
        from stackctl.ops.task_starting import start_task

        with self._attending:
            if self._attendance is not None:
                raise UsageError(f"the task {self.id} was started already")
            context = self._world.context()
            started = start_task(
                context, self._prepared, self._options, announced=lambda _: self._world.watch()
            )
            self._attendance = Attendance(context=context, started=started, command=NAME)
        return self

    def __enter__(self) -> Self:
        if self._attendance is None:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        how = f"by {kind.__name__}" if kind is not None else "before it had ended"
        if self._world.store.read(task_project(self.id)) is not None and self._now().phase in LIVE:
            self.cancel(f"its block was left {how}")
        self._let_go()

    def cancel(self, reason: str = "by hand") -> Outcome:
        """End it and its sidecars; see `Task.cancel`.

        Raises:
            Busy: Another command is working on it.
            EngineRefused: Something of it cannot be ended.
        """
        outcome = super().cancel(reason)
        self._let_go()
        return outcome

    def _let_go(self) -> None:
        """Hang up, unless a thread waits, which does so itself."""
        with self._attended(0) as attendance:
            if attendance is not None:
                attendance.let_go()

    def wait(self, timeout: float | None = None) -> Outcome:
        """Wait until it has ended; see `Task.wait`. Of several threads that wait, one attends it.

        Raises:
            TimedOut: It has not ended by then; it goes on.
            Busy: Another command is working on it.
            EngineUnavailable: The engine does not answer any more; the supervisor ends the task.
        """
        until = self._until(timeout)
        with self._attended(timeout) as attendance:
            if attendance is None or not attendance.stay(until):
                raise TimedOut(f"task {self.id} is still {self._record().phase}", hint="give it more time")
            record = self._conclude(attendance)
        # another command may have begun to end it, and have been killed then
        return super().wait(timeout) if record.phase in LIVE else self._outcome(record)

    @contextmanager
    def _attended(self, timeout: float | None) -> Iterator[Attendance | None]:
        """Its attendance for this thread alone, with its engine; None where another has it so long."""
        if self._attendance is None:
            raise UsageError(
                f"the task {self.id} was not started", hint="enter it: `with client.task(…) as task`"
            )
        if not self._attending.acquire(timeout=-1 if timeout is None else max(0.0, timeout)):
            yield None
            return
        try:
            self._attendance.context = self._world.context()
            yield self._attendance
        finally:
            self._attending.release()

    def _trails(self) -> Mapping[str, Trail]:
        return self._attendance.trails if self._attendance is not None else {}

    def _conclude(self, attendance: Attendance) -> EnvironmentRecord:
        attendance.let_go()
        return attendance.conclude()

    def _now(self) -> EnvironmentRecord:
        record = self._record()
        if record.phase != "running":
            return record
        with self._attended(0) as attendance:
            if attendance is not None and attendance.is_over():
                return self._conclude(attendance)
        return self._record()
