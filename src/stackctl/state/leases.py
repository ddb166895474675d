"""Which process a lease speaks of, and whether it is proven to be gone."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stackctl.core.records import Lease

PROC = Path("/proc")
_STARTED = 22 - 3
"""Field 22 of a stat file (proc(5)), counted from field 3, the first behind the command's name."""
_ENDED = frozenset("ZXx")
_MARK = "stat"


@dataclass(frozen=True, slots=True)
class Process:
    """One process as a stat file has it: its state letter, and its start in clock ticks since boot."""

    state: str
    started: int


def boot_id(proc: Path = PROC) -> str:
    """What tells this boot of the host from every other; empty when it cannot be learned."""
    if sys.platform == "darwin":
        return _boot_session()
    with suppress(OSError, ValueError):
        return (proc / "sys/kernel/random/boot_id").read_text().strip()
    return ""


def lease(command: str, *, proc: Path = PROC) -> Lease:
    """A lease of the running process.

    Args:
        command: What it does, for messages.
        proc: Root of the process table.
    """
    pid = os.getpid()
    process = read_process(pid, proc)
    return Lease(
        boot=boot_id(proc),
        pid=pid,
        started=process.started if process else 0,
        command=command,
        namespace=_namespace(proc),
    )


def alive(lease: Lease, *, proc: Path = PROC) -> bool | None:
    """Whether the process of a lease lives.

    Args:
        lease: Whose process is meant.
        proc: Root of the process table.

    Returns:
        False only if it is proven: another boot, no such process, another start time, or a zombie. None
        when nothing proves either.
    """
    boot = boot_id(proc)
    if not (boot and lease.boot) or lease.pid <= 0:
        return None
    if boot != lease.boot:
        return False
    if lease.namespace and lease.namespace != _namespace(proc):
        return None
    return _same_process(lease, proc)


def _same_process(lease: Lease, proc: Path) -> bool | None:
    try:
        process = read_process(lease.pid, proc)
    except ProcessLookupError:
        return False if _absent(lease.pid, proc) else None
    if process is None or not lease.started:
        return None
    return process.started == lease.started and process.state not in _ENDED


def read_process(pid: int, proc: Path = PROC) -> Process | None:
    """What the process table says of a process; None when it cannot be read.

    Raises:
        ProcessLookupError: There is no such process, or it is hidden from us.
    """
    if sys.platform == "darwin":
        return _read_with_psutil(pid)
    try:
        text = (proc / str(pid) / _MARK).read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError) as error:
        raise ProcessLookupError(pid) from error
    except OSError:
        return None
    return parse_stat(text)


def parse_stat(text: str) -> Process | None:
    """Read a stat file; a command's name may hold spaces and parentheses, so the last one counts."""
    words = text.rpartition(")")[2].split()
    if len(words) <= _STARTED or not words[_STARTED].isdigit():
        return None
    return Process(words[0], int(words[_STARTED]))


def _absent(pid: int, proc: Path) -> bool:
    # A process table mounted with hidepid shows no stat file of others, and an unmounted one shows none.
    if sys.platform != "darwin" and not (proc / "self").exists():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    return False


def _namespace(proc: Path) -> str:
    with suppress(OSError):
        return str((proc / "self/ns/pid").readlink())
    return ""


def _boot_session() -> str:
    import ctypes

    buffer, size = ctypes.create_string_buffer(64), ctypes.c_size_t(64)
    name = b"kern.bootsessionuuid"
    failed = ctypes.CDLL(None).sysctlbyname(name, buffer, ctypes.byref(size), None, ctypes.c_size_t(0))
    return "" if failed else buffer.value.decode()


def _read_with_psutil(pid: int) -> Process | None:
    import psutil

    try:
        process = psutil.Process(pid)
        state = "Z" if process.status() == psutil.STATUS_ZOMBIE else "R"
        return Process(state, int(process.create_time() * 1000))
    except psutil.NoSuchProcess as error:
        raise ProcessLookupError(pid) from error
    except psutil.Error:
        return None
