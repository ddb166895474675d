"""`restart` and `extend`: what changes an environment without making it anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.errors import PolicyError, ServiceFailed, StackctlError
from stackctl.core.units import show_duration
from stackctl.ops.looking import Scene, look
from stackctl.ops.naming import known_service
from stackctl.ops.recording import finish
from stackctl.ops.recovering import recover
from stackctl.ops.undoing import keep_logs
from stackctl.ops.verifying import verify
from stackctl.ops.waiting import wait_until_ready

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.stack import MachinePolicy
    from stackctl.ops.context import Context


def restart(
    context: Context, record: EnvironmentRecord, services: Sequence[str], *, command: str, timeout: float
) -> tuple[str, ...]:
    """Restart services and wait until they stand again, within the same limits.

    Args:
        services: Their names; all when empty.
        timeout: Seconds.

    Returns:
        The names of what was restarted.

    Raises:
        UnknownName: There is no such service.
        ServiceFailed, NotReady: It did not come back.
    """
    with context.store.lock(record.project, command=command):
        scene = recover(context, look(context, record.project))
        record = running(scene)
        names = tuple(known_service(record, name) for name in services or sorted(record.services))
        chosen = [c.id for c in scene.containers if c.service in names]
        context.progress.step(f"restarting {', '.join(names)}")
        context.engine.restart(chosen)
        try:
            containers = wait_until_ready(
                context, record.project, record.generation, record.services, timeout=timeout
            )
        except StackctlError as error:
            keep_logs(context, record, look(context, record.project).containers, error)
            raise
        verify(context, scene.facts, record.services, containers)
        halted = tuple(name for name in record.halted if name not in names)
        finish(context, replace(record, halted=halted), look(context, record.project))
        return names


def running(scene: Scene) -> EnvironmentRecord:
    """The record of an environment of which something exists.

    Raises:
        ServiceFailed: Nothing of it exists.
    """
    if scene.record is None or not scene.containers:
        name = scene.record.stack if scene.record else scene.project
        raise ServiceFailed(f"nothing of `{name}` is running", hint=f"start it with `stackctl up {name}`")
    return scene.record


def extend(
    context: Context, machine: MachinePolicy, record: EnvironmentRecord, seconds: float, *, command: str
) -> EnvironmentRecord:
    """Let an environment live for so many seconds from now.

    Raises:
        PolicyError: The machine's ceiling is lower.
        ServiceFailed: Nothing of it is running.
    """
    check_ceiling(machine, seconds)
    with context.store.lock(record.project, command=command):
        scene = recover(context, look(context, record.project))
        return finish(context, replace(running(scene), warnings=()), scene, lifetime=seconds)


def check_ceiling(machine: MachinePolicy, lifetime: float) -> None:
    """Refuse a lifetime, in seconds, that the machine's policy does not allow.

    Raises:
        PolicyError: It is above the ceiling.
    """
    ceiling = machine.ceilings.get("lifetime")
    if ceiling is not None and lifetime > ceiling.value:
        raise PolicyError(
            f"{show_duration(lifetime)} is above this machine's ceiling of {show_duration(ceiling.value)}",
            hint=f"the ceiling stands in {ceiling.origin}",
        )
