"""Orphans in guarded services: how they are looked for again and again, and how they are swept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackctl.core.errors import EngineRefused
from stackctl.core.stray_processes import orphans, read_guard, sweep_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stackctl.core.facts import Container, Process
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.stack import Guard
    from stackctl.core.supervision import Supervision
    from stackctl.ops.context import Context

GRACE = 2.0
"""Seconds that an orphan has to end by itself before it is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep of one container did.

    Args:
        ended: Orphans that are gone.
        stuck: Those that could not be ended, or that this user may not end.
        words: What was done, as one clause; empty when nothing was to do.
    """

    ended: tuple[Process, ...] = ()
    stuck: tuple[Process, ...] = ()
    words: str = ""


def guard_of(record: EnvironmentRecord, container: Container) -> Guard | None:
    """The guard of a container's service, if it has one and runs."""
    service = record.services.get(container.service)
    if service is None or not service.guard or container.state != "running":
        return None
    return read_guard(service.guard)


def find_orphans(
    context: Context, record: EnvironmentRecord, containers: Iterable[Container]
) -> dict[str, tuple[Process, ...]]:
    """What the guards of an environment would sweep now, by container id."""
    found = {}
    for one in containers:
        guard = guard_of(record, one)
        if guard is not None:
            found[one.id] = orphans(context.engine.processes(one), guard)
    return {name: lost for name, lost in found.items() if lost}


def sweep(context: Context, record: EnvironmentRecord, container: Container) -> Swept:
    """End the orphans in one container, as its service's guard says.

    Raises:
        EngineRefused: The processes of this engine's containers cannot be seen from here.
        EngineUnavailable: It cannot be asked whether they can.
    """
    guard = guard_of(record, container)
    if guard is None:
        return Swept()
    if not context.engine.local():
        raise EngineRefused(
            f"the guard of `{container.service}` cannot sweep: its processes are on another machine",
            hint="end what is left of them with `stackctl restart`, or run stackctl where the engine runs",
        )
    chosen = orphans(context.engine.processes(container), guard)
    if not chosen:
        return Swept()
    stuck = context.engine.end_processes(container, chosen, GRACE)
    left = {one.pid for one in stuck}
    ended = tuple(one for one in chosen if one.pid not in left)
    words = [sweep_words(container.service, ended, guard)] if ended else []
    words += [_stuck_words(container.service, stuck)] if stuck else []
    return Swept(ended=ended, stuck=stuck, words=", ".join(words))


def sweep_after_exec(context: Context, record: EnvironmentRecord, container: Container) -> Swept:
    """Sweep what a command in a container left behind, if its guard says `after: exec`; raises as `sweep`."""
    guard = guard_of(record, container)
    return sweep(context, record, container) if guard is not None and guard.after == "exec" else Swept()


def _stuck_words(service: str, stuck: tuple[Process, ...]) -> str:
    first = f"pid {stuck[0].inside}, `{stuck[0].command[:60]}`"
    return f"{len(stuck)} of `{service}` could not be ended ({first})"


class OrphanWatch:
    """The orphans of every guarded container, looked for every so often and a few containers at a time.

    Args:
        context: Its engine is used by this object's thread alone.
        limits: How often, and how many at once.
    """

    def __init__(self, context: Context, limits: Supervision) -> None:
        self._context, self._limits = context, limits
        self._found: dict[str, tuple[float, tuple[Process, ...]]] = {}

    def look(self, now: float, environments: Iterable[tuple[EnvironmentRecord, Iterable[Container]]]) -> None:
        """Read the processes of those guarded containers that it is time for, the longest unread first.

        Args:
            now: Seconds on the clock that `limits.sweep` counts by.
            environments: Every record with the containers that are its own.
        """
        guarded = {
            one.id: (record, one)
            for record, containers in environments
            if record.phase == "running"
            for one in containers
            if one.state == "running" and one.service in record.services
            if record.services[one.service].guard
        }
        self._found = {name: seen for name, seen in self._found.items() if name in guarded}
        read = {name: self._found[name][0] if name in self._found else float("-inf") for name in guarded}
        due = sorted((at, name) for name, at in read.items() if now - at >= self._limits.sweep)
        for _, name in due[: self._limits.tables]:
            record, container = guarded[name]
            found = find_orphans(self._context, record, [container])
            self._found[name] = (now, found.get(name, ()))

    def of(self, containers: Iterable[Container]) -> Mapping[str, tuple[Process, ...]]:
        """The orphans of some containers, as they were last looked for, by container id."""
        found = {one.id: self._found[one.id][1] for one in containers if one.id in self._found}
        return {name: lost for name, lost in found.items() if lost}
