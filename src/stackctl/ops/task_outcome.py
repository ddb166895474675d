"""What a task leaves behind when it ends: its exit code, its output, and the most that it used."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.errors import EngineRefused, Interrupted, StackctlError, StateError, TimedOut
from stackctl.core.facts import ENDED
from stackctl.core.records import TASK_SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stackctl.core.facts import Container
    from stackctl.core.records import EnvironmentRecord, Phase
    from stackctl.ops.context import Context
    from stackctl.ops.looking import Scene


def own_container(containers: Iterable[Container]) -> Container | None:
    """A task's own container, not one of a sidecar; None when it is not there."""
    return next((one for one in containers if one.service == TASK_SERVICE), None)


def undone_as(context: Context, record: EnvironmentRecord, error: BaseException) -> tuple[Phase, str]:
    """What a task ends as whose start is undone for an error, and why."""
    by_hand = isinstance(error, (KeyboardInterrupt, Interrupted))
    wished = context.store.end_wished(record.project)
    reason = wished or ("interrupted" if by_hand else (str(error) or type(error).__name__))
    return "cancelled" if by_hand else "failed", reason


def with_start(record: EnvironmentRecord, containers: Iterable[Container]) -> EnvironmentRecord:
    """A task's record with the time at which its own container was started; an environment's as it is."""
    own = own_container(containers)
    if record.task is None or own is None:
        return record
    return replace(record, task=replace(record.task, started=own.started))


def learn_outcome(context: Context, scene: Scene, record: EnvironmentRecord) -> tuple[EnvironmentRecord, str]:
    """Stop a task's own container, and keep what it says before it is removed; nothing of an environment.

    What cannot be learned keeps nothing from being ended.

    Returns:
        The record with the outcome, not yet written, and the id of the container that is to stay, or empty.
    """
    task, found = record.task, own_container(scene.containers)
    if task is None or found is None:
        return record, ""
    ended = _stopped(context, found)
    if ended.state in ENDED and ended.started:
        task = replace(task, exit_code=ended.exit_code, started=ended.started, finished=ended.finished)
    with suppress(StackctlError):
        context.store.write_output(record.project, context.engine.output(found.id))
    with suppress(StateError, AttributeError, TypeError, ValueError):
        peaks = context.store.peaks(record.project).get(TASK_SERVICE) or {}
        task = replace(
            task,
            peak_pids=max(task.peak_pids, int(peaks.get("pids", 0))),
            peak_memory=max(task.peak_memory, int(peaks.get("memory", 0))),
        )
    return replace(record, task=task), found.id if task.keep else ""


def _stopped(context: Context, container: Container) -> Container:
    """The container once it has ended, as far as that can be had; the ending itself is verified later."""
    if container.state not in ENDED:
        with suppress(EngineRefused, TimedOut):
            context.engine.stop([container.id] if container.state != "created" else [])
        return next(iter(context.engine.inspect([container.id])), container)
    return container
