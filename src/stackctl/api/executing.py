"""A command in a container that runs already, its output for the caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackctl.core.errors import ServiceFailed, StackctlError, UsageError

if TYPE_CHECKING:
    from stackctl.api.asking import Command
    from stackctl.api.outcomes import Completed
    from stackctl.api.world import World
    from stackctl.core.facts import Container
    from stackctl.core.records import EnvironmentRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How a command is run: as whom and where, with which variables, and for how many seconds at most."""

    user: str
    workdir: str
    env: Mapping[str, str]
    seconds: float


def execute(
    world: World,
    record: EnvironmentRecord,
    service: str,
    command: Command,
    how: How,
) -> Completed:
    """Run a command in a service's container to its end, then sweep what its guard is for.

    Raises:
        UsageError: There is no command, or a variable cannot be one.
        ServiceFailed: The container does not run.
        TimedOut: It did not end in time.
        EngineRefused: It could not be run.
    """
    from stackctl.api.outcomes import completed_of
    from stackctl.core.tasks import check_environment

    words, variables = words_of(command), check_environment(how.env, "env")
    container = _running(world, record, service)
    code, written = world.engine().capture(
        container.id, words, seconds=how.seconds, user=how.user, workdir=how.workdir, variables=variables
    )
    if record.services[service].guard:
        _sweep(world, record, container)
    return completed_of(code, written)


def words_of(command: Command) -> tuple[str, ...]:
    """The words of a command.

    Raises:
        UsageError: It has none, or one that cannot be one.
    """
    from stackctl.core.stackfile import command as read

    try:
        return read(command if isinstance(command, str) else list(command))
    except ValueError as error:
        raise UsageError(f"the command {error}", hint='such as ["pytest", "-q"]') from None


def _running(world: World, record: EnvironmentRecord, service: str) -> Container:
    from stackctl.ops.looking import look
    from stackctl.ops.naming import known_service

    known_service(record, service)
    for one in look(world.context(), record.project).containers:
        if one.service == service and one.state == "running":
            return one
    raise ServiceFailed(f"`{service}` of `{record.title}` is not running", hint=f"it is {record.phase}")


def _sweep(world: World, record: EnvironmentRecord, container: Container) -> None:
    """Sweep what a command left behind; whatever comes of it, the command's own result stands."""
    from stackctl.ops.sweeping import sweep_after_exec

    try:
        swept = sweep_after_exec(world.context(), record, container)
    except StackctlError as error:
        world.warn(error.message)
        return
    if swept.words:
        world.warn(swept.words)
