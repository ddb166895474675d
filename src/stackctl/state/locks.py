"""One lock file for each name, never removed, that says who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from stackctl.core.errors import Busy, StateError
from stackctl.core.records import Lease
from stackctl.core.units import show_duration
from stackctl.state.failures import refused
from stackctl.state.leases import alive
from stackctl.state.leases import lease as own_lease

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}")
_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_POLL = 0.05
_NOTE_SIZE = 4096
_COMMAND_SIZE = 200
_held: dict[tuple[int, str], int] = {}
"""Process id and path of what this process holds -> the thread that does."""
_let_go = threading.Condition()


@contextmanager
def lock(folder: Path, name: str, *, command: str, wait: float) -> Iterator[None]:
    """Hold the lock of a name; it ends with the process, however that ends, and no child inherits it.

    Args:
        folder: Where the lock files are.
        name: a-z, 0-9, `_`, `.` and `-`.
        command: What holds it, for whoever waits (`stackctl up myenv`).
        wait: Seconds to wait for another holder, a process or a thread of this one.

    Raises:
        Busy: Another process or thread held it all the time.
        StateError: The lock file cannot be used.
        RuntimeError: This thread holds it already, which is a bug.
    """
    if not _NAME.fullmatch(name):
        raise StateError(f"{name!a} cannot be the name of a lock")
    path, deadline = folder / name, time.monotonic() + wait
    with _entered(path, name, deadline):
        descriptor = _acquire(path, name, deadline)
        try:
            _write_note(descriptor, command)
            yield
        finally:
            # Emptied before it is let go, so that nobody reads of a holder that is gone; and let go by
            # name, since a child between fork and exec still has the descriptor open.
            with suppress(OSError):
                os.ftruncate(descriptor, 0)
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


@contextmanager
def _entered(path: Path, name: str, deadline: float) -> Iterator[None]:
    # The pid is part of the key, since a forked child does not hold what its parent entered.
    key, thread = (os.getpid(), str(path)), threading.get_ident()
    with _let_go:
        if _held.get(key) == thread:
            raise RuntimeError(f"this thread holds the lock {name!r} already")
        if not _let_go.wait_for(lambda: key not in _held, deadline - time.monotonic()):
            raise _busy(name, "another thread of this process is working on it")
        _held[key] = thread
    try:
        yield
    finally:
        with _let_go:
            del _held[key]
            _let_go.notify_all()


def _acquire(path: Path, name: str, deadline: float) -> int:
    while True:
        descriptor = _try(path)
        if descriptor is not None:
            return descriptor
        left = deadline - time.monotonic()
        if left <= 0:
            raise _busy(name, _describe(read_holder(path)))
        time.sleep(min(_POLL, left))


def _busy(name: str, why: str) -> Busy:
    return Busy(f"`{name}` is busy: {why}", hint="wait for it to end, or try again")


def _try(path: Path) -> int | None:
    with refused("open the lock", path):
        descriptor = os.open(path, _OPEN, 0o600)
    try:
        if _locked(descriptor, path):
            kept, descriptor = descriptor, -1
            return kept
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    return None


def _locked(descriptor: int, path: Path) -> bool:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise StateError(f"the lock `{path}` is not a regular file", hint="move it out of the way")
    with refused("take the lock", path):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _write_note(descriptor: int, command: str) -> None:
    shown = "".join(char if char.isprintable() else " " for char in command)[:_COMMAND_SIZE]
    note = {"since": time.time(), **asdict(own_lease(shown))}
    # A full disk takes the name of the holder away, not the lock.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(note).encode(), 0)


def read_holder(path: Path) -> tuple[Lease, float] | None:
    """Who wrote itself into a lock file, and since when (seconds since the epoch); None if nobody did."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            note = json.loads(file.read(_NOTE_SIZE))
        return Lease(**{key: note[key] for key in Lease.__dataclass_fields__}), float(note["since"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def holder(folder: Path, name: str) -> Lease | None:
    """Who holds a lock at this moment, None when it is free; asking holds nobody up for longer than that.

    Raises:
        StateError: The lock file cannot be used.
    """
    path = folder / name
    if not path.exists():
        return None
    descriptor = _try(path)
    if descriptor is None:
        found = read_holder(path)
        return found[0] if found else Lease(boot="", pid=0, started=0)
    os.close(descriptor)
    return None


def _describe(holder: tuple[Lease, float] | None) -> str:
    if holder is None or alive(holder[0]) is False:
        return "another command is working on it"
    lease, since = holder
    return f"held by pid {lease.pid} (`{lease.command}`) for {show_duration(time.time() - since)}"
