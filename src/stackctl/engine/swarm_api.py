"""A Swarm by its manager's own API: what `batch` asks many times a second, and tasks' single services."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stackctl.core.swarm_facts import Standing
from stackctl.core.swarm_tasks import ended_mode
from stackctl.engine import swarm_parse
from stackctl.engine.errors import explain
from stackctl.engine.parse import parse_time
from stackctl.engine.transport import label_filters, quote
from stackctl.engine.wire import TooLong

if TYPE_CHECKING:
    from stackctl.core.swarm_facts import Cluster, Node, SwarmService, SwarmTask, SwarmThing
    from stackctl.engine.wire import Answer, Wire

SLOW = 30.0
"""Seconds beyond the usual patience: managers that elect a leader answer late."""
LOGS = 60.0
"""Seconds for all that a service wrote, which comes from its node."""
PART = 8 << 20
"""Bytes of a list beyond which it is asked for in parts: read, it takes six times as much memory."""
LONGEST = 64 << 20
"""Bytes of a part, and of any other answer, at most."""
_FIRST = "0123456789abcdefghijklmnopqrstuvwxyz"
"""What ids of a Swarm begin with, in base 36; its lists are filtered by it."""
ELECTION = 30.0
"""Seconds without a leader that are waited for: managers say so at once, or after 20 s."""
_PAUSE = 1.0
_TRIES = 5
_CHANGED = "update out of sequence"
_IN_USE = (400, 403, 409)
KINDS = ("network", "config", "secret")


class SwarmApi:
    """The part of a `Swarm` that needs no docker command.

    Args:
        wire: Makes a connection to the manager.
    """

    def __init__(self, wire: Callable[[], Wire]) -> None:
        self._connect = wire
        self._kept: Wire | None = None
        self._long: set[str] = set()

    def close(self) -> None:
        """Close the connection that waits for another question."""
        if self._kept is not None:
            self._kept.close()

    def api(self) -> tuple[int, int]:
        """The version of the API that the manager speaks; (0, 0) where it does not say."""
        major, _, minor = str((self._read("/version") or {}).get("ApiVersion", "")).partition(".")
        return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)

    def cluster(self, *, patient: bool = False) -> Cluster:
        """Which Swarm it is; one without id where the engine is in none.

        Args:
            patient: Wait while the managers elect a leader, for half a minute, and raise where they have
                none then. Else one without id is a Swarm without a leader, too.

        Raises:
            EngineUnavailable, TimedOut, EngineRefused: It cannot be asked.
        """
        end = time.monotonic() + ELECTION
        while True:
            raw = (self._read("/info", extra=SLOW if patient else 0.0) or {}).get("Swarm")
            found = swarm_parse.parse_cluster(raw if isinstance(raw, dict) else {})
            if found.id or not found.manager or not patient:
                return found
            if time.monotonic() >= end:
                raise swarm_parse.no_leader()
            time.sleep(_PAUSE)

    def nodes(self) -> tuple[Node, ...]:
        """Every node, by host name, of one answer."""
        found = [swarm_parse.parse_node(one) for one in self._read("/nodes") or ()]
        return tuple(sorted(found, key=lambda node: (node.hostname, node.id)))

    def tasks(self, labels: Mapping[str, str]) -> tuple[SwarmTask, ...]:
        """Every task whose service has the labels, also of services that are gone; all of them for none."""
        return tuple(swarm_parse.parse_task(one, {}) for one in self._every("tasks", labels))

    def single_services(self, labels: Mapping[str, str]) -> tuple[SwarmService, ...]:
        """The services with the labels, their names as Swarm has them."""
        return tuple(swarm_parse.parse_service(one, "") for one in self._every("services", labels))

    def create_service(self, order: Mapping[str, Any]) -> str:
        """Make a service; its id, empty where one of that name is there. Swarm goes about it by itself.

        Args:
            order: As `core.swarm_tasks.service_order`.

        Raises:
            EngineRefused, TimedOut: As the manager says.
        """
        answer = self._ask("POST", "/services/create", order)
        if answer.status >= 400 and answer.status != 409:
            raise _refusal(answer, "making a service")
        return str((answer.json() or {}).get("ID", ""))

    def end_service(self, service: str) -> None:
        """Have Swarm end what a task's service runs; one that is gone is done.

        Raises:
            EngineRefused, TimedOut: As the manager says.
        """
        self._change(service, _ended, "ending a service")

    def label_service(self, service: str, labels: Mapping[str, str]) -> None:
        """Set labels of a service, whose tasks are not touched by it; one that is gone is done.

        Raises:
            EngineRefused, TimedOut: As the manager says.
        """

        def labelled(spec: Mapping[str, Any]) -> dict[str, Any]:
            return {**spec, "Labels": {**(spec.get("Labels") or {}), **labels}}

        self._change(service, labelled, "labelling a service")

    def _change(
        self, service: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any]], doing: str
    ) -> None:
        """Change what Swarm was told of a service, again where somebody else changed it meanwhile."""
        target = f"/services/{quote(service)}"
        for left in reversed(range(_TRIES)):
            raw = self._read(target)
            if raw is None:
                return
            version = (raw.get("Version") or {}).get("Index", 0)
            answer = self._ask("POST", f"{target}/update?version={version}", change(raw.get("Spec") or {}))
            if answer.status < 400 or answer.status == 404:
                return
            if not left or _CHANGED not in answer.message:
                raise _refusal(answer, doing)

    def remove_service(self, service: str) -> None:
        """Remove a service by its id; one that is gone is done."""
        answer = self._ask("DELETE", f"/services/{quote(service)}")
        if answer.status >= 400 and answer.status != 404:
            raise _refusal(answer, "removing a service")

    def standing(self) -> Standing:
        """What the engine's node is to the Swarm at this moment.

        Raises:
            EngineUnavailable, TimedOut, EngineRefused: It cannot be asked.
        """
        raw = self._read("/info", extra=0.0) or {}
        cluster = swarm_parse.parse_cluster(raw.get("Swarm") or {})
        node = self._read(f"/nodes/{quote(cluster.node)}") if cluster.manager else None
        leads = isinstance(node, dict) and swarm_parse.parse_node(node).leader
        return Standing(cluster=cluster, hostname=str(raw.get("Name", "")), leader=leads)

    def loose_things(self, labels: Mapping[str, str]) -> tuple[SwarmThing, ...]:
        """Networks of the Swarm, configs and secrets with all the labels, and when they were made."""
        found = []
        for kind in KINDS:
            for raw in self._every(f"{kind}s", labels):
                if kind != "network" or raw.get("Scope") == "swarm":
                    made = parse_time(raw.get("CreatedAt") or raw.get("Created"))
                    found.append(replace(swarm_parse.parse_thing(kind, raw), created=made))
        return tuple(found)

    def take_away(self, kind: str, one: str) -> bool:
        """Remove a service, network, config or secret; False where something still uses it.

        Raises:
            ValueError: It is of another kind; volumes above all are data, and are never removed.
            EngineRefused, TimedOut: As the manager says.
        """
        if kind not in ("service", *KINDS):
            raise ValueError(f"nothing here removes a {kind}")
        answer = self._ask("DELETE", f"/{kind}s/{quote(one)}")
        if answer.status in _IN_USE:
            return False
        if answer.status >= 400 and answer.status != 404:
            raise _refusal(answer, f"removing a {kind}")
        return True

    def service_output(self, service: str) -> tuple[bytes, bool]:
        """All that a service's containers wrote, both streams, and whether every node gave what it has."""
        target = f"/services/{quote(service)}/logs?stdout=1&stderr=1"
        answer = self._ask("GET", target, extra=LOGS)
        return swarm_parse.service_log(answer.body) if answer.status == 200 else (b"", False)

    def _every(self, kind: str, labels: Mapping[str, str]) -> Iterator[Any]:
        """Every one of a kind that has the labels; part by part, where the whole is long.

        Raises:
            EngineUnavailable, TimedOut, EngineRefused: It cannot be asked, or a part is too long as well.
        """
        if kind not in self._long:
            try:
                yield from self._read(f"/{kind}{_filtered(labels)}", most=PART) or ()
            except TooLong:
                self._long.add(kind)
            else:
                return
        for first in _FIRST:
            part = self._read(f"/{kind}{_filtered(labels, first)}") or ()
            # of networks, ids are given that have it anywhere
            yield from (one for one in part if str(one.get("ID") or one.get("Id")).startswith(first))

    def _read(self, target: str, *, extra: float = SLOW, most: int = LONGEST) -> Any:
        """Plain data by a connection that is kept; None where there is no such thing."""
        if self._kept is None:
            self._kept = self._connect()
        answer = self._kept.call("GET", target, extra=extra, most=most)
        if answer.status == 404:
            return None
        if answer.status >= 400:
            raise _refusal(answer, "the question")
        return answer.json()

    def _ask(
        self, method: str, target: str, body: Mapping[str, Any] | None = None, *, extra: float = SLOW
    ) -> Answer:
        wire = self._connect()
        try:
            return wire.call(method, target, body, extra=extra)
        finally:
            wire.close()


def _ended(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {**spec, "Mode": ended_mode(spec.get("Mode") or {})}


def _refusal(answer: Answer, doing: str) -> Exception:
    return swarm_parse.no_manager(answer.message) or explain(answer.message, doing=doing)


def _filtered(labels: Mapping[str, str], first: str = "") -> str:
    """The query for what has labels, and an id that begins so."""
    filters = {"label": list(label_filters(labels)), "id": [first] if first else []}
    asked = {name: words for name, words in filters.items() if words}
    return f"?filters={quote(json.dumps(asked))}" if asked else ""
