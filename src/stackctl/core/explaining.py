"""What policy laid over a document, told to people: each change once, with its places and its remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackctl.core.paths import above

if TYPE_CHECKING:
    from stackctl.core.rules import Change

_LIMIT = "a value of its own in the compose file, or `limits:` in a stack file"
_BOUND = "ask for no more than the limit"
REMEDIES = {
    "pids_limit": _LIMIT,
    "mem_limit": _LIMIT,
    "memswap_limit": f"{_LIMIT} (`swap`: memory and swap together)",
    "cpus": _LIMIT,
    "pids": _LIMIT,
    "memory": _LIMIT,
    "limits": _LIMIT,
    "reservations": _BOUND,
    "mem_reservation": _BOUND,
    "cpu_quota": "write `cpus:` instead",
    "cpu_period": "write `cpus:` instead",
    "init": "`allow: {SERVICE: [own-init]}` in a stack file",
    "logging": "`logging:` with max-size and max-file; `allow: {SERVICE: [log-driver]}` for another driver",
    "restart": "`restart: 'no'` in the file: then nobody restarts it",
    "restart_policy": "`restart: 'no'` in the file: then nobody restarts it",
    "ports": "`allow: {SERVICE: [public-ports]}` in a stack file; another number in the compose file",
    "container_name": "`allow: {SERVICE: [container-name]}` in a stack file",
    "security_opt": "`allow: {SERVICE: [new-privileges]}` in a stack file",
    "cap_drop": "`cap_add:` what it needs",
    "image": "write a version, or pin it: `stackctl lock`",
    "ipam": "an `ipam:` of its own in the compose file; the pool: `subnets:` in config.yaml",
    "labels": "give it a name",
}
"""The last key of a change's path -> how a person has it otherwise."""
EXACT = {
    "allowed by name": "take it out of the compose file, and its word from `allow:` in the stack file",
    "given a host port by placement": "write a host port before the container's",
}
"""What was done -> how a person has it otherwise, whatever it was done to."""
KEPT = "leave it out of the file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One change, at every place where it was made.

    Args:
        key: What was changed, such as `pids_limit` or `ports`.
        what, reason: As in `Change`.
        remedy: How a person has it otherwise.
        places: Dotted paths of what it was changed in, in the document's order.
    """

    key: str
    what: str
    reason: str
    remedy: str
    places: tuple[str, ...]


def remedy_for(change: Change) -> str:
    """How a person has it otherwise; empty where there is no other way."""
    if change.what in EXACT:
        return EXACT[change.what]
    keys = _keys(change.path)
    found = next((REMEDIES[key] for key in reversed(keys) if key in REMEDIES), "")
    return found or (KEPT if change.what == "kept" else "")


def explained(changes: Iterable[Change]) -> tuple[Explained, ...]:
    """Each change once, in the order in which it was first made."""
    places: dict[tuple[str, str, str, str], list[str]] = {}
    for one in changes:
        place, key = _split(one.path)
        places.setdefault((key, one.what, one.reason, remedy_for(one)), []).append(place)
    return tuple(
        Explained(key=key, what=what, reason=reason, remedy=remedy, places=tuple(dict.fromkeys(found)))
        for (key, what, reason, remedy), found in places.items()
    )


def _split(path: str) -> tuple[str, str]:
    """A path as where and what: `services.web` and `ports`; a place in a list stays whole."""
    listed = path.endswith("]") and not path.endswith('"]')
    whole = above(path) if listed else path
    key = whole[len(above(whole)) :].strip('.[]"')
    return (path if listed else above(path)) or path, key


def _keys(path: str) -> list[str]:
    """The keys below what a path is about: none of `services.web`, `ports` of `services.web.ports[0]`."""
    plain = re.sub(r"\[\d+\]", "", re.sub(r'\["[^"]*"\]', ".quoted", path))
    return plain.split(".")[2:]
