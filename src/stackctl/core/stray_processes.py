"""Which processes of one container are orphans that its guard sweeps, judged from its process table alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from stackctl.core.fields import words
from stackctl.core.patterns import MAX_TEXT, check_pattern
from stackctl.core.stack import Guard

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stackctl.core.facts import Process

INITS = frozenset({"docker-init", "tini", "tini-static", "dumb-init", "catatonit", "podman-init"})
"""Names of the small inits that start one process, and adopt all others that they ever have."""

Children = dict[int, list["Process"]]


def guard_patterns(raw: Any) -> tuple[str, ...]:
    """Read a guard's patterns: regular expressions that cannot blow up wherever they are searched for.

    Raises:
        ValueError: One is no such expression.
    """
    found = words(raw)
    for pattern in found:
        check_pattern(pattern)
        try:
            check_pattern(f".*(?:{pattern})")  # to search is to try from every place
        except ValueError:
            raise ValueError(f"`{pattern}` could take too long; repeat less in it") from None
    return found


def plain_guard(guard: Guard) -> dict[str, Any]:
    """A guard as a record keeps it."""
    return {"patterns": list(guard.patterns), "after": guard.after, "older_than": guard.older_than}


def read_guard(plain: Mapping[str, Any]) -> Guard | None:
    """The guard that a record keeps; None for none, or for one that this version cannot read."""
    try:
        return Guard(
            patterns=guard_patterns(plain["patterns"]),
            after=plain["after"],
            older_than=float(plain["older_than"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def matched(process: Process, guard: Guard) -> str:
    """The first of a guard's patterns that the command line has, in its first 256 characters; or nothing."""
    text = process.command[:MAX_TEXT]
    return next((pattern for pattern in guard.patterns if re.search(pattern, text)), "")


def orphans(processes: Iterable[Process], guard: Guard) -> tuple[Process, ...]:
    """What a guard sweeps: orphans that match and are old enough, and what matches below them.

    Never the container's first process, its main process and what lives below that, nor what somebody entered
    the container with (`docker exec`) and what lives below that: each has a living owner.

    Args:
        processes: The table of one container, torn or cut short as it may be. What it does not show is
            spared.
    """
    children = _children(processes)
    roots = [
        one for one in _adopted(children) if _fits(one, guard) and one.started and one.age >= guard.older_than
    ]
    found = {one.pid: one for one in roots}
    for one in _below(roots, children):
        if _fits(one, guard) and one.started:
            found[one.pid] = one
    return tuple(found.values())


def _fits(process: Process, guard: Guard) -> bool:
    return not process.defunct and bool(matched(process, guard))


def _children(processes: Iterable[Process]) -> Children:
    """Processes by the inner number of their parent, the oldest first; 0 for what came from outside."""
    found: Children = {}
    for one in sorted(processes, key=lambda one: (one.started, one.inside)):
        if one.inside:
            found.setdefault(one.parent, []).append(one)
    return found


def _adopted(children: Children) -> list[Process]:
    """Those that were given to the first process when they lost their parent, or to an init among these."""
    reapers = [one for one in children.get(0, ()) if one.inside == 1]
    found: list[Process] = []
    for reaper in reapers:
        lost = _lost(reaper, children.get(reaper.inside, []))
        found += lost
        reapers += [one for one in lost if one.name in INITS and not one.defunct]
    return found


def _lost(reaper: Process, own: Sequence[Process]) -> Sequence[Process]:
    """The children that a process did not start itself.

    A small init starts one process, before it adopts any: the oldest. Of an application's children only those
    are surely none of its own that belong to a session which neither it nor they themselves began.
    """
    if reaper.name in INITS:
        return [one for one in own if one.started][1:]
    return [one for one in own if one.session not in (0, reaper.session, one.inside)]


def _below(roots: Iterable[Process], children: Children) -> list[Process]:
    queue = list(roots)
    seen = {one.pid for one in queue}
    for one in queue:
        new = [child for child in children.get(one.inside, ()) if child.pid not in seen]
        seen |= {child.pid for child in new}
        queue += new
    return queue


def sweep_words(service: str, swept: Sequence[Process], guard: Guard) -> str:
    """What was swept out of a service, as one clause: "swept 214 orphans of `web`: pytest"."""
    patterns = sorted({matched(one, guard) for one in swept} - {""})
    count = f"{len(swept)} {'orphan' if len(swept) == 1 else 'orphans'}"
    return f"swept {count} of `{service}`: {', '.join(patterns)}"
