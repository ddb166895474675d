"""What the engine must be asked, whichever way it is reached; answers have the shapes of docker's API."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, Protocol

Kind = Literal["containers", "networks", "volumes"]
Listed = Literal["containers", "networks"]
Document = Mapping[str, Any]
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~/:")


class Transport(Protocol):
    """One way to an engine. What is gone is no error: it is skipped when read, done when acted upon."""

    def info(self) -> Document: ...

    def close(self) -> None: ...

    def local(self, info: Document, *, outside: bool = False) -> bool: ...

    def find(self, kind: Kind, labels: Mapping[str, str]) -> tuple[Document, ...]: ...

    def brief(self, kind: Listed, labels: Mapping[str, str]) -> tuple[Document, ...]:
        """What a listing says; by socket it is one call, and containers and networks are not inspected."""
        ...

    def inspect(self, ids: Sequence[str]) -> tuple[Document, ...]: ...

    def image(self, reference: str) -> Document | None: ...

    def stop(self, ids: Sequence[str], grace: float | None) -> None: ...

    def kill(self, ids: Sequence[str]) -> None: ...

    def restart(self, ids: Sequence[str], grace: float | None) -> None: ...

    def forbid_restart(self, ids: Sequence[str]) -> None: ...

    def renew_memory(self, container: str, memory: int, swap: int) -> None: ...

    def remove(self, kind: Kind, ids: Sequence[str]) -> None: ...

    def log_tail(self, container: str, lines: int) -> str: ...

    def top(self, container: str, columns: str) -> tuple[tuple[str, ...], ...]:
        """A row for each process, the last column may have spaces; empty when the host cannot tell."""
        ...

    def past_events(self, container: str, since: float, until: float) -> tuple[Document, ...]: ...


def label_filters(labels: Mapping[str, str]) -> Iterable[str]:
    """Labels as docker filters by them; an empty value asks for the label's mere presence."""
    return (f"{name}={value}" if value else name for name, value in sorted(labels.items()))


def quote(text: str) -> str:
    """Text as a part of a URL's path or query."""
    return "".join(c if c in _PLAIN else "".join(f"%{byte:02X}" for byte in c.encode()) for c in text)


def documents(lines: Iterable[str | bytes]) -> tuple[Document, ...]:
    """Lines of JSON; those that hold no object are left out."""
    found = []
    for line in lines:
        with suppress(ValueError):
            found.append(json.loads(line))
    return tuple(one for one in found if isinstance(one, dict))
