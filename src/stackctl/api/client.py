"""The client: what a program starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackctl.api.world import NAME, World

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from stackctl.api.asking import Command, TaskOptions
    from stackctl.api.environments import Environment
    from stackctl.api.limits import Limits
    from stackctl.api.orchestrator import Orchestrator
    from stackctl.api.outcomes import Outcome
    from stackctl.api.tasks import OwnTask, Task
    from stackctl.api.world import Supervision
    from stackctl.core.tasks import TaskLine
    from stackctl.ops.preparing import Prepared
    from stackctl.ops.up import UpOptions

WAIT_SECONDS = 120.0


class Client:
    """One state directory and one engine; several clients in one process know nothing of each other.

    Any thread may call any method, and of what the methods return: each thread has connections of its own.
    Nothing is printed, no signal is caught, no variable of the environment is set. It may be used as a
    context manager, which closes it at the end; what it started runs on unless it belongs to a `with` block
    of its own.

    Args:
        home: State directory; None for `STACKCTL_HOME`, else the user's data directory.
        engine: Address of the engine such as `unix:///run/docker.sock`; None as docker itself would choose.
        supervisor: `auto` starts a supervisor in the background where none watches; `manual` starts none, so
            that nobody ends what outlives its lifetime or its process but the next command. None as
            `STACKCTL_SUPERVISOR` or the user's configuration has it, else `auto`.
        folder: Where stacks, templates and relative paths are looked for; None for the working directory.
        warn: Called with each warning, one sentence, in the thread where it arises; None to hear of none.

    Raises:
        UsageError: There is no such word for `supervisor`.
        StateError: The state directory cannot be used or trusted.
        StackFileError: The user's configuration, or the machine's policy, cannot be read.
    """

    def __init__(
        self,
        home: str | Path | None = None,
        engine: str | None = None,
        supervisor: Supervision | None = None,
        *,
        folder: str | Path | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self._world = World(home=home, engine=engine, supervisor=supervisor, folder=folder, warn=warn)

    @property
    def home(self) -> Path:
        """Its state directory, as a real path."""
        return self._world.store.home

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection, once no other thread is in a call; afterwards every call is an error."""
        self._world.close()

    # Tasks

    def task(self, image: str, command: Command = (), **options: Unpack[TaskOptions]) -> OwnTask:
        """A task that is started by entering it, and belongs to this process.

        It is checked here, before docker hears of it.

        Args:
            image: Reference of the image; with `inside`, also the name of a task that the stack defines.
            command: Words, or text that is split as a shell splits it; empty for the image's own.
            options: As in `TaskOptions`.

        Raises:
            TypeError: There is no such option.
            UsageError: Something of it is wrong; all that can be told at once.
            PolicyError: It asks for what policy refuses; all problems at once.
            UnknownName: The environment, or the data, that it names is not there.
        """
        from stackctl.api.asking import as_defined, ask, prepare, project_of, started_with
        from stackctl.api.tasks import OwnTask

        spec = ask(self._world, image, command, options)
        inside = project_of(self._world, options.get("inside", ""), options.get("instance", ""))
        spec = as_defined(self._world, spec, inside)
        starting = started_with(self._world, options, inside=inside)
        return OwnTask(self._world, prepare(self._world, spec), starting)

    def run(
        self,
        image: str,
        command: Command = (),
        *,
        timeout: float | None = None,
        **options: Unpack[TaskOptions],
    ) -> Outcome:
        """Run a task to its end; `.logs()` of its outcome is what it wrote.

        Args:
            image: As for `task`.
            command: As for `task`.
            timeout: Seconds after which it is ended; None for its lifetime alone.
            options: As in `TaskOptions`.

        Raises:
            TimedOut: It did not end in time; it was ended.
            StackctlError: It could not be started; as for `task`.
        """
        with self.task(image, command, **options) as task:
            return task.wait(timeout)

    def tasks(self, all: bool = False) -> tuple[TaskLine, ...]:  # noqa: A002 - as `stackctl tasks --all`
        """The tasks that live, or every one that is remembered; the oldest first.

        Raises:
            StateError: They cannot be listed.
        """
        from stackctl.ops.task_looking import list_tasks

        return list_tasks(self._world.context(), everything=all)

    def task_by_id(self, task: str) -> Task:
        """Any task, by its id, a unique beginning of that, or the name of one that lives.

        Raises:
            UnknownName: It means none, or several.
        """
        from stackctl.api.tasks import Task
        from stackctl.ops.naming import task as find

        return Task(self._world, find(task, self._world.store).title)

    def prepare(self, sidecars: Sequence[str] | Mapping[str, str | Mapping[str, Any]]) -> None:
        """Render the templates of sidecars now, so that the tasks that have them start 0.3 s sooner.

        Raises:
            UsageError: A template is missing or wrong.
        """
        from stackctl.api.asking import ask

        spec = ask(self._world, "scratch", (), {"sidecars": sidecars})
        self._world.kitchen.sidecars(spec.sidecars, spec.source)

    def orchestrator(
        self,
        name: str,
        *,
        max_running: int = 4,
        budget: Limits | None = None,
        inside: str = "",
        instance: str = "",
        wait_timeout: float = WAIT_SECONDS,
        pull: bool = False,
        allow_unenforced: bool = False,
    ) -> Orchestrator:
        """An asyncio face for many tasks: `async with client.orchestrator("evals") as o:`.

        Args:
            name: What it is known by in this state directory: a-z, 0-9, `-`, `_` and `.`; one process at a
                time is the orchestrator of a name.
            max_running: How many tasks run at once at most.
            budget: What they may use together, `memory` and `cpus`; None for the engine's whole host.
            inside: Name of an environment whose network its tasks join.
            instance: With `inside`, another environment of the same stack.
            wait_timeout: Seconds until a task's sidecars must be ready.
            pull: Ask the registry for newer images even where the engine has one.
            allow_unenforced: Go on where the kernel cannot enforce a limit.

        Raises:
            UsageError: The name cannot be one, or nothing could run.
            UnknownName: There is no such environment.
            Busy: Another process is the orchestrator of that name (when it is entered).
        """
        from stackctl.api.asking import project_of
        from stackctl.api.orchestrator import Orchestrator
        from stackctl.core.errors import UsageError
        from stackctl.core.names import check_name
        from stackctl.ops.task_starting import StartOptions

        check_name(name, "orchestrator")
        if max_running < 1:
            raise UsageError(f"max_running is {max_running}", hint="at least one task must be able to run")
        options = StartOptions(
            command=f"{NAME}: {name}",
            tied=False,
            wait_timeout=wait_timeout,
            inside=project_of(self._world, inside, instance),
            pull=pull,
            allow_unenforced=allow_unenforced,
        )
        return Orchestrator(self._world, name, max_running, budget, options)

    # Environments

    def up(
        self,
        name: str,
        *,
        set: Mapping[str, str] | None = None,  # noqa: A002 - as `stackctl up --set`
        limits: Limits | None = None,
        instance: str = "",
        wait_timeout: float = WAIT_SECONDS,
        build: bool = False,
        pull: bool = False,
        frozen: bool = False,
        allow_unenforced: bool = False,
    ) -> Environment:
        """Bring an environment up, or make it what its stack's file now says; it outlives this process.

        Args:
            name: Name of the stack, of a template or of compose files.
            set: Values for variables of its template, `sidecar.name` too; what its compose files interpolate.
            limits: For every service, over those of the stack's file; a lifetime counts from now.
            instance: Another environment of the same stack.
            wait_timeout: Seconds until every service must be ready.
            build: Build images anew.
            pull: Ask the registry for newer images even where the engine has one.
            frozen: Refuse where the stack's lock is missing or stale.
            allow_unenforced: Go on where the kernel cannot enforce a limit.

        Raises:
            UsageError: The stack or a template is wrong; all problems at once.
            PolicyError: It asks for what policy refuses, or its lock does not hold; all problems at once.
            EngineRefused: Compose does not accept its compose files.
            NotReady: A service was not ready in time; what was started is undone.
            StackctlError: It did not come up; nothing of it is left but its data.
        """
        from stackctl.api.world import prepared_stack
        from stackctl.ops.preparing import Request
        from stackctl.ops.up import UpOptions
        from stackctl.ops.volumes import PROJECT_NAME

        world, layer = self._world, limits.layer() if limits is not None else {}
        given = {name: str(value) for name, value in (set or {}).items()}
        request = Request(name=name, instance=instance, given=given, limits=layer)
        prepared = prepared_stack(world, request, frozen)
        options = UpOptions(
            command=f"{NAME}: up {name}",
            wait_timeout=wait_timeout,
            lifetime=layer["lifetime"].value if "lifetime" in layer else None,
            build=build,
            pull=pull,
            allow_unenforced=allow_unenforced,
            plain_name=world.environ.get(PROJECT_NAME, ""),
        )
        return self._brought_up(prepared, options)

    def _brought_up(self, prepared: Prepared, options: UpOptions) -> Environment:
        from stackctl.api.environments import Environment
        from stackctl.ops.up import up

        world = self._world
        result = up(world.context(), prepared, options, announced=lambda _: world.watch())
        if result.unchanged:
            world.watch()
        return Environment(world, result.record)

    def environments(self, all: bool = False) -> tuple[Environment, ...]:  # noqa: A002 - as for `tasks`
        """The environments of this state directory that are up, or every one that is remembered.

        Raises:
            StateError: They cannot be listed.
        """
        from stackctl.api.environments import Environment
        from stackctl.core.records import LIVE

        found = [one for one in self._world.store.records() if one.task is None]
        return tuple(Environment(self._world, one) for one in found if all or one.phase in LIVE)

    def environment(self, name: str, instance: str = "") -> Environment:
        """The environment that the name of a stack, or of a project, means.

        Raises:
            UnknownName: It means none, or several.
        """
        from stackctl.api.environments import Environment
        from stackctl.core.errors import UnknownName
        from stackctl.ops.naming import environment

        record = environment(name, instance, self._world.places, self._world.store)
        if record.task is not None:
            raise UnknownName(f"`{name}` is a task", hint="`task_by_id` finds tasks")
        return Environment(self._world, record)

    def down(self, name: str, instance: str = "") -> None:
        """End an environment; its data stays.

        Raises:
            UnknownName: There is none of that name.
            Busy: Another command is working on it.
            EngineRefused: Something of it cannot be removed.
        """
        self.environment(name, instance).down()
