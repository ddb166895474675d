"""How soon the supervisor looks again: the nearer something is to its threshold, the sooner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackctl.core.records import LIVE

if TYPE_CHECKING:
    from stackctl.core.supervision import Supervision
    from stackctl.core.world import World

_NEAR = 0.5
"""Share of a threshold from which on the interval shrinks."""


def next_look(world: World, limits: Supervision) -> float:
    """Seconds until the next look: `interval`, down to `least_interval` as headroom shrinks, or idle.

    Headroom is what is left to the lower threshold. At half of it the interval begins to shrink, at the
    threshold it is the least. The time until a lifetime ends is waited for exactly.
    """
    live = [one for one in world.environments if one.record.phase in LIVE]
    if not live:
        return limits.idle_interval
    nearness = min(max((_nearness(world), 0.0)), 1.0)
    shrunk = max(0.0, nearness - _NEAR) / (1.0 - _NEAR)
    interval = limits.interval - (limits.interval - limits.least_interval) * shrunk
    now = world.now
    ends = [
        one.record.deadline.left(wall=now.wall, boottime=now.boottime, boot=now.boot)
        for one in live
        if one.record.phase == "running"
    ]
    soonest = min((left for left in ends if left > 0), default=interval)
    return max(limits.least_interval, min(interval, soonest))


def _nearness(world: World) -> float:
    """How near the nearest container is to its lower threshold, 1 at it."""
    nearest = 0.0
    for one in world.environments:
        for container in one.containers:
            trail = one.trails.get(container.id)
            last = trail.last if trail else None
            asked = one.record.services.get(container.service)
            if last is None or asked is None:
                continue
            for value, mark in ((last.pids, "pids"), (last.memory, "memory")):
                at = asked.watchdog.get(mark)
                if value is not None and at:
                    nearest = max(nearest, value / at)
    return nearest
