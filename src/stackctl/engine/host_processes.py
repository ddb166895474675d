"""The processes of this host as a table, and how one of them is signalled without ever hitting another."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from stackctl.core.errors import UsageError
from stackctl.core.orphans import HostProcess
from stackctl.engine.cgroup import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable

PROC = Path("/proc")


class Known(Protocol):
    """A process that was seen, and can be told from the next one with its number."""

    @property
    def pid(self) -> int: ...

    @property
    def started(self) -> int: ...


Seen = TypeVar("Seen", bound=Known)
_LONGEST = 4096
_LOOK = 0.05


def check_platform() -> None:
    """Make sure that this host has a process table that can be trusted.

    Raises:
        UsageError: It has no /proc.
    """
    if sys.platform != "linux" or not (PROC / "self/stat").exists():
        raise UsageError(
            "`guard` needs Linux and its /proc", hint="run it in a container, or on the host itself"
        )


def read_processes(proc: Path = PROC) -> dict[int, HostProcess]:
    """Every process that can be seen, by pid; those that vanish meanwhile are left out."""
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    found = {}
    for name in os.listdir(proc):  # noqa: PTH208 -- thousands of names, not paths
        if name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                found[int(name)] = _read(proc / name, int(name), now, ticks, page)
    return found


def _read(folder: Path, pid: int, now: float, ticks: int, page: int) -> HostProcess:
    text = text_of(folder / "stat") or ""
    name, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 1 :].split()
    words = (text_of(folder / "cmdline") or "")[:_LONGEST].split("\0")
    command = " ".join(" ".join(words).split()) or f"[{name}]"
    started = int(rest[19])
    return HostProcess(
        pid=pid,
        parent=int(rest[1]),
        session=int(rest[3]),
        threads=int(rest[17]),
        started=started,
        memory=int(rest[21]) * page,
        age=max(0.0, now - started / ticks),
        user=folder.stat().st_uid,
        name=name,
        command=command,
        zombie=rest[0] in "ZX",
        unit=_unit(text_of(folder / "cgroup") or ""),
    )


def _unit(text: str) -> str:
    """The path in systemd's own hierarchy (v1), or in the only one there is (v2)."""
    for line in text.splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers in ("name=systemd", ""):
            return path
    return ""


def send(process: HostProcess, number: signal.Signals) -> bool:
    """Signal one process if it still is the one that was seen; False when it is gone.

    The descriptor is opened before its start time is compared, so that the pid cannot pass to another
    process in between.
    """
    try:
        handle = os.pidfd_open(process.pid)
    except (ProcessLookupError, PermissionError):
        return False
    try:
        if _started(process.pid) != process.started:
            return False
        signal.pidfd_send_signal(handle, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(handle)
    return True


def _started(pid: int) -> int:
    text = text_of(PROC / str(pid) / "stat") or ""
    words = text.rpartition(")")[2].split()
    return int(words[19]) if len(words) > 19 else -1


def alive(processes: Iterable[Seen]) -> list[Seen]:
    """Those that still are who they were, and are no zombies."""
    return [one for one in processes if _started(one.pid) == one.started and not _zombie(one.pid)]


def _zombie(pid: int) -> bool:
    text = text_of(PROC / str(pid) / "stat") or ""
    return text.rpartition(")")[2].split()[:1] in (["Z"], ["X"])


def end_processes(processes: Iterable[HostProcess], grace: float) -> list[HostProcess]:
    """TERM, up to `grace` seconds, KILL; those that are alive all the same a second later."""
    left = [one for one in processes if send(one, signal.SIGTERM)]
    left = wait_gone(left, grace)
    for one in left:
        send(one, signal.SIGKILL)
    return wait_gone(left, 1.0)


def wait_gone(processes: list[Seen], seconds: float) -> list[Seen]:
    """Wait until all of them have ended; those that live after so many seconds."""
    until = time.monotonic() + seconds
    left = alive(processes)
    while left and time.monotonic() < until:
        time.sleep(_LOOK)
        left = alive(left)
    return left
