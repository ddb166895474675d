"""What the use cases need of the world: the engine, the store, the clock. Fakes for pure logic satisfy the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stackctl.core.facts import Container, EngineFacts, Image, Network, Reading, Volume
from stackctl.core.records import EnvironmentRecord, Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The files that compose is driven with; never the caller's own `.env` or `COMPOSE_*`.

    Args:
        project: Compose project name.
        folder: The environment's folder, compose's project directory.
        document: The bounded document.
        placement: The env file that fills its holes.
    """

    project: str
    folder: Path
    document: Path
    placement: Path


@dataclass(frozen=True, slots=True)
class Instant:
    """The clocks read at once: `wall` since the epoch, `boottime` of CLOCK_BOOTTIME, in seconds."""

    wall: float
    boottime: float
    boot: str


class Clock(Protocol):
    """The only way to learn the time, and to let it pass."""

    def now(self) -> Instant: ...

    def sleep(self, seconds: float) -> None: ...


class Engine(Protocol):
    """The engine as the use cases see it; every call is bounded in time and raises core errors only."""

    def facts(self) -> EngineFacts: ...

    def containers(self, **labels: str) -> tuple[Container, ...]: ...

    def inspect(self, ids: Sequence[str]) -> tuple[Container, ...]: ...

    def networks(self) -> tuple[Network, ...]: ...

    def volumes(self, **labels: str) -> tuple[Volume, ...]: ...

    def images(self, references: Sequence[str]) -> Mapping[str, Image | None]: ...

    def pull(self, reference: str, progress: Callable[[str], None]) -> None: ...

    def up(self, deployment: Deployment, *, build: bool = False, timeout: float = 600.0) -> None: ...

    def stop(self, ids: Sequence[str], *, grace: float | None = None) -> None: ...

    def kill(self, ids: Sequence[str]) -> None: ...

    def restart(self, ids: Sequence[str], *, grace: float | None = None) -> None: ...

    def remove_containers(self, ids: Sequence[str]) -> None: ...

    def remove_networks(self, ids: Sequence[str]) -> None: ...

    def forbid_restart(self, ids: Sequence[str]) -> None: ...

    def log_tail(self, container: str, lines: int) -> str: ...

    def readings(self, containers: Sequence[Container]) -> Mapping[str, Reading]: ...


class Store(Protocol):
    """The state directory as the use cases see it; every write is atomic."""

    @property
    def home(self) -> Path: ...

    @property
    def identity(self) -> str: ...

    def folder(self, project: str) -> Path: ...

    def read(self, project: str) -> EnvironmentRecord | None: ...

    def records(self) -> Iterator[EnvironmentRecord]: ...

    def write(self, record: EnvironmentRecord) -> None: ...

    def lock(self, name: str, *, command: str, wait: float = 10.0) -> AbstractContextManager[None]: ...

    def lease(self, command: str) -> Lease: ...

    def lease_alive(self, lease: Lease) -> bool | None: ...
