"""What the engine must be asked, whichever way it is reached; answers have the shapes of docker's API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

Kind = Literal["containers", "networks", "volumes"]
Document = Mapping[str, Any]


class Transport(Protocol):
    """One way to an engine. What is gone is no error: it is skipped when read, done when acted upon."""

    def info(self) -> Document: ...

    def local(self, info: Document) -> bool: ...

    def find(self, kind: Kind, labels: Mapping[str, str]) -> tuple[Document, ...]: ...

    def inspect(self, ids: Sequence[str]) -> tuple[Document, ...]: ...

    def image(self, reference: str) -> Document | None: ...

    def stop(self, ids: Sequence[str], grace: float | None) -> None: ...

    def kill(self, ids: Sequence[str]) -> None: ...

    def restart(self, ids: Sequence[str], grace: float | None) -> None: ...

    def forbid_restart(self, ids: Sequence[str]) -> None: ...

    def remove(self, kind: Kind, ids: Sequence[str]) -> None: ...

    def log_tail(self, container: str, lines: int) -> str: ...


def label_filters(labels: Mapping[str, str]) -> Iterable[str]:
    """Labels as docker filters by them; an empty value asks for the label's mere presence."""
    return (f"{name}={value}" if value else name for name, value in sorted(labels.items()))
