"""What an agent asks of a Swarm and does to it, by the API alone: it may have no docker command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stackctl.core.errors import EngineRefused
from stackctl.core.swarm_facts import Standing
from stackctl.engine import swarm_parse
from stackctl.engine.parse import parse_time
from stackctl.engine.transport import label_filters, quote
from stackctl.engine.wire import Wire

if TYPE_CHECKING:
    from stackctl.core.swarm_facts import SwarmService, SwarmThing
    from stackctl.engine.dialing import Line

KINDS = ("network", "config", "secret")
_TRIES = 5
_OUT_OF_SEQUENCE = "out of sequence"
"""What Swarm says to a change of what somebody else changed meanwhile."""


class Lead:
    """A manager's API, or that of an engine which may be one; not to be shared between threads.

    Args:
        line: The way to it.
        patience: Seconds within which a question must be answered.
    """

    def __init__(self, line: Line, patience: float) -> None:
        self._wire = Wire(line, patience)

    def close(self) -> None:
        """Close the connection."""
        self._wire.close()

    def standing(self) -> Standing:
        """What the engine's node is to the Swarm at this moment.

        Raises:
            EngineUnavailable, TimedOut, EngineRefused: It cannot be asked.
        """
        raw = self._ask("/info") or {}
        cluster = swarm_parse.parse_cluster(raw.get("Swarm") or {})
        found = Standing(cluster=cluster, hostname=str(raw.get("Name", "")))
        if not cluster.manager:
            return found
        node = self._ask(f"/nodes/{quote(cluster.node)}")
        if not isinstance(node, dict):
            return found
        return replace(found, leader=swarm_parse.parse_node(node).leader)

    def services(self, labels: Mapping[str, str]) -> tuple[SwarmService, ...]:
        """Every service with all the labels, under its whole name; an empty value asks for mere presence."""
        found = self._ask(f"/services?filters={_filters(labels)}") or ()
        return tuple(swarm_parse.parse_service(one, "") for one in found)

    def things(self, labels: Mapping[str, str]) -> tuple[SwarmThing, ...]:
        """Networks of the Swarm, configs and secrets with all the labels."""
        found = []
        for kind in KINDS:
            for raw in self._ask(f"/{kind}s?filters={_filters(labels)}") or ():
                if kind != "network" or raw.get("Scope") == "swarm":
                    made = parse_time(raw.get("CreatedAt") or raw.get("Created"))
                    found.append(replace(swarm_parse.parse_thing(kind, raw), created=made))
        return tuple(found)

    def take_away(self, kind: str, one: str) -> bool:
        """Remove a service, network, config or secret; False where something still uses it.

        Raises:
            ValueError: It is of another kind; volumes above all are data, and are never removed.
            EngineUnavailable, TimedOut: The manager cannot be asked.
            EngineRefused: It has no majority of the managers, or no right.
        """
        if kind not in ("service", *KINDS):
            raise ValueError(f"nothing here removes a {kind}")
        answer = self._wire.call("DELETE", f"/{kind}s/{quote(one)}")
        if answer.status in (400, 403, 409):
            return False
        if answer.status >= 400 and answer.status != 404:
            raise EngineRefused(answer.message or f"the {kind} could not be removed")
        return True

    def label_service(self, service: str, labels: Mapping[str, str]) -> None:
        """Set labels of a service, whose tasks are not touched by it; one that is gone is done.

        Raises:
            EngineUnavailable, TimedOut, EngineRefused: The manager cannot be asked, or refuses.
        """
        for attempt in range(_TRIES):
            raw = self._ask(f"/services/{quote(service)}")
            if not isinstance(raw, dict):
                return
            spec: dict[str, Any] = raw["Spec"]
            spec["Labels"] = {**(spec.get("Labels") or {}), **labels}
            target = f"/services/{quote(service)}/update?version={raw['Version']['Index']}"
            answer = self._wire.call("POST", target, spec)
            if answer.status < 400 or answer.status == 404:
                return
            if _OUT_OF_SEQUENCE not in answer.message or attempt == _TRIES - 1:
                raise EngineRefused(answer.message or "the service could not be labelled")

    def _ask(self, target: str) -> Any:
        answer = self._wire.call("GET", target)
        if answer.status == 404:
            return None
        if answer.status >= 400:
            raise EngineRefused(answer.message or f"`{target.partition('?')[0]}` was refused")
        return answer.json()


def _filters(labels: Mapping[str, str]) -> str:
    return quote(json.dumps({"label": list(label_filters(labels))}))
