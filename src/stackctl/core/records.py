"""What stackctl remembers of an environment: written before docker hears of it, read by later commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from stackctl.core.phases import LIVE, PHASES, Phase

__all__ = [
    "LIVE",
    "PHASES",
    "SCHEMA",
    "SWARM",
    "TASK_SERVICE",
    "Deadline",
    "Ending",
    "EnvironmentRecord",
    "Lease",
    "Phase",
    "ServiceRecord",
    "SidecarRecord",
    "TaskPart",
    "UnreadableRecord",
    "from_plain",
    "to_plain",
]

SCHEMA = 2
"""1: the first. 2: the supervisor's memory (`began`, `aim`, `attempts`, `restarts`, `halted`, `budget`)."""

SWARM = "swarm"
TASK_SERVICE = "task"
"""The service of a task's own container; the others of its record are sidecars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Which live command is working on it; dead only if one of these proves it.

    Args:
        boot: Boot id of the host.
        pid: Process id.
        started: Start time of that process in clock ticks since boot (field 22 of its stat file).
        command: What it was, for messages.
        namespace: In which pid namespace `pid` counts (`pid:[4026531836]`), empty when it is not known.
    """

    boot: str
    pid: int
    started: int
    command: str = ""
    namespace: str = ""


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
        guard: Which orphans are swept (`patterns`, `after`, `older_than` in seconds); empty for none.
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
    guard: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarRecord:
    """How a sidecar is reached.

    Args:
        port: Container port.
        url: URL pattern with `{host}`, `{port}` and `{secret:name}`.
        env: Environment variable that carries the URL, empty for none.
    """

    port: int
    url: str
    env: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why and when it ended: one sentence for people, seconds since the epoch."""

    reason: str
    at: float
    incident: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPart:
    """What a task's record has beside that of an environment; never the value of a variable.

    Args:
        id: 12 hex digits; its container and project are `inst-<id>`, its folder is `tasks/<id>`.
        name: What the user calls it, empty for nothing.
        image, command: As asked for.
        inside: Project of the environment whose network it is on, empty for none.
        holder: Name of the batch or orchestrator that it belongs to, empty for none; such a task outlives
            the process that began it.
        key: What tells it from the holder's other tasks.
        variables: Names of the variables that were set for it.
        mounts: As asked for, `SRC:DST[:ro]`.
        keep: Its container stays, ended, until it is asked to go.
        forgotten: Somebody asked to forget it; this is kept for the sake of its data alone.
        exit_code: None while it is not known.
        started, finished: Seconds since the epoch by the engine's clock, 0 when not yet.
        peak_pids, peak_memory: The most that was read of its own container; bytes; 0 when never read.
        node: Host name of the node that ran it, on a Swarm; else empty.
    """

    id: str
    name: str = ""
    image: str
    command: tuple[str, ...] = ()
    inside: str = ""
    holder: str = ""
    key: str = ""
    variables: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    keep: bool = False
    forgotten: bool = False
    exit_code: int | None = None
    started: float = 0.0
    finished: float = 0.0
    peak_pids: int = 0
    peak_memory: int = 0
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRecord:
    """One environment on disk (`environments/<project>/record.json`), or one task (`tasks/<id>/record.json`).

    A task is looked at, judged, ended and reaped as an environment is; its `task` says what is its own.

    Args:
        root: Real path of the folder that holds `stacks/` (or the state root).
        stack_file: The stack file as found, for messages and to start it again.
        engine, engine_host: Id and address of the engine that it was made on.
        home, user: As in the labels.
        created: When this generation began, seconds since the epoch.
        lifetime: Seconds that it was given; `deadline` is when that ends.
        placement: The holes' values (`STACKCTL_…` -> text), its own for its whole life; never a secret.
        ports: Host ports that were asked for by number and stand in no hole.
        document: sha256 of the bounded document that was last brought up.
        services: What was asked for each service.
        containers, networks: Ids of what was made, by service and by network name.
        sidecars: How each sidecar is reached.
        secrets: Names of the files below `secrets/`.
        variables: `--set` values of the last `up`.
        volumes_of: The project of Compose's whose volumes it uses, empty for none.
        kept_volumes: Key in the document -> name of such a volume; nothing of ours ever removes it.
        tied: True when it belongs to its lease (`with`): a dead owner ends it.
        lease: Who is working on it, None when nobody is.
        began: When the `up` that made it `starting` began, seconds since the epoch by the engine's
            clock, as the ages of its objects are; what is older ran before.
        aim: The phase that a `stopping` environment ends in.
        attempts: How often ending it has failed so far; the next try waits the longer.
        restarts: Service -> when the supervisor restarted it, seconds since the epoch, the oldest first.
        halted: Services that a violation ended while the rest lives on; they are never restarted.
        budget: Marks on the sum over all services (`pids`, `memory` in bytes); empty for none.
        task: What only a task has; None for an environment.
        orchestrator: `swarm` where `engine` is a Swarm's id and not an engine's; empty for one engine.
        held: On Swarm: data folder -> id of the node that holds it, and an image with a shell that it has.
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
    ports: tuple[int, ...] = ()
    document: str = ""
    services: Mapping[str, ServiceRecord] = field(default_factory=dict)
    containers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    networks: Mapping[str, str] = field(default_factory=dict)
    sidecars: Mapping[str, SidecarRecord] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    volumes_of: str = ""
    kept_volumes: Mapping[str, str] = field(default_factory=dict)
    verified: str = ""
    tied: bool = False
    lease: Lease | None = None
    ending: Ending | None = None
    warnings: tuple[str, ...] = ()
    began: float = 0.0
    aim: Phase = "stopped"
    attempts: int = 0
    restarts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    halted: tuple[str, ...] = ()
    budget: Mapping[str, int] = field(default_factory=dict)
    task: TaskPart | None = None
    orchestrator: str = ""
    held: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    schema: int = SCHEMA

    @property
    def title(self) -> str:
        """What a person calls it: the stack's name, or a task's id."""
        return self.task.id if self.task else self.stack

    @property
    def on_swarm(self) -> bool:
        """Whether it is a Swarm's, so that no single engine can be asked for all of it."""
        return self.orchestrator == SWARM


class UnreadableRecord(ValueError):
    """A record that this version cannot read; `newer` when a later version wrote it."""

    def __init__(self, message: str, *, newer: bool = False) -> None:
        super().__init__(message)
        self.newer = newer


def to_plain(record: EnvironmentRecord) -> dict[str, Any]:
    """The record as plain data for JSON."""
    return asdict(record)


def from_plain(raw: Any) -> EnvironmentRecord:
    """Read plain data back; keys that this version does not know are left out.

    Raises:
        UnreadableRecord: It is not a record, or a newer version wrote it.
    """
    if not isinstance(raw, dict) or type(raw.get("schema")) is not int:
        raise UnreadableRecord("it is not a record of stackctl")
    if raw["schema"] > SCHEMA:
        raise UnreadableRecord(f"schema {raw['schema']} is newer than {SCHEMA}", newer=True)
    if raw["schema"] < 1:
        raise UnreadableRecord(f"there is no schema {raw['schema']}")
    record: EnvironmentRecord = _build(EnvironmentRecord, {**raw, "schema": SCHEMA}, "")
    return record


def _build(kind: type[Any], raw: Any, path: str) -> Any:
    if not isinstance(raw, dict):
        raise UnreadableRecord(f"{path} is not a mapping")
    values = {}
    for name, annotation, required in _FIELDS[kind]:
        if name in raw:
            values[name] = _READERS[annotation](raw[name], f"{path}.{name}" if path else name)
        elif required:
            raise UnreadableRecord(f"{path}.{name} is missing" if path else f"{name} is missing")
    return kind(**values)


def _reader(kind: type[Any] | tuple[type[Any], ...], words: str) -> _Reader:
    def read(raw: Any, path: str) -> Any:
        if not isinstance(raw, kind) or (isinstance(raw, bool) and kind is not bool):
            raise UnreadableRecord(f"{path} is not {words}")
        return raw

    return read


def _read_number(raw: Any, path: str) -> float:
    number = _reader((int, float), "a number")(raw, path)
    if not -_BEYOND_TIME < number < _BEYOND_TIME:
        raise UnreadableRecord(f"{path} is no finite number")
    return float(number)


def _read_phase(raw: Any, path: str) -> str:
    if raw not in PHASES:
        raise UnreadableRecord(f"{path} is no phase: {raw!r}")
    return str(raw)


def _one(kind: type[Any]) -> _Reader:
    return lambda raw, path: _build(kind, raw, path)


def _optional(read: _Reader) -> _Reader:
    return lambda raw, path: None if raw is None else read(raw, path)


def _list_of(read: _Reader) -> _Reader:
    items = _reader((list, tuple), "a list")
    return lambda raw, path: tuple(read(one, f"{path}[{at}]") for at, one in enumerate(items(raw, path)))


def _map_of(read: _Reader) -> _Reader:
    mapping = _reader(dict, "a mapping")
    return lambda raw, path: {name: read(one, f"{path}.{name}") for name, one in mapping(raw, path).items()}


_Reader = Callable[[Any, str], Any]
_BEYOND_TIME = 1e18
_TEXT, _WHOLE = _reader(str, "text"), _reader(int, "a whole number")
_READERS: Mapping[str, _Reader] = {
    "str": _TEXT,
    "int": _WHOLE,
    "bool": _reader(bool, "true or false"),
    "float": _read_number,
    "Phase": _read_phase,
    "Deadline": _one(Deadline),
    "Lease | None": _optional(_one(Lease)),
    "Ending | None": _optional(_one(Ending)),
    "TaskPart | None": _optional(_one(TaskPart)),
    "int | None": _optional(_WHOLE),
    "tuple[str, ...]": _list_of(_TEXT),
    "tuple[int, ...]": _list_of(_WHOLE),
    "Mapping[str, str]": _map_of(_TEXT),
    "Mapping[str, Any]": _map_of(lambda raw, _: raw),
    "Mapping[str, int]": _map_of(_WHOLE),
    "Mapping[str, tuple[float, ...]]": _map_of(_list_of(_read_number)),
    "Mapping[str, tuple[str, ...]]": _map_of(_list_of(_TEXT)),
    "Mapping[str, ServiceRecord]": _map_of(_one(ServiceRecord)),
    "Mapping[str, SidecarRecord]": _map_of(_one(SidecarRecord)),
}
_FIELDS: Mapping[type[Any], tuple[tuple[str, str, bool], ...]] = {
    kind: tuple(
        (f.name, str(f.type), f.default is MISSING and f.default_factory is MISSING) for f in fields(kind)
    )
    for kind in (EnvironmentRecord, ServiceRecord, SidecarRecord, Deadline, Lease, Ending, TaskPart)
}
