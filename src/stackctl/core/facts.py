"""Frozen snapshots of the world outside: what the engine, its containers and the host are like right now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ENDED = frozenset({"exited", "dead"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What an engine says of itself and of the host it runs on.

    Args:
        id: Its own identity, from `docker info`; keeps two engines' records apart.
        host: The socket or address that was asked, such as `unix:///var/run/docker.sock`.
        local: True when its containers' processes and cgroups can be reached on this machine.
        cgroup_version: "1" or "2".
        cpus: Processors of the engine's host.
        memory: Bytes of memory of the engine's host.
        system_time: The engine's clock, seconds since the epoch.
        memory_limit, swap_limit, pids_limit, cpu_quota: Whether the kernel can enforce each.
    """

    id: str
    host: str
    local: bool
    version: str
    compose_version: str = ""
    operating_system: str = ""
    cgroup_version: str = "1"
    cgroup_driver: str = "cgroupfs"
    rootless: bool = False
    cpus: int = 1
    memory: int = 0
    system_time: float = 0.0
    memory_limit: bool = True
    swap_limit: bool = True
    pids_limit: bool = True
    cpu_quota: bool = True
    data_root: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def remote(self) -> bool:
        """Whether its folders are not ours; an engine behind a unix socket is taken to share them."""
        return bool(self.host) and not self.host.startswith("unix://")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPort:
    """One container port as the host sees it; `host_port` 0 when it is exposed only."""

    container_port: int
    protocol: str = "tcp"
    host_ip: str = ""
    host_port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedLimits:
    """The limits that the engine or the kernel reports; -1 means unlimited, None not known.

    Args:
        pids: Processes and threads.
        memory: Bytes.
        swap: Bytes of memory and swap together.
        cpus: Processors' worth of time.
    """

    pids: int | None = None
    memory: int | None = None
    swap: int | None = None
    cpus: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container, as `docker inspect` has it.

    Args:
        state: created, running, paused, restarting, removing, exited or dead.
        health: "" without a health check, else starting, healthy or unhealthy.
        oom_killed: Whether the kernel ended a process of it for memory. Engine 26 says so at once, also where
            the container goes on; Engine 20.10 only of what has ended.
        created, started, finished: Seconds since the epoch by the engine's clock, 0 when not yet.
        pid: Process id of its first process on the engine's host, 0 when it does not run.
        limits: What HostConfig says.
        networks: Network name -> the container's address in it.
        mounts: (type, source, destination) of each mount.
        config_hash: Compose's own hash of the service definition that it was made from.
    """

    id: str
    name: str
    image: str
    image_id: str = ""
    project: str = ""
    service: str = ""
    number: int = 1
    state: str
    health: str = ""
    exit_code: int = 0
    oom_killed: bool = False
    created: float = 0.0
    started: float = 0.0
    finished: float = 0.0
    restart_count: int = 0
    restart_policy: str = "no"
    pid: int = 0
    stop_signal: str = ""
    stop_timeout: int | None = None
    one_off: bool = False
    config_hash: str = ""
    limits: AppliedLimits = field(default_factory=AppliedLimits)
    ports: tuple[PublishedPort, ...] = ()
    networks: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[tuple[str, str, str], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One network; `members` are the ids of the containers attached to it."""

    id: str
    name: str
    created: float = 0.0
    subnets: tuple[str, ...] = ()
    gateway: str = ""
    members: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """One volume; `anonymous` when the engine made it for an image's VOLUME."""

    name: str
    driver: str = "local"
    anonymous: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image that the engine has.

    Args:
        volumes: Paths that the image declares as VOLUME.
        user: The user it runs as when nobody says otherwise; "" is root.
        ports: Container ports that it exposes, as "5432/tcp".
        stop_signal: What ends it, "" for SIGTERM.
    """

    id: str
    reference: str
    digests: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    user: str = ""
    ports: tuple[str, ...] = ()
    stop_signal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One sample of a running container's cgroup; None means no sample, never zero.

    Args:
        at: Seconds on the monotonic clock of the sampler.
        pids: Processes and threads now.
        memory: Working set in bytes: usage without page cache that the kernel can reclaim.
        cpu: Seconds of processor time used so far.
        limits: What the kernel enforces now.
        pids_refused: Forks that the kernel refused so far.
        oom_kills: Processes that the kernel ended for memory so far.
        pressure: Percent of the last 10 s in which some of its processes waited for memory; v2 only.
    """

    at: float
    pids: int | None = None
    memory: int | None = None
    cpu: float | None = None
    limits: AppliedLimits = field(default_factory=AppliedLimits)
    pids_refused: int | None = None
    oom_kills: int | None = None
    pressure: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of a container as the kernel sees it from outside.

    Args:
        pid: Process id on the engine's host.
        inside: Process id in the container's own pid namespace, 0 when it cannot be told.
        parent: `inside` of its parent, 0 when that lies outside.
        command: Its command line, or its name in brackets; one line.
        memory: Resident bytes, shared pages counted in each process.
        threads: Threads, each of which counts against the pids limit.
        name: What the kernel calls it, at most 15 characters.
        session: `inside` of its session's leader, 0 when it cannot be told.
        started: Clock ticks since boot, which with the pid tells it from every other process of this boot; 0
            when it cannot be told.
        age: Seconds since then.
        user: Numeric id on the engine's host of the user that it runs as.
        defunct: It has ended, and its parent has not waited for it.
    """

    pid: int
    inside: int = 0
    parent: int = 0
    command: str = ""
    memory: int = 0
    threads: int = 1
    name: str = ""
    session: int = 0
    started: int = 0
    age: float = 0.0
    user: int = 0
    defunct: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HostMemory:
    """The memory of the engine's host.

    Args:
        total, available: Bytes; `available` is what can be had without swapping (proc(5), MemAvailable).
        pressure: Percent of the last 10 s in which some process waited for memory; None when not known.
    """

    total: int
    available: int
    pressure: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What the engine says happened to one object of ours.

    Args:
        at: Seconds since the epoch by the engine's clock.
        kind: container, network or volume.
        action: start, die, kill, oom, stop, destroy, … as docker calls it, without what follows a colon.
        id: Of the container or network.
        signal: For `kill`, the signal that somebody asked docker to send, as docker writes it; else empty.
    """

    at: float
    kind: str
    action: str
    id: str
    signal: str = ""
