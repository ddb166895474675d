"""Which processes of this host are orphans that nobody will ever wait for, and may be swept."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

REAPERS = frozenset(
    {
        *("systemd", "init", "launchd", "runit", "runsvdir", "s6-svscan", "openrc-init", "busybox"),
        *("tini", "docker-init", "dumb-init", "catatonit", "catatonit-init", "conmon", "containerd-shim"),
    }
)
"""Names of processes that adopt orphans: what init systems, container inits and shims are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostProcess:
    """One process of this host.

    Args:
        started: Clock ticks since boot, which with the pid tells it from every other process of this boot.
        age: Seconds since then.
        user: Numeric id of the user that it runs as.
        name: Its name, at most 15 characters, as the kernel has it.
        command: Its command line, or its name in brackets; one line.
        session: Process id of its session's leader.
        threads: Its threads, which is what pids limits count.
        memory: Resident bytes.
        unit: Path of its cgroup, which names the systemd unit that it belongs to; empty when not known.
    """

    pid: int
    parent: int
    started: int
    age: float
    user: int
    name: str = ""
    command: str = ""
    session: int = 0
    threads: int = 1
    memory: int = 0
    zombie: bool = False
    unit: str = ""


Table = Mapping[int, HostProcess]


def orphaned(process: HostProcess, table: Table) -> bool:
    """Whether a process has lost its parent and was given to an init or a subreaper.

    A parent that cannot be seen proves nothing. Where process 1 is no init (a container whose first process
    is the application itself), its children are its own unless their session's leader is another process.
    What a service manager started itself, the oldest process of a `.service`, has a living owner.
    """
    parent = table.get(process.parent)
    if parent is None:
        return False
    if parent.pid == 1 and parent.name not in REAPERS and not _shim(parent):
        return process.session != parent.session and process.session != process.pid
    if parent.name not in REAPERS and not _shim(parent):
        return False
    return not _main_of_service(process, table)


def _shim(process: HostProcess) -> bool:
    return process.name.startswith("containerd-shim")


def _main_of_service(process: HostProcess, table: Table) -> bool:
    if not process.unit.endswith(".service"):
        return False
    fellows = [one for one in table.values() if one.unit == process.unit and one.pid != process.parent]
    return all((process.started, process.pid) <= (one.started, one.pid) for one in fellows)


def ancestors(pid: int, table: Table) -> frozenset[int]:
    """A process and everything above it."""
    found: set[int] = set()
    while pid in table and pid not in found:
        found.add(pid)
        pid = table[pid].parent
    return frozenset(found)


def descendants(roots: Collection[int], table: Table) -> tuple[HostProcess, ...]:
    """Everything below the given processes, these left out; parents before their children."""
    children: dict[int, list[int]] = {}
    for one in table.values():
        children.setdefault(one.parent, []).append(one.pid)
    found: list[int] = []
    queue = sorted(roots)
    seen = set(queue)
    while queue:
        for pid in sorted(children.get(queue.pop(0), ())):
            if pid not in seen:
                seen.add(pid)
                found.append(pid)
                queue.append(pid)
    return tuple(table[pid] for pid in found)


def swept(
    table: Table, matches: Mapping[int, bool], *, user: int, older_than: float, spare: Collection[int]
) -> tuple[HostProcess, ...]:
    """The orphans that may be ended, and those of their descendants that match as well.

    Args:
        matches: Process id -> whether its command line matches.
        user: Whose processes are meant; nobody else's are ever touched.
        older_than: Seconds that an orphan must have lived.
        spare: Process ids that are never touched: the sweeper and its ancestors.
    """

    def fits(one: HostProcess) -> bool:
        return (
            matches.get(one.pid, False)
            and one.user == user
            and not one.zombie
            and one.pid not in spare
            and one.age >= older_than
        )

    roots = [one for one in table.values() if fits(one) and orphaned(one, table)]
    below = [one for one in descendants([one.pid for one in roots], table) if fits(one)]
    return tuple({one.pid: one for one in [*roots, *below]}.values())


def over_limits(
    table: Table, members: Collection[HostProcess], *, pids: int = 0, memory: int = 0
) -> Iterator[str]:
    """Which limits a group of processes is over, in words; 0 is no limit.

    Args:
        pids: Processes and threads.
        memory: Resident bytes; pages that processes share count in each of them.
    """
    threads = sum(one.threads for one in members if one.pid in table)
    resident = sum(one.memory for one in members if one.pid in table)
    if pids and threads > pids:
        yield f"{threads} processes and threads, limit {pids}"
    if memory and resident > memory:
        yield f"{resident >> 20} MiB of resident memory, limit {memory >> 20} MiB"
