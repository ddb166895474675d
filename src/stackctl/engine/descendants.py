"""Ends a process with everything that it started: children, their children, and its whole session."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LOOK = 0.02
_STUCK = 5.0  # seconds after KILL until a process is given up: the kernel holds it, and nothing else can help


@dataclass(frozen=True, slots=True)
class Relative:
    """One process of a table: its parent, session, start time in clock ticks, and whether it is a zombie."""

    parent: int
    session: int
    started: int
    zombie: bool


def read_table(proc: Path = Path("/proc")) -> dict[int, Relative]:
    """Every process that can be seen, by pid; empty where there is no /proc."""
    table = {}
    with suppress(OSError):
        for entry in proc.iterdir():
            if entry.name.isdigit():
                with suppress(OSError, IndexError, ValueError):
                    table[int(entry.name)] = parse_stat((entry / "stat").read_text(errors="replace"))
    return table


def parse_stat(text: str) -> Relative:
    """Read one `/proc/<pid>/stat`; the command's name may hold anything, so count from its last `)`."""
    words = text[text.rindex(")") + 1 :].split()
    return Relative(int(words[1]), int(words[3]), int(words[19]), words[0] in "ZX")


def family(root: int, table: Mapping[int, Relative]) -> dict[int, int]:
    """Descendants of `root` and members of its session, `root` included: pid -> start time."""
    members = {pid for pid, one in table.items() if pid == root or one.session == root}
    grown = True
    while grown:
        children = {pid for pid, one in table.items() if one.parent in members}
        grown = not children <= members
        members |= children
    return {pid: table[pid].started for pid in members}


def end(pid: int, poll: Callable[[], int | None], grace: float) -> None:
    """End a child of ours with all that it started: TERM, `grace` seconds, then KILL; it is reaped.

    Args:
        pid: The child.
        poll: Reaps the child; None while it runs.
        grace: Seconds between the two signals.
    """
    victims = family(pid, read_table()) or {pid: 0}
    _signal(victims, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and (poll() is None or _alive(victims)):
        time.sleep(_LOOK)
    victims |= family(pid, read_table())
    _signal(victims, signal.SIGKILL)
    deadline = time.monotonic() + _STUCK
    while poll() is None and time.monotonic() < deadline:
        time.sleep(_LOOK)


def _alive(victims: Mapping[int, int]) -> list[int]:
    table = read_table()
    same = (pid for pid, started in victims.items() if pid in table and table[pid].started == started)
    return [pid for pid in same if not table[pid].zombie]


def _signal(victims: Mapping[int, int], number: signal.Signals) -> None:
    # a pid may have been given to somebody else since the table was read; its start time tells
    known = read_table()
    for pid, started in victims.items():
        if not known or (pid in known and known[pid].started == started):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
