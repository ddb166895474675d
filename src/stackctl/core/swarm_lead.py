"""What the agent on a Swarm's leader decides: what has outlived its time, and what belongs to nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackctl.core.incidents import Incident
from stackctl.core.labels import read_stamp
from stackctl.core.swarm_stages import DEADLINE, LIFETIME
from stackctl.core.units import show_duration

if TYPE_CHECKING:
    from stackctl.core.labels import Stamp
    from stackctl.core.swarm_facts import SwarmService, SwarmThing

DIGITS = 12
"""Of a time in seconds; what is longer is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """One generation of an environment whose time is over.

    Args:
        deadline: When that was, seconds since the epoch.
        lifetime: The seconds that it was given.
        services: All of it that is there.
    """

    stamp: Stamp
    deadline: float
    lifetime: float
    services: tuple[SwarmService, ...]


def overdue(services: Iterable[SwarmService], now: float) -> tuple[Overdue, ...]:
    """What is to be ended, by project: each generation of which no deadline is yet to come.

    An `extend` or `up` that was cut short, or is under way, has written some deadlines and not yet others.
    One without any that can be read lives on.

    Args:
        services: All with our labels.
        now: Seconds since the epoch by the leader's clock.
    """
    found = []
    for stamp, members in sorted(_by_generation(services).items(), key=lambda one: one[0].project):
        last = max(members, key=lambda one: number(one, DEADLINE))
        if 0 < number(last, DEADLINE) <= now:
            found.append(
                Overdue(
                    stamp=stamp,
                    deadline=number(last, DEADLINE),
                    lifetime=number(last, LIFETIME),
                    services=tuple(members),
                )
            )
    return tuple(found)


def unclaimed(
    services: Iterable[SwarmService], things: Iterable[SwarmThing], now: float, grace: float
) -> tuple[SwarmThing, ...]:
    """Networks, configs and secrets of ours without any service of their generation.

    Args:
        grace: Seconds that they may be so: an `up` makes them before its first service.
    """
    claimed = set(_by_generation(services))
    return tuple(
        one
        for one in things
        if (stamp := read_stamp(one.labels)) is not None
        and stamp not in claimed
        and 0 < one.created <= now - grace
    )


def belonging(things: Iterable[SwarmThing], stamp: Stamp) -> tuple[SwarmThing, ...]:
    """Those of exactly one generation."""
    return tuple(one for one in things if read_stamp(one.labels) == stamp)


def number(service: SwarmService, label: str) -> float:
    """The number in a label, 0 where there is none, or none that is a time."""
    word = service.labels.get(label, "")
    return float(word) if word.isdecimal() and len(word) <= DIGITS else 0.0


def lifetime_incident(found: Overdue, at: str, node: str, now: float) -> Incident:
    """What is written of an environment whose lifetime was ended; every leader would give it the same id.

    Args:
        at: The deadline as an incident's id has it.
        node: Host name of the leader that ended it.
        now: Seconds since the epoch.
    """
    stamp = found.stamp
    return Incident(
        id=f"{at}-expired-{stamp.generation[:4]}",
        at=now,
        rule="expired",
        action="end",
        project=stamp.project,
        stack=stamp.stack,
        instance=stamp.instance,
        generation=stamp.generation,
        phase="expired",
        reason=f"its lifetime of {show_duration(found.lifetime)} is over",
        node=node,
        took=round(max(0.0, now - found.deadline), 3),
    )


def _by_generation(services: Iterable[SwarmService]) -> dict[Stamp, list[SwarmService]]:
    found: dict[Stamp, list[SwarmService]] = {}
    for one in services:
        stamp = read_stamp(one.labels)
        if stamp is not None:
            found.setdefault(stamp, []).append(one)
    return found
