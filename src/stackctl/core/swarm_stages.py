"""In which order a Swarm is told of services: it starts all at once, and some wait for others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackctl.core.labels import PREFIX

DEADLINE = f"{PREFIX}deadline"
"""On a service: seconds since the epoch until which it may live; changed without touching its tasks."""
LIFETIME = f"{PREFIX}lifetime"
"""On a service: the seconds that it was given."""


def deadline_labels(deadline: float, lifetime: float) -> dict[str, str]:
    """The labels that let the agent on the leader end what a service belongs to."""
    return {DEADLINE: f"{deadline:.0f}", LIFETIME: f"{lifetime:.0f}"}


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


def part_of(
    swarm_document: Mapping[str, Any], services: tuple[str, ...], labels: Mapping[str, str]
) -> dict[str, Any]:
    """A document with some of its services only, each with further labels."""
    chosen = {}
    for name in services:
        raw = swarm_document["services"][name]
        deploy = {**raw["deploy"], "labels": {**raw["deploy"]["labels"], **labels}}
        chosen[name] = {**raw, "deploy": deploy}
    return {**swarm_document, "services": chosen}


def told_of(swarm_document: Mapping[str, Any], service: str) -> Any:
    """All that a document says of a service but for its deadline, with the names of its secrets and configs.

    None where it says nothing of it.
    """
    raw = (swarm_document.get("services") or {}).get(service)
    if raw is None:
        return None
    labels = {key: value for key, value in raw["deploy"]["labels"].items() if key not in (DEADLINE, LIFETIME)}
    raw = {**raw, "deploy": {**raw["deploy"], "labels": labels}}
    names = []
    for kind in ("secrets", "configs"):
        known = swarm_document.get(kind) or {}
        for entry in raw.get(kind) or ():
            key = entry["source"] if isinstance(entry, Mapping) else entry
            names.append((kind, key, (known.get(key) or {}).get("name")))
    return raw, sorted(names, key=str)
