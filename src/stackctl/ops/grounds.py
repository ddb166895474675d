"""Where the tasks of a scheduler run: on one engine, or on the nodes of the Swarm that it manages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from stackctl.core.errors import EngineRefused, StackctlError
from stackctl.core.records import EnvironmentRecord
from stackctl.core.swarm_tasks import old_managers
from stackctl.ops.swarm_attending import attend_on_swarm
from stackctl.ops.swarm_looking import manager
from stackctl.ops.swarm_task_looking import Lookout
from stackctl.ops.swarm_task_starting import start_on_swarm
from stackctl.ops.task_starting import Started, start_task
from stackctl.ops.task_working import FATAL, attend, begin, concluded, go_on

if TYPE_CHECKING:
    from stackctl.core.facts import EngineFacts
    from stackctl.ops.context import Context
    from stackctl.ops.task_preparing import PreparedTask
    from stackctl.ops.task_starting import StartOptions
    from stackctl.ops.task_working import Bell

Announced = Callable[[EnvironmentRecord], None]


class Begun(Protocol):
    """A task that was started, in the hands of who started it."""

    @property
    def record(self) -> EnvironmentRecord: ...

    def let_go(self) -> None: ...


class Ground(Protocol):
    """Where tasks run. What is raised is what no single task is to blame for.

    `supervised` says whether a supervisor of this machine sees to them when the scheduler is gone.
    """

    supervised: bool

    def facts(self, context: Context) -> EngineFacts: ...

    def begin(
        self,
        context: Context,
        prepared: PreparedTask,
        options: StartOptions,
        facts: EngineFacts,
        announced: Announced,
    ) -> Begun | EnvironmentRecord: ...

    def attend(self, context: Context, begun: Begun, command: str, bell: Bell) -> EnvironmentRecord: ...

    def go_on(
        self, context: Context, record: EnvironmentRecord, command: str, bell: Bell
    ) -> EnvironmentRecord: ...


class OneEngine:
    """One engine, in whose containers they run."""

    supervised = True

    def facts(self, context: Context) -> EngineFacts:
        """What it says of itself."""
        return context.engine.facts()

    def begin(
        self,
        context: Context,
        prepared: PreparedTask,
        options: StartOptions,
        facts: EngineFacts,
        announced: Announced,
    ) -> Started | EnvironmentRecord:
        """Start a task; its record where it could not be started, which says why."""
        return begin(
            context,
            prepared,
            options,
            facts,
            lambda: start_task(context, prepared, options, announced=announced),
        )

    def attend(self, context: Context, begun: Begun, command: str, bell: Bell) -> EnvironmentRecord:
        """Stay with a task until it has ended."""
        if not isinstance(begun, Started):
            raise TypeError(f"{begun.record.project} was started elsewhere")
        return attend(context, begun, command, bell)

    def go_on(
        self, context: Context, record: EnvironmentRecord, command: str, bell: Bell
    ) -> EnvironmentRecord:
        """Stay with a task that another process began."""
        return go_on(context, record, command, bell)


class OnSwarm:
    """A Swarm, which puts each task on one of its nodes."""

    supervised = False

    def __init__(self) -> None:
        self._lookout, self._api = Lookout(), (0, 0)

    def facts(self, context: Context) -> EngineFacts:
        """What its manager says of itself, as the Swarm: its id, and no number of processors.

        Raises:
            EngineRefused: The engine manages no Swarm, or its managers are too old.
        """
        cluster, self._api = manager(context), context.engine.swarm().api()
        if why := old_managers(self._api):
            raise EngineRefused(f"tasks cannot run on this Swarm: {why}", hint="Docker 20.10 has it")
        return replace(context.engine.facts(), id=cluster.id, cpus=0)

    def begin(
        self,
        context: Context,
        prepared: PreparedTask,
        options: StartOptions,
        facts: EngineFacts,
        announced: Announced,
    ) -> Begun | EnvironmentRecord:
        """Tell Swarm of a task; its record where it could not be started, which says why."""
        return begin(
            context,
            prepared,
            options,
            facts,
            lambda: start_on_swarm(context, prepared, options, facts, self._api, announced),
        )

    def attend(self, context: Context, begun: Begun, command: str, bell: Bell) -> EnvironmentRecord:
        """Stay with a task until it has ended."""
        return self.go_on(context, begun.record, command, bell)

    def go_on(
        self, context: Context, record: EnvironmentRecord, command: str, bell: Bell
    ) -> EnvironmentRecord:
        """Stay with a task that was begun, by whomsoever."""
        try:
            record = attend_on_swarm(context, record, command, bell, self._lookout)
        except FATAL:
            raise
        except StackctlError:
            record = context.store.read(record.project) or record
        return concluded(context, record, command)
