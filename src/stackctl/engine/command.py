"""The engine by the docker command: for addresses that a unix socket does not reach (tcp, ssh, contexts)."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from stackctl.core.errors import DaemonFrozen, TimedOut
from stackctl.engine import process
from stackctl.engine.errors import explain
from stackctl.engine.transport import Document, Kind, Listed, documents, label_filters

GRACE = 10.0
SLOW = 30.0
_GONE = "no such "
_NOT_NOW = ("in progress", "running container", "is running", "paused")


class CommandTransport:
    """Asks the docker command, many objects in one call.

    Args:
        environ: The environment that chooses the engine, scrubbed.
        patience: Seconds within which a question must be answered.
    """

    def __init__(self, environ: Mapping[str, str], patience: float) -> None:
        self._environ, self._patience = dict(environ), patience

    def info(self) -> Document:
        found = json.loads(self._run(["info", "--format", "{{json .}}"]) or "{}")
        if errors := found.get("ServerErrors"):
            raise explain("\n".join(map(str, errors)), doing="`docker info`")
        return dict(found)

    def local(self, info: Document) -> bool:  # noqa: ARG002 - the other transport needs it
        """Never: another machine's processes and cgroups cannot be read here."""
        return False

    def find(self, kind: Kind, labels: Mapping[str, str]) -> tuple[Document, ...]:
        noun = kind.removesuffix("s")
        every = (
            ["--all", "--no-trunc"] if kind == "containers" else ["--no-trunc"] if kind == "networks" else []
        )
        filters = [word for one in label_filters(labels) for word in ("--filter", f"label={one}")]
        names = self._run([noun, "ls", "--quiet", *every, *filters]).split()
        return self._inspect(noun, names)

    def brief(self, kind: Listed, labels: Mapping[str, str]) -> tuple[Document, ...]:
        return self.find(kind, labels)

    def inspect(self, ids: Sequence[str]) -> tuple[Document, ...]:
        return self._inspect("container", ids)

    def image(self, reference: str) -> Document | None:
        return next(iter(self._inspect("image", [reference])), None)

    def stop(self, ids: Sequence[str], grace: float | None) -> None:
        self._act(["stop", *_seconds(grace)], ids, extra=self._longest_grace(ids, grace))

    def restart(self, ids: Sequence[str], grace: float | None) -> None:
        self._act(["restart", *_seconds(grace)], ids, extra=self._longest_grace(ids, grace))

    def kill(self, ids: Sequence[str]) -> None:
        self._act(["kill"], ids, forgiven=("is not running",))

    def forbid_restart(self, ids: Sequence[str]) -> None:
        self._act(["update", "--restart", "no"], ids)

    def renew_memory(self, container: str, memory: int, swap: int) -> None:
        self._act(["update", "--memory", str(memory), "--memory-swap", str(swap)], [container])

    def remove(self, kind: Kind, ids: Sequence[str]) -> None:
        forgiven = _NOT_NOW if kind == "containers" else ("not found",)
        self._act([kind.removesuffix("s"), "rm"], ids, forgiven=forgiven)

    def log_tail(self, container: str, lines: int) -> str:
        argv = ["docker", "logs", "--tail", str(lines), container]
        ended = process.run(argv, timeout=self._patience, env=self._environ)
        return ended.stdout + ended.stderr if ended.code == 0 else ""

    def top(self, container: str, columns: str) -> tuple[tuple[str, ...], ...]:
        argv = ["docker", "top", container, "-eo", columns]
        ended = process.run(argv, timeout=self._patience, env=self._environ)
        rows = ended.stdout.splitlines()[1:] if ended.code == 0 else ()
        return tuple(tuple(row.split(None, columns.count(","))) for row in rows)

    def past_events(self, container: str, since: float, until: float) -> tuple[Document, ...]:
        # were `until` ahead of the engine's clock, the command would wait for it
        span = ["--since", f"{since:.9f}", "--until", f"{min(until, time.time()):.9f}"]
        words = ["events", *span, "--filter", f"container={container}", "--format", "{{json .}}"]
        return documents(self._run(words).splitlines())

    def _inspect(self, noun: str, ids: Sequence[str]) -> tuple[Document, ...]:
        if not ids:
            return ()
        # with one of them gone it ends with 1, and still prints the others
        found: Any = json.loads(self._run([noun, "inspect", *ids], forgiven=(_GONE,)) or "[]")
        return tuple(one for one in found if isinstance(one, dict))

    def _longest_grace(self, ids: Sequence[str], grace: float | None) -> float:
        if grace is not None:
            return grace
        own = ((one.get("Config") or {}).get("StopTimeout") for one in self.inspect(ids))
        return max((float(seconds or GRACE) for seconds in own), default=GRACE)

    def _act(
        self,
        words: list[str],
        ids: Sequence[str],
        *,
        extra: float = 0.0,
        forgiven: tuple[str, ...] = (_GONE,),
    ) -> None:
        if ids:
            self._run([*words, *ids], extra=SLOW + extra, forgiven=forgiven)

    def _run(self, words: list[str], *, extra: float = 0.0, forgiven: tuple[str, ...] = ()) -> str:
        argv = ["docker", *words]
        try:
            ended = process.run(argv, timeout=self._patience + extra, env=self._environ)
        except TimedOut as error:
            raise DaemonFrozen(error.message, hint="the engine, or the way to it, does not answer") from None
        if ended.code and not (forgiven and _only(ended.stderr, (*forgiven, _GONE))):
            raise explain(ended.stderr, doing=f"`{process.title(argv)}`")
        return ended.stdout


def _only(stderr: str, wanted: tuple[str, ...]) -> bool:
    # `docker network rm` adds its own exit status as a last line
    told = (line.lower().strip() for line in stderr.splitlines())
    lines = [line for line in told if line and not line.startswith("exit status ")]
    return bool(lines) and all(any(word in line for word in wanted) for line in lines)


def _seconds(grace: float | None) -> list[str]:
    return [] if grace is None else ["--time", str(max(0, round(grace)))]
