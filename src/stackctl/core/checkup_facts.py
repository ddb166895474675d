"""What `doctor` looks at, as frozen data, and the shape of what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from stackctl.core.limits import DEFAULT, Limits
from stackctl.core.stack import Configuration

if TYPE_CHECKING:
    from stackctl.core.facts import EngineFacts, Network

State = Literal["passed", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Args:
        check: Name of the check, stable for scripts.
        message: What was seen, one sentence without a full stop.
        remedy: What to do about it; empty when it passed.
    """

    check: str
    state: State
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something could not be looked at.

    Args:
        kind: Class name of the error, as in the tree of `errors`.
    """

    kind: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """A unix socket as the file system has it; `mode` is None when there is none or it cannot be seen.

    Args:
        usable: True when the caller may read and write it.
    """

    path: str
    mode: int | None = None
    owner: str = ""
    group: str = ""
    usable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A docker object that carries stackctl's labels.

    Args:
        kind: "container", "network" or "volume".
        home: Identity of the state directory that it was made from.
    """

    kind: str
    id: str
    name: str
    project: str
    generation: str
    home: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSight:
    """What was seen of docker.

    Args:
        command: Full path of the docker command, empty when there is none.
        command_version: Its version, empty when it did not say.
        facts: None when the engine did not answer.
        trouble: Why it did not, or why it fell silent later.
        compose: Version of the plugin, empty with a `compose_trouble`.
        skew: Seconds by which the engine's clock is ahead of ours, None when it is not known.
        networks, objects: None when they could not be listed.
        clear: True for a TCP port without TLS.
        elsewhere: True when the daemon is proven to live in another network namespace than we do.
    """

    host: str = ""
    context: str = ""
    socket: Socket | None = None
    command: str = ""
    command_version: str = ""
    facts: EngineFacts | None = None
    trouble: Trouble | None = None
    compose: str = ""
    compose_trouble: Trouble | None = None
    skew: float | None = None
    networks: tuple[Network, ...] | None = None
    objects: tuple[Owned, ...] | None = None
    clear: bool = False
    elsewhere: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The file system that holds a folder.

    Args:
        what: Whose folder it is, for messages.
        total, free: Bytes; `free` is what an ordinary user may still write.
        inodes, inodes_free: 0 and 0 where the file system does not count them.
    """

    what: str
    path: str
    total: int
    free: int
    inodes: int = 0
    inodes_free: int = 0


@dataclass(frozen=True, slots=True)
class Route:
    """One IPv4 route of this host; `subnet` in CIDR notation."""

    interface: str
    subnet: str


@dataclass(frozen=True, slots=True)
class Leftover:
    """An environment that nobody works on although its phase says so."""

    project: str
    phase: str
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSight:
    """What was seen of the state directory.

    Args:
        exists: False before the first `up`.
        mode: Its permission bits, None when it cannot be seen.
        owner: Name or number of who owns it.
        trouble: Why it cannot be used.
        identity: As on the labels.
        generations: Project -> generation of every record.
        live: Projects of environments that are up.
        unreadable: Project and reason of each record that cannot be read.
    """

    path: str
    exists: bool = True
    mode: int | None = None
    owner: str = ""
    trouble: Trouble | None = None
    identity: str = ""
    generations: Mapping[str, str] = field(default_factory=dict)
    live: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    leftovers: tuple[Leftover, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Which `stackctl` runs.

    Args:
        running: Real path of the command that runs, or of the one that its interpreter has; empty when
            neither is there.
        on_path: Each `stackctl` on PATH in order, with its real path.
        folder: Where install.sh has linked the command; else where the running interpreter keeps it.
    """

    running: str
    on_path: tuple[tuple[str, str], ...] = ()
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Supervisor:
    """How the supervisor of this state directory stands.

    Args:
        sound: It lives and had a good look lately; one that is `alive` and not sound is hung.
        automatic: `up` starts one where there is none.
    """

    alive: bool
    words: str
    sound: bool = True
    automatic: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """Everything that `doctor` judges.

    Args:
        python: Version of the interpreter that runs, major and minor.
        limits: The limits that a stack gets which sets none, ceilings included.
        configuration_trouble: Why the configuration or the machine's policy cannot be read.
        interfaces: Names of this host's network interfaces; None where they cannot be listed.
        supervisor: None where there is no state directory yet, or where it cannot be read.
    """

    engine: EngineSight
    state: StateSight
    disks: tuple[Disk, ...] = ()
    routes: tuple[Route, ...] = ()
    interfaces: frozenset[str] | None = None
    program: Program = field(default_factory=lambda: Program(running=""))
    python: tuple[int, int] = (3, 10)
    python_path: str = ""
    configuration: Configuration = field(default_factory=Configuration)
    configuration_trouble: Trouble | None = None
    limits: Limits = DEFAULT
    supervisor: Supervisor | None = None


def plural(count: int, word: str) -> str:
    """A count with its noun ("1 network", "2 networks")."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
