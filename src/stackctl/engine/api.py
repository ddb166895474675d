"""The engine by its own API: what must feel instant, without a subprocess where that can be."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from stackctl.core.errors import EngineRefused, StackctlError
from stackctl.engine.parse import parse_log
from stackctl.engine.transport import Document, Kind, Listed, documents, label_filters, quote
from stackctl.engine.wire import Answer, Wire

if TYPE_CHECKING:
    from stackctl.engine.dialing import Line

GRACE = 10.0  # what docker gives a container to end when neither it nor the caller says otherwise
SLOW = 30.0  # beyond the usual patience, for acts: a process that the kernel holds costs docker 12 s
_IMPROPER = "container state improper"  # how Podman ends what it says of a container that is in another state


class SocketTransport:
    """Talks to the API; reads share one connection, acts on many objects have one each.

    Args:
        line: The way to it.
        patience: Seconds within which a question must be answered.
    """

    def __init__(self, line: Line, patience: float) -> None:
        self._way, self._patience = line, patience
        self._wire = Wire(line, patience)

    def info(self) -> Document:
        found = self._ask("/info")
        return found if isinstance(found, dict) else {}

    def local(self, info: Document, *, outside: bool = False) -> bool:
        """Whether its host is this machine: the listener in our pid namespace, kernel and memory ours.

        Args:
            outside: Its processes are seen although they lie outside our pid namespace.
        """
        desktop = "docker desktop" in str(info.get("OperatingSystem", "")).lower()
        if desktop or sys.platform != "linux" or not (self._wire.peer() or (outside and self._way.here)):
            return False
        return info.get("KernelVersion") == os.uname().release and info.get("MemTotal") == _own_memory()

    def find(self, kind: Kind, labels: Mapping[str, str]) -> tuple[Document, ...]:
        if kind == "volumes":
            return tuple((self._ask(f"/volumes{_filtered(labels)}") or {}).get("Volumes") or ())
        return self._each(kind, [one["Id"] for one in self.brief(kind, labels)])

    def brief(self, kind: Listed, labels: Mapping[str, str]) -> tuple[Document, ...]:
        path = "/containers/json" if kind == "containers" else "/networks"
        return tuple(self._ask(path + _filtered(labels)) or ())

    def close(self) -> None:
        self._wire.close()

    def inspect(self, ids: Sequence[str]) -> tuple[Document, ...]:
        return self._each("containers", ids)

    def image(self, reference: str) -> Document | None:
        found = self._ask(f"/images/{quote(reference)}/json")
        return found if isinstance(found, dict) else None

    def stop(self, ids: Sequence[str], grace: float | None) -> None:
        self._patiently("stop", ids, grace)

    def restart(self, ids: Sequence[str], grace: float | None) -> None:
        self._patiently("restart", ids, grace)

    def kill(self, ids: Sequence[str]) -> None:
        self._act("POST", [f"/containers/{quote(one)}/kill" for one in ids], already=(409,))

    def forbid_restart(self, ids: Sequence[str]) -> None:
        body = {"RestartPolicy": {"Name": "no"}}
        self._act("POST", [f"/containers/{quote(one)}/update" for one in ids], body=body)

    def renew_memory(self, container: str, memory: int, swap: int) -> None:
        body = {"Memory": memory, "MemorySwap": swap}
        self._act("POST", [f"/containers/{quote(container)}/update"], body=body, already=(409,))

    def remove(self, kind: Kind, ids: Sequence[str]) -> None:
        # 409 is a container that runs again, or whose removal is under way; never force: it may be alive
        already = (409,) if kind == "containers" else ()
        self._act("DELETE", [f"/{kind}/{quote(one)}" for one in ids], already=already)

    def log_tail(self, container: str, lines: int) -> str:
        query = f"stdout=1&stderr=1&tail={lines}"
        answer = self._wire.call("GET", f"/containers/{quote(container)}/logs?{query}")
        return parse_log(answer.body) if answer.status == 200 else ""

    def top(self, container: str, columns: str) -> tuple[tuple[str, ...], ...]:
        query = f"ps_args={quote(f'-eo {columns}')}"
        answer = self._wire.call("GET", f"/containers/{quote(container)}/top?{query}")
        found = answer.json() if answer.status == 200 else None
        rows = found.get("Processes") if isinstance(found, dict) else None
        return tuple(tuple(map(str, row)) for row in rows or ())

    def past_events(self, container: str, since: float, until: float) -> tuple[Document, ...]:
        # were `until` ahead of the engine's clock, the answer would wait for it
        span = f"since={since:.9f}&until={min(until, time.time()):.9f}"
        filters = quote(json.dumps({"container": [container]}))
        answer = self._wire.call("GET", f"/events?{span}&filters={filters}")
        if answer.status >= 400:
            raise _refusal(answer, "the question")
        return documents(answer.body.splitlines())

    def _ask(self, target: str) -> Any:
        answer = self._wire.call("GET", target)
        if answer.status == 404:
            return None
        if answer.status >= 400:
            raise _refusal(answer, "the question")
        return answer.json()

    def _each(self, kind: Kind, ids: Sequence[str]) -> tuple[Document, ...]:
        end = "/json" if kind == "containers" else ""
        found = (self._ask(f"/{kind}/{quote(one)}{end}") for one in ids)
        return tuple(one for one in found if isinstance(one, dict))

    def _patiently(self, verb: str, ids: Sequence[str], grace: float | None) -> None:
        graces = dict.fromkeys(ids, grace) if grace is not None else self._own_graces(ids)
        calls = []
        for one, seconds in graces.items():
            query = "" if grace is None else f"?t={max(0, round(grace))}"
            target = f"/containers/{quote(one)}/{verb}{query}"
            calls.append(partial(self._act_once, "POST", target, extra=seconds or 0.0))
        _together(calls)

    def _own_graces(self, ids: Sequence[str]) -> dict[str, float | None]:
        graces: dict[str, float | None] = dict.fromkeys(ids, GRACE)
        for one in self._each("containers", ids):
            config = one.get("Config") or {}
            graces[str(one.get("Id"))] = float(config.get("StopTimeout") or GRACE)
        return {one: seconds for one, seconds in graces.items() if one in ids}

    def _act(
        self,
        method: str,
        targets: Sequence[str],
        *,
        body: Document | None = None,
        already: tuple[int, ...] = (),
    ) -> None:
        _together([partial(self._act_once, method, one, body=body, already=already) for one in targets])

    def _act_once(
        self,
        method: str,
        target: str,
        *,
        body: Document | None = None,
        extra: float = 0.0,
        already: tuple[int, ...] = (),
    ) -> None:
        wire = Wire(self._way, self._patience)
        try:
            answer = wire.call(method, target, body, extra=SLOW + extra)
        finally:
            wire.close()
        # Podman answers 500 where Docker answers 409
        status = 409 if answer.message.endswith(_IMPROPER) else answer.status
        if status >= 400 and status not in (404, *already):
            raise _refusal(answer, f"`{target.partition('?')[0]}`")


def _refusal(answer: Answer, doing: str) -> StackctlError:
    from stackctl.engine.errors import explain

    return explain(answer.message, doing=doing)


def _filtered(labels: Mapping[str, str]) -> str:
    filters = {"label": list(label_filters(labels))} if labels else {}
    return f"?all=1&filters={quote(json.dumps(filters))}"


def _together(calls: Sequence[Callable[[], None]]) -> None:
    """Make all calls at once; when some fail, the others are still made, and one error tells of all."""
    problems: list[StackctlError] = []

    def attempt(call: Callable[[], None]) -> None:
        try:
            call()
        except StackctlError as error:
            problems.append(error)

    threads = [Thread(target=attempt, args=(call,), daemon=True) for call in calls[1:]]
    begun = [thread for thread in threads if _started(thread)]
    for call in [
        *calls[:1],
        *(call for thread, call in zip(threads, calls[1:], strict=True) if thread not in begun),
    ]:
        attempt(call)
    for thread in begun:
        thread.join()
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise EngineRefused("; ".join(dict.fromkeys(one.message for one in problems)), hint=problems[0].hint)


def _own_memory() -> int:
    with suppress(OSError, ValueError, IndexError):
        first = Path("/proc/meminfo").read_text().split("\n", 1)[0]
        return int(first.split()[1]) << 10
    return 0


def _started(thread: Thread) -> bool:
    """Whether it could be started; at a limit on tasks it cannot, and we do what it was to do."""
    try:
        thread.start()
    except RuntimeError:
        return False
    return True
