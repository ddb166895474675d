"""In which order a Swarm is told of services: it starts all at once, and some wait for others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def stages(document: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """The services of a bounded document in the order of their `depends_on`; those of one stage go together.

    Compose refuses circles; should there be one all the same, its services go together at the end.
    """
    waits = {
        name: set(_awaited(raw)) & set(document["services"]) for name, raw in document["services"].items()
    }
    found: list[tuple[str, ...]] = []
    while waits:
        free = sorted(name for name, others in waits.items() if not others & waits.keys()) or sorted(waits)
        found.append(tuple(free))
        waits = {name: others for name, others in waits.items() if name not in free}
    return tuple(found)


def _awaited(raw: Mapping[str, Any]) -> list[str]:
    others = raw.get("depends_on") or ()
    return list(others)


def part_of(swarm_document: Mapping[str, Any], services: tuple[str, ...]) -> dict[str, Any]:
    """A document with some of its services only."""
    chosen = {name: swarm_document["services"][name] for name in services}
    return {**swarm_document, "services": chosen}


def told_of(swarm_document: Mapping[str, Any], service: str) -> Any:
    """All that a document says of a service, with the names of its secrets and configs; None for nothing."""
    raw = (swarm_document.get("services") or {}).get(service)
    if raw is None:
        return None
    names = []
    for kind in ("secrets", "configs"):
        known = swarm_document.get(kind) or {}
        for entry in raw.get(kind) or ():
            key = entry["source"] if isinstance(entry, Mapping) else entry
            names.append((kind, key, (known.get(key) or {}).get("name")))
    return raw, sorted(names, key=str)
