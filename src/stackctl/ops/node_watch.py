"""What an agent on a node of a Swarm remembers from look to look: the containers there that are ours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.swarm_watch import WATCH, loose_swap, named, watched
from stackctl.core.world import Trail

if TYPE_CHECKING:
    from stackctl.core.facts import Container, EngineFacts, Event
    from stackctl.core.supervision import Supervision
    from stackctl.core.world import Watched
    from stackctl.ops.context import Context

OURS = {WATCH: ""}
"""The label of every container that an agent watches."""


class NodeWatch:
    """One node, watched; labels are all that is known of a container.

    Args:
        context: Its engine is used by this object's thread alone.
        limits: The numbers that it works by.
        dry: Write no swap limits.

    Attributes:
        unbounded: Ids of containers into which the kernel took no swap limit.
    """

    def __init__(self, context: Context, limits: Supervision, *, dry: bool = False) -> None:
        self.context, self._limits, self._dry = context, limits, dry
        self.facts: EngineFacts | None = None
        self.unbounded: set[str] = set()
        self._bounded: set[str] = set()
        self._containers: tuple[Container, ...] = ()
        self._trails: dict[str, Trail] = {}
        self._dirty: set[str] = set()
        self._ahead = 0.0
        self._listed = self._listed_all = self._sampled = float("-inf")

    @property
    def engine_time(self) -> float:
        """The engine's clock, seconds since the epoch."""
        return self.context.clock.now().wall + self._ahead

    def hint(self, events: Iterable[Event]) -> None:
        """Take what the engine said as a reason to list sooner, and to inspect anew what it was about."""
        self._dirty |= {event.id for event in events}
        self.relist_soon()

    def relist_soon(self) -> None:
        """Forget when the last listing was."""
        self._listed = float("-inf")

    def forget_connection(self) -> None:
        """After the engine could not be asked: everything is inspected anew when it answers again."""
        self._listed = self._listed_all = float("-inf")
        self.facts = None

    def look(self, busy: frozenset[str]) -> tuple[Watched, ...]:
        """Look once: list when it is due, write swap limits, sample what runs.

        Args:
            busy: Ids of containers that are acted upon now.

        Returns:
            Each container of ours by itself.

        Raises:
            EngineUnavailable, TimedOut, EngineRefused: The engine could not be asked.
        """
        now = self.context.clock.now().boottime
        if now - self._listed >= self._limits.relist or self.facts is None:
            self._list(now)
        self._sample(now)
        engine = self.facts.id if self.facts else ""
        found = (
            watched(one, self._trails.get(one.id), engine=engine, busy=one.id in busy)
            for one in self._containers
        )
        return tuple(one for one in found if one is not None)

    def trails(self, container: str) -> dict[str, Trail]:
        """What was read of one container, by its id; empty for nothing."""
        return {container: self._trails[container]} if container in self._trails else {}

    def is_settled(self, container: Container) -> bool:
        """Whether its swap limit is in force, or cannot be."""
        return not loose_swap(container) or container.id in self.unbounded

    def _list(self, now: float) -> None:
        engine = self.context.engine
        full = now - self._listed_all >= self._limits.full_relist
        if full or self.facts is None:
            self.facts = engine.bare_facts()
            self._ahead = self.facts.system_time - self.context.clock.now().wall
        dirty, self._dirty = frozenset(self._dirty), set()
        self._containers = tuple(map(named, engine.roster(OURS, dirty=dirty, full=full)))
        self._listed, self._listed_all = now, now if full else self._listed_all
        there = {one.id for one in self._containers}
        self._trails = {one: trail for one, trail in self._trails.items() if one in there}
        self._bounded &= there
        self.unbounded &= there
        if not self._dry:
            self._bound_swap(full)

    def _bound_swap(self, full: bool) -> None:
        """Write the swap limit that Swarm has no word for into what runs without it.

        Once for each container, and again after each full listing: it may be taken back, or was refused.

        Args:
            full: Also look whether the kernel still enforces what docker says.
        """
        engine = self.context.engine
        if full:
            self._bounded, self.unbounded = set(), set()
        running = [one for one in self._containers if one.state == "running"]
        read = engine.readings(running) if full else {}
        for one in running:
            kernel = read[one.id].limits if one.id in read else None
            swap = loose_swap(one, kernel)
            if swap and one.id in self._bounded:
                self.unbounded.add(one.id)
            elif swap:
                engine.renew_limits([replace(one, limits=replace(one.limits, swap=swap))])
                self._bounded.add(one.id)
                self._dirty.add(one.id)
                self._listed = float("-inf")

    def _sample(self, now: float) -> None:
        interval = 0.0 if self.facts and self.facts.local else self._limits.remote_interval
        if now - self._sampled < interval:
            return
        running = [one for one in self._containers if one.state in ("running", "paused")]
        readings = self.context.engine.sample(running)
        self._sampled = now
        for one in running:
            before = self._trails.get(one.id, Trail())
            trail = before.add(readings.get(one.id), keep=self._limits.trail)
            self._trails[one.id] = trail
            if 0 < trail.missed <= self._limits.blind_after:  # it may have ended meanwhile
                self._dirty.add(one.id)
                self._listed = float("-inf")
