"""Waiting for conditions, and ending processes that are ours by their ids."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")


def until(condition: Callable[[], object], seconds: float = 30, what: str = "the condition") -> None:
    """Wait for a condition, or fail."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not come true within {seconds:g} s"
        time.sleep(0.03)


def lives(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    return state(pid) not in ("", "Z", "X")


def state(pid: int) -> str:
    """A process's state letter, empty when it is gone."""
    words = stat(pid)
    return words[0] if words else ""


def stat(pid: int) -> list[str]:
    """What follows the name in a process's stat file: state, parent, …; empty when it is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def processes() -> Iterator[int]:
    """Every process id there is."""
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            yield int(entry.name)


def command_line(pid: int) -> str:
    """A process's command line, empty when it is gone or a kernel thread's."""
    with suppress(OSError):
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def variables(pid: int) -> dict[str, str]:
    """The environment that a process was started with, empty when it cannot be read."""
    with suppress(OSError):
        lines = (PROC / str(pid) / "environ").read_bytes().decode(errors="replace").split("\0")
        return {name: value for name, _, value in (line.partition("=") for line in lines) if name}
    return {}


def descendants(roots: Iterable[int]) -> set[int]:
    """The processes below some others, those themselves not included."""
    parents: dict[int, list[int]] = {}
    for pid in processes():
        words = stat(pid)
        if words:
            parents.setdefault(int(words[1]), []).append(pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        children = set(parents.get(waiting.pop(), [])) - found
        found |= children
        waiting += children
    return found


def kill(pids: Iterable[int]) -> None:
    """KILL to each, and wait until none lives."""
    mine = [pid for pid in pids if pid > 1]
    for pid in mine:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not any(map(lives, mine)), 20, f"the end of {mine}")
