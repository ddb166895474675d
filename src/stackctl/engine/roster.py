"""All containers of a state directory, listed often: one call for all, and a closer look at what changed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stackctl.engine.oom import as_the_kernel_says
from stackctl.engine.parse import parse_container

if TYPE_CHECKING:
    from stackctl.core.facts import Container
    from stackctl.engine.transport import Document, Transport

_AGE = re.compile(r"(Less than|About|\d+) ?(an?)? (second|minute|hour|day|week|month|year)s?\b")
_SECONDS = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86400,
    "week": 604800,
    "month": 2592000,
    "year": 31536000,
}


@dataclass(frozen=True, slots=True)
class _Known:
    look: tuple[Any, ...]
    age: int
    container: Container


class Roster:
    """Remembers what was inspected, so that a listing of what did not change is one call.

    Args:
        transport: The way to the engine; the listing must come with State, Names and Status.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._labels: dict[str, str] = {}
        self._known: dict[str, _Known] = {}

    def containers(
        self, labels: Mapping[str, str], dirty: Collection[str] = (), *, full: bool = False
    ) -> tuple[Container, ...]:
        """Every container with all the labels, in the engine's order.

        Inspected is what is new, whose state, health, exit code or names changed, or whose time in that
        state became shorter (it was restarted meanwhile). Nothing else shows in a listing: a restart that is
        as old as the one before was when that was seen, limits and restart policies changed by hand. Those
        wait for `dirty` or `full`.

        Args:
            labels: Name -> value; an empty value asks for the label's mere presence.
            dirty: Ids to inspect anew.
            full: Inspect all anew.

        Raises:
            DaemonDown, EngineForbidden, DaemonFrozen: As always; what was known stays so.
        """
        if dict(labels) != self._labels:
            self._labels, self._known = dict(labels), {}
        listed = {str(one.get("Id")): one for one in self._transport.brief("containers", labels)}
        stale = [key for key, one in listed.items() if full or key in dirty or self._changed(key, one)]
        fresh = {str(one.get("Id")): one for one in self._transport.inspect(stale)}
        known = {key: one for key, one in self._known.items() if key in listed and key not in stale}
        for key, one in fresh.items():
            if key in listed:
                container = as_the_kernel_says(self._transport, parse_container(one))
                known[key] = _Known(_look(listed[key]), _age(listed[key]), container)
        self._known = known
        return tuple(known[key].container for key in listed if key in known)

    def _changed(self, key: str, listed: Document) -> bool:
        known = self._known.get(key)
        return known is None or known.look != _look(listed) or known.age > _age(listed)


def _look(listed: Document) -> tuple[Any, ...]:
    return listed.get("State"), listed.get("Names"), _AGE.sub("", str(listed.get("Status", "")))


def _age(listed: Document) -> int:
    """Seconds that the status text tells at least: "Up 3 minutes (healthy)" is 180."""
    match = _AGE.search(str(listed.get("Status", "")))
    if match is None or match[1] == "Less than":
        return 0
    return (int(match[1]) if match[1].isdigit() else 1) * _SECONDS[match[3]]
