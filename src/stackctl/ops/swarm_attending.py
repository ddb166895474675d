"""Staying with tasks on a Swarm until they have ended."""

from __future__ import annotations

import select
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.errors import Busy, EngineRefused, EngineUnavailable, TimedOut
from stackctl.ops.recording import deadline
from stackctl.ops.swarm_task_ending import finish_on_swarm, time_left
from stackctl.ops.swarm_task_looking import PACE, PATIENCE, Lookout

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord
    from stackctl.ops.context import Context
    from stackctl.ops.swarm_task_looking import Sight
    from stackctl.ops.task_running import NoTerminal


def attend_on_swarm(
    context: Context, record: EnvironmentRecord, command: str, bell: NoTerminal, lookout: Lookout
) -> EnvironmentRecord:
    """Stay with a task until it has ended, and write down how it went; its record then.

    Args:
        bell: Lets everybody leave at once; what it raises then is raised.
        lookout: Shared by all who stay with a task of this home.

    Raises:
        StackctlError: The managers do not answer any more, or cannot end it; it runs on.
    """
    trouble = 0.0
    while True:
        bell.heard()
        found = context.store.read(record.project)
        if found is None or found.phase != "running":
            return found or record
        record = found
        sight = lookout.sight(context, record)
        if sight.end is not None or time_left(context, record) <= 0:
            now = context.clock.now().boottime
            try:
                record = _finished(context, record, command, sight)
            except (EngineUnavailable, EngineRefused, TimedOut):
                trouble = trouble or now
                if now - trouble >= PATIENCE:
                    raise
            if record.phase != "running":
                return record
        elif _begins(record, sight):
            _note_start(context, record, command, sight)
        _pause(bell)


def _pause(bell: NoTerminal) -> None:
    waiting = select.poll()
    if bell.wishes() >= 0:
        waiting.register(bell.wishes(), select.POLLIN)
    waiting.poll(PACE * 1000)


def _finished(context: Context, record: EnvironmentRecord, command: str, sight: Sight) -> EnvironmentRecord:
    with context.store.lock(record.project, command=command, wait=60.0):
        record = context.store.read(record.project) or record
        return finish_on_swarm(context, record, command=command, away=sight.away)


def _begins(record: EnvironmentRecord, sight: Sight) -> bool:
    """Whether it was just seen to run for the first time."""
    runs = sight.task is not None and sight.task.state == "running"
    return runs and record.task is not None and not record.task.started


def _note_start(context: Context, record: EnvironmentRecord, command: str, sight: Sight) -> None:
    """Write down when it began and where; its lifetime begins with it, not while no node had room."""
    with suppress(Busy), context.store.lock(record.project, command=command, wait=0):
        found = context.store.read(record.project)
        if found is None or found.phase != "running" or found.task is None or sight.task is None:
            return
        node = sight.node.hostname if sight.node else ""
        part = replace(found.task, started=sight.task.at, node=node)
        context.store.write(replace(found, task=part, deadline=deadline(context, found.lifetime)))
