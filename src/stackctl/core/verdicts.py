"""The watchdog's and the reaper's whole judgement: a world in, a plan out.

Each rule is a function of the world alone and yields actions; their order is their precedence, and an
environment is acted upon by the first rule that asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.actions import Action, Plan
from stackctl.core.finishing import finished
from stackctl.core.litter import littered
from stackctl.core.loosening import loosened
from stackctl.core.marks import refused_or_killed, squeezing_host, violations
from stackctl.core.recovery import abandoned, crash_looping, leftover, stuck
from stackctl.core.units import show_duration
from stackctl.core.world import World, readable

if TYPE_CHECKING:
    from stackctl.core.supervision import Supervision

Rule = Callable[[World, "Supervision"], Iterable[Action]]


def expired(world: World, limits: Supervision) -> Iterator[Action]:
    """Environments whose lifetime is over, by our own record; never by when a container was started."""
    for one in readable(world.environments):
        record, now = one.record, world.now
        left = record.deadline.left(wall=now.wall, boottime=now.boottime, boot=now.boot)
        if record.phase in ("running", "pending") and left <= 0:
            yield Action(
                rule="expired",
                kind="end",
                project=record.project,
                phase="expired",
                reason=f"its lifetime of {show_duration(record.lifetime)} is over",
                incident=True,
            )


def over_pids(world: World, limits: Supervision) -> Iterator[Action]:
    """Services, or a stack's sum, with too many processes."""
    return violations(world, "pids", "over_pids")


def over_memory(world: World, limits: Supervision) -> Iterator[Action]:
    """Services, or a stack's sum, whose working set is too large."""
    return violations(world, "memory", "over_memory")


RULES: tuple[Rule, ...] = (
    finished,
    expired,
    abandoned,
    stuck,
    over_pids,
    over_memory,
    crash_looping,
    squeezing_host,
    leftover,
    littered,
    loosened,
    refused_or_killed,
)
"""In the order of precedence."""

REAPING: tuple[Rule, ...] = (finished, expired, abandoned, stuck, leftover)
"""The rules that need no readings: what a pass by hand may do."""


def decide(world: World, limits: Supervision, rules: Iterable[Rule] = RULES) -> Plan:
    """What is to be done in this world.

    Args:
        world: What was seen.
        limits: The numbers that the rules go by.
        rules: In the order of precedence.
    """
    acts: dict[str, Action] = {}
    reports: dict[str, Action] = {}
    for action in (action for rule in rules for action in rule(world, limits)):
        if world.silent(action.key):
            continue
        if action.kind == "report":
            reports.setdefault(action.key, action)
        else:
            acts.setdefault(action.project or action.key, action)
    return Plan(acts=tuple(acts.values()), reports=tuple(reports.values()))


def still(action: Action, world: World, limits: Supervision, rules: Iterable[Rule] = RULES) -> Action | None:
    """The same act as the world asks for it now, None when it does not any more.

    Its numbers are the fresh ones. A quiet time counts only before an act, not while it is done.
    """
    plan = decide(replace(world, quiet={}), limits, rules)
    again = plan.for_project(action.project)
    same = again is not None and (again.rule, again.kind) == (action.rule, action.kind)
    return again if same else None
