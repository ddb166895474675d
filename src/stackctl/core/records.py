"""What stackctl remembers of an environment: written before docker hears of it, read by later commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

SCHEMA = 1

Phase = Literal["starting", "running", "stopping", "stopped", "failed", "expired", "killed", "lost"]
PHASES: tuple[str, ...] = get_args(Phase)
LIVE: frozenset[str] = frozenset({"starting", "running", "stopping"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Which live command is working on it; dead only if one of these proves it.

    Args:
        boot: Boot id of the host.
        pid: Process id.
        started: Start time of that process in clock ticks since boot (field 22 of its stat file).
        command: What it was, for messages.
    """

    boot: str
    pid: int
    started: int
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """When the lifetime ends: on the wall clock, and on the clock that counts suspended time too.

    Args:
        wall: Seconds since the epoch.
        boottime: Seconds of CLOCK_BOOTTIME, which no one can set; counts while `boot` is the host's.
        boot: Boot id for which `boottime` counts.
    """

    wall: float
    boottime: float
    boot: str

    def left(self, *, wall: float, boottime: float, boot: str) -> float:
        """Seconds until the end, negative when it has passed."""
        return self.boottime - boottime if boot == self.boot else self.wall - wall


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRecord:
    """What was asked for one service; sizes in bytes, `cpus` as lowered to the host's.

    Args:
        restart: The restart policy that the document asked for before policy took it over.
        watchdog: `Watchdog` thresholds in force, already as absolute numbers.
    """

    pids: int
    memory: int
    swap: int
    cpus: float
    restart: str = "no"
    one_shot: bool = False
    sidecar: bool = False
    replicas: int = 1
    watchdog: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why and when it ended: one sentence for people, seconds since the epoch."""

    reason: str
    at: float
    incident: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRecord:
    """One environment on disk (`environments/<project>/record.json`).

    Args:
        root: Real path of the folder that holds `stacks/` (or the state root).
        stack_file: The stack file as found, for messages and to start it again.
        engine, engine_host: Id and address of the engine that it was made on.
        home, user: As in the labels.
        created: When this generation began, seconds since the epoch.
        lifetime: Seconds that it was given; `deadline` is when that ends.
        placement: The holes' values (`STACKCTL_…` -> text), its own for its whole life; never a secret.
        document: sha256 of the bounded document that was last brought up.
        services: What was asked for each service.
        containers, networks: Ids of what was made, by service and by network name.
        urls: Service -> URL pattern with `{host}`, `{port}` and `{secret:name}`.
        secrets: Names of the files below `secrets/`.
        variables: `--set` values of the last `up`, so that a later one without them means the same.
        tied: True when it belongs to its lease (`with`): a dead owner ends it.
        lease: Who is working on it, None when nobody is.
    """

    project: str
    stack: str
    instance: str = ""
    generation: str
    phase: Phase
    root: str
    stack_file: str = ""
    engine: str
    engine_host: str = ""
    home: str
    user: int
    created: float
    updated: float = 0.0
    lifetime: float
    deadline: Deadline
    placement: Mapping[str, str] = field(default_factory=dict)
    document: str = ""
    services: Mapping[str, ServiceRecord] = field(default_factory=dict)
    containers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    networks: Mapping[str, str] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    verified: str = ""
    tied: bool = False
    lease: Lease | None = None
    ending: Ending | None = None
    warnings: tuple[str, ...] = ()
    schema: int = SCHEMA


class UnreadableRecord(ValueError):
    """A record that this version cannot read; `newer` when a later version wrote it."""

    def __init__(self, message: str, *, newer: bool = False) -> None:
        super().__init__(message)
        self.newer = newer


def to_plain(record: EnvironmentRecord) -> dict[str, Any]:
    """The record as plain data for JSON."""
    return asdict(record)


def from_plain(raw: Any) -> EnvironmentRecord:
    """Read plain data back.

    Raises:
        UnreadableRecord: It is not a record, or a newer version wrote it.
    """
    if not isinstance(raw, dict) or not isinstance(raw.get("schema"), int):
        raise UnreadableRecord("it is not a record of stackctl")
    if raw["schema"] > SCHEMA:
        raise UnreadableRecord(f"schema {raw['schema']} is newer than {SCHEMA}", newer=True)
    try:
        return _record(raw)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableRecord(f"it does not hold what it must: {error}") from error


def _record(raw: dict[str, Any]) -> EnvironmentRecord:
    known = {f.name for f in fields(EnvironmentRecord)}
    values = {name: value for name, value in raw.items() if name in known}
    if values["phase"] not in PHASES:
        raise ValueError(f"no such phase: {values['phase']!r}")
    for name in ("project", "stack", "generation", "engine", "home", "root"):
        if not isinstance(values[name], str):
            raise TypeError(f"{name} is not text")
    values["deadline"] = Deadline(**values["deadline"])
    values["services"] = {name: ServiceRecord(**one) for name, one in values.get("services", {}).items()}
    values["containers"] = {name: tuple(ids) for name, ids in values.get("containers", {}).items()}
    values["lease"] = Lease(**values["lease"]) if values.get("lease") else None
    values["ending"] = Ending(**values["ending"]) if values.get("ending") else None
    values["secrets"] = tuple(values.get("secrets", ()))
    values["warnings"] = tuple(values.get("warnings", ()))
    return EnvironmentRecord(**values)
