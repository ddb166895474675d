"""A small host in one cgroup: an engine all of whose containers share so much memory and so many processes.

What happens in it stays in it: the kernel ends its processes when it is full, and nothing else's. It needs
root and cgroup v1, because it writes the limits itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "faults"))

from daemon import PrivateDaemon

CGROUPS = Path("/sys/fs/cgroup")
EVERY = 0.1
"""Seconds between two looks."""
MACHINE_KEEPS = 2 << 30
"""Bytes that the real machine must have available; below it, everything is ended."""


@dataclass(frozen=True)
class Look:
    """How the small host is at one moment.

    Args:
        at: Seconds since the epoch.
        free: Bytes that could still be had: the limit without what is used, page cache not counted.
        processes: Processes and threads in it.
        kills: Container id -> processes in it that the kernel has ended for memory.
    """

    at: float
    free: int
    processes: int
    kills: Mapping[str, int]


@dataclass
class Watching:
    """Looks at a small host from another thread, until it is told to end."""

    host: SmallHost
    looks: list[Look] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.over.wait(EVERY):
            self.looks.append(self.host.look())


@dataclass(frozen=True)
class SmallHost:
    """The cgroup and the engine.

    Args:
        name: Of the cgroup, below each hierarchy's root.
        memory: Bytes that all of it may use.
        engine: Its Docker daemon, which itself lies outside.
    """

    name: str
    memory: int
    engine: PrivateDaemon

    def folder(self, controller: str) -> Path:
        return CGROUPS / controller / self.name

    def look(self) -> Look:
        """How it is now."""
        memory = self.folder("memory")
        stat = numbers(memory / "memory.stat")
        used = int((memory / "memory.usage_in_bytes").read_text())
        cache = stat["total_inactive_file"] + stat["total_active_file"]
        kills = {}
        for one in memory.glob("*/memory.oom_control"):
            with suppress(OSError):  # a container that ends just now
                kills[one.parent.name] = numbers(one)["oom_kill"]
        return Look(
            at=time.time(),
            free=self.memory - used + cache,
            processes=int((self.folder("pids") / "pids.current").read_text()),
            kills={name: count for name, count in kills.items() if count},
        )

    @contextmanager
    def watched(self) -> Iterator[list[Look]]:
        """Looks from now on, one each `EVERY` seconds."""
        watching = Watching(self)
        thread = threading.Thread(target=watching.run, daemon=True)
        thread.start()
        try:
            yield watching.looks
        finally:
            watching.over.set()
            thread.join()


def numbers(path: Path) -> dict[str, int]:
    """A file of `name number` lines."""
    return {name: int(number) for name, number in map(str.split, path.read_text().splitlines())}


def machine_available() -> int:
    """Bytes that the real machine has available (proc(5), meminfo)."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))


def lacking() -> str:
    """What this machine lacks for a small host, or nothing."""
    if os.getuid():
        return "root"
    if not (CGROUPS / "memory" / "memory.limit_in_bytes").exists():
        return "cgroup v1"
    return "" if machine_available() > MACHINE_KEEPS * 3 else "6 GiB of available memory"


@contextmanager
def small_host(memory: int, pids: int, image: str, archive: Path) -> Iterator[SmallHost]:
    """One with an image in it; gone afterwards, which is checked.

    Args:
        memory: Bytes.
        pids: Processes and threads.
        archive: Where the image is kept for its way from the one engine to the other.
    """
    name = f"incident-{uuid4().hex[:8]}"
    try:
        bound(name, memory, pids)
        subprocess.run(["docker", "save", "--output", str(archive), image], check=True, timeout=120)
        host = SmallHost(name, memory, PrivateDaemon(images=archive, options=[f"--cgroup-parent=/{name}"]))
        try:
            host.engine.start()
            yield host
        finally:
            host.engine.close()
    finally:
        remove(name)


def bound(name: str, memory: int, pids: int) -> None:
    """Make the cgroup, and give it its limits."""
    for controller, file, value in (
        ("memory", "memory.limit_in_bytes", memory),
        ("memory", "memory.memsw.limit_in_bytes", memory),
        ("pids", "pids.max", pids),
    ):
        (CGROUPS / controller / name).mkdir(exist_ok=True)
        (CGROUPS / controller / name / file).write_text(str(value))


def remove(name: str) -> None:
    """Remove the cgroup from every hierarchy; one that stays is an error."""
    end = time.monotonic() + 20
    while left := [one for one in CGROUPS.glob(f"*/{name}") if one.is_dir()]:
        if time.monotonic() > end:
            sys.exit(f"error: the cgroups of {name} are still there")
        for one in left:
            with suppress(OSError):  # its last process ends a moment later
                one.rmdir()
        time.sleep(0.05)
