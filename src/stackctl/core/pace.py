"""How soon the supervisor looks again: the nearer something is to its threshold, the sooner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackctl.core.records import LIVE

if TYPE_CHECKING:
    from stackctl.core.supervision import Supervision
    from stackctl.core.world import Trail, Watched, World

_NEAR = 0.5
"""Share of a threshold from which on the interval shrinks."""
_HALFWAY = 0.5
"""Share of the time until a threshold is passed, at the present growth, after which it is looked again."""


def next_look(world: World, limits: Supervision) -> float:
    """Seconds until the next look: `interval`, down to `least_interval` as headroom shrinks, or idle.

    Headroom is what is left to the lower threshold. At half of it the interval begins to shrink, at the
    threshold it is the least; what grows so fast that it would be passed sooner is looked at sooner, as
    earlyoom does. The end of a lifetime is waited for exactly.
    """
    live = [one for one in world.environments if one.record.phase in LIVE]
    if not live:
        return limits.idle_interval
    soonest = limits.interval
    for one in live:
        soonest = min(soonest, _lifetime_left(one, world), _pause_for(one, limits))
    return max(limits.least_interval, soonest)


def leaders_pause(took: float, limits: Supervision) -> float:
    """Seconds until a Swarm's leader is looked at again, after a look that took so many."""
    return max(limits.lead, took / limits.lead_share - took)


def _lifetime_left(one: Watched, world: World) -> float:
    now = world.now
    left = one.record.deadline.left(wall=now.wall, boottime=now.boottime, boot=now.boot)
    return left if one.record.phase == "running" and left > 0 else float("inf")


def _pause_for(one: Watched, limits: Supervision) -> float:
    pause = limits.interval
    for container in one.containers:
        trail = one.trails.get(container.id)
        asked = one.record.services.get(container.service)
        if trail is None or trail.last is None or asked is None:
            continue
        for measure in ("pids", "memory"):
            mark = asked.watchdog.get(measure)
            if mark:
                pause = min(pause, _pause(trail, measure, mark, limits))
    return pause


def _pause(trail: Trail, measure: str, mark: int, limits: Supervision) -> float:
    last = trail.readings[-1]
    value: int | None = getattr(last, measure)
    if value is None:
        return limits.interval
    nearness = min(max(value / mark - _NEAR, 0.0) / (1.0 - _NEAR), 1.0)
    pause = limits.interval - (limits.interval - limits.least_interval) * nearness
    before = trail.readings[-2] if len(trail.readings) > 1 else None
    earlier: int | None = getattr(before, measure) if before is not None else None
    if before is None or earlier is None or earlier >= value or last.at <= before.at:
        return pause
    growth = (value - earlier) / (last.at - before.at)
    return min(pause, max(0.0, (mark - value) / growth * _HALFWAY))
