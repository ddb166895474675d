"""What an agent says on its output for whoever reads it from a manager: one line of JSON for each thing.

Swarm brings the output of every node's agent to the managers; nothing else of ours has to listen there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stackctl.core.incidents import Incident, from_plain, to_plain

if TYPE_CHECKING:
    from stackctl.core.facts import AppliedLimits

LONGEST = 12_000
"""Bytes of one line: docker cuts what is longer than 16 KiB, and could mix the parts of two."""
_KIND = "stackctl"
_LINES, _LINE = 20, 200
_GROUPS, _READINGS = 6, 10


def incident_line(incident: Incident) -> str:
    """An incident, short enough for one line; the whole of it lies on its node."""
    for lines in (_LINES, _LINES // 4, 0):
        short = replace(
            incident,
            readings=incident.readings[-_READINGS:],
            groups=incident.groups[:_GROUPS],
            log=tuple(line[:_LINE] for line in incident.log[-lines:]) if lines else (),
        )
        line = json.dumps({_KIND: "incident", "incident": to_plain(short)}, separators=(",", ":"))
        if len(line) <= LONGEST:
            return line
    return json.dumps({_KIND: "incident", "incident": to_plain(replace(short, groups=(), readings=()))})


def proof_line(container: str, limits: AppliedLimits) -> str:
    """The limits that the kernel of a node enforces for a container."""
    told = {"pids": limits.pids, "memory": limits.memory, "swap": limits.swap, "cpus": limits.cpus}
    return json.dumps({_KIND: "limits", "container": container, **told})


def read_incidents(lines: Iterable[str]) -> tuple[Incident, ...]:
    """The incidents among lines of agents, each once as it was told last, by time."""
    found: dict[str, Incident] = {}
    for raw in _of_kind(lines, "incident"):
        incident = from_plain(raw.get("incident"))
        if incident is not None and (incident.result or incident.id not in found):
            found[incident.id] = incident
    return tuple(sorted(found.values(), key=lambda one: one.at))


def read_proofs(lines: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Container's id -> the limits that its node's kernel enforces, as its agent read them last."""
    return {str(raw.get("container")): raw for raw in _of_kind(lines, "limits")}


def _of_kind(lines: Iterable[str], kind: str) -> Iterable[Mapping[str, Any]]:
    for line in lines:
        if not line.startswith("{"):
            continue
        try:
            raw = json.loads(line)
        except ValueError:
            continue
        if isinstance(raw, dict) and raw.get(_KIND) == kind:
            yield raw
