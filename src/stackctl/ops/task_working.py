"""One task of a scheduler, from its start to its end, in a thread of its own."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from stackctl.core.errors import (
    DaemonFrozen,
    EngineUnavailable,
    Interrupted,
    StackctlError,
    StateError,
    TimedOut,
)
from stackctl.core.records import LIVE
from stackctl.ops.adopting_tasks import attend_again, bring_to_rest
from stackctl.ops.recording import ended
from stackctl.ops.task_looking import wait_for
from stackctl.ops.task_running import Attendance, NoTerminal
from stackctl.ops.task_starting import pending_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from stackctl.core.facts import EngineFacts
    from stackctl.core.records import EnvironmentRecord, Phase
    from stackctl.ops.context import Context
    from stackctl.ops.task_preparing import PreparedTask
    from stackctl.ops.task_starting import Started, StartOptions

Begun = TypeVar("Begun")
FATAL = (EngineUnavailable, DaemonFrozen, StateError)
"""What no single task is to blame for: nothing can be started, or nothing can be written down."""
PATIENCE = 120.0
"""Seconds for an ending that failed, until somebody has ended it after all."""
TRIES = 3


class HandedOver(Exception):
    """This process is to attend no more; the task runs on."""


class Bell(NoTerminal):
    """What all attendances of a scheduler hear at once: that they are to leave their tasks."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._rung = False

    def ring(self) -> None:
        """Let everybody leave, now and later."""
        if not self._rung:
            self._rung = True
            os.write(self._writer, b"!")

    def wishes(self) -> int:
        """Readable once it was rung, and for ever."""
        return self._reader

    def heard(self) -> int:
        """Nothing, or an end to the attendance.

        Raises:
            HandedOver: It was rung.
        """
        if self._rung:
            raise HandedOver
        return 0

    def close(self) -> None:
        """Let go of it, once nobody listens."""
        os.close(self._reader)
        os.close(self._writer)


def begin(
    context: Context,
    prepared: PreparedTask,
    options: StartOptions,
    facts: EngineFacts,
    start: Callable[[], Begun],
) -> Begun | EnvironmentRecord:
    """Start a task; its record where it could not be started, which says why.

    Args:
        start: What starts it.

    Raises:
        EngineUnavailable, DaemonFrozen, StateError: No task can be started now.
    """
    try:
        return start()
    except FATAL:
        raise
    except StackctlError as error:
        record = context.store.read(prepared.project)
        if record is None or record.phase == "pending":
            phase: Phase = "cancelled" if isinstance(error, Interrupted) else "failed"
            return give_up(context, prepared, options, facts, phase, str(error))
        return concluded(context, record, options.command)


def give_up(
    context: Context,
    prepared: PreparedTask,
    options: StartOptions,
    facts: EngineFacts,
    phase: Phase,
    reason: str,
) -> EnvironmentRecord:
    """Write down that a task will not be started."""
    with context.store.lock(prepared.project, command=options.command, wait=10.0):
        known = context.store.read(prepared.project)
        if known is not None and known.phase != "pending":
            return known
        record = known or pending_record(context, prepared, options, facts)
        record = ended(context, record, phase, reason)
        context.store.remove_spec(prepared.project)
        return record


def attend(context: Context, started: Started, command: str, bell: Bell) -> EnvironmentRecord:
    """Stay with a task that runs until it has ended; its record then.

    Raises:
        HandedOver: Somebody else is to stay with it.
        EngineUnavailable, DaemonFrozen, StateError: It cannot be attended any more; it runs on.
    """
    try:
        record = Attendance(context=context, started=started, terminal=bell, command=command).attend()
    except FATAL:
        raise
    except StackctlError:
        found = context.store.read(started.record.project)
        record = found if found is not None else started.record
    return concluded(context, record, command)


def go_on(context: Context, record: EnvironmentRecord, command: str, bell: Bell) -> EnvironmentRecord:
    """Attend a task again that another process began; raises as `attend`."""
    for _ in range(TRIES):
        started = attend_again(context, record)
        if started is not None:
            return attend(context, started, command, bell)
        record = bring_to_rest(context, record.project, command=command)
        if record.phase != "running":
            break
    return concluded(context, record, command)


def concluded(context: Context, record: EnvironmentRecord, command: str) -> EnvironmentRecord:
    """A task's record once it has ended; one whose ending failed counts as what it is to become.

    Raises:
        EngineUnavailable, DaemonFrozen, StateError: Nothing can be learned of it.
    """
    if record.phase not in LIVE:
        return record
    try:
        record = bring_to_rest(context, record.project, command=command)
        return wait_for(context, record.project, context.clock.now().boottime + PATIENCE)
    except (*FATAL, KeyboardInterrupt):
        raise
    except (StackctlError, TimedOut):
        found = context.store.read(record.project) or record
        return replace(found, phase=found.aim) if found.phase == "stopping" else found
