"""What runs in a container, as the kernel of this machine tells it; nothing is started to find out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.facts import Process
from stackctl.engine.cgroup import UNIFIED, cgroup_paths, text_of

if TYPE_CHECKING:
    from stackctl.core.facts import Container

COLUMNS = "pid,ppid,rss,nlwp,args"  # for ps, in kibibytes
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class _Status:
    pid: int
    parent: int
    inside: tuple[int, ...]
    name: str
    defunct: bool
    memory: int
    threads: int
    session: tuple[int, ...]
    user: int


def processes(
    container: Container,
    proc: Path = Path("/proc"),
    root: Path = Path("/"),
    most: int = 5000,
    *,
    outside: bool = False,
) -> tuple[Process, ...]:
    """The processes in a container's cgroup and in those below it, and then the defunct ones.

    A process that ended and that its parent has not waited for counts against the limit, but no list of the
    cgroup has it: these are found as children of the others. Those that vanish meanwhile are left out.
    4,000 take 0.3 s.

    Args:
        container: Running, on this machine.
        proc: Where the process table is mounted.
        root: What the folders found lie below; "/" but for fixture trees.
        most: Processes that are looked at; `parent` is 0 where the parent is not among them.
        outside: We are in another pid namespace than `proc` shows.
    """
    pids = _pids_from_outside(container, proc) if outside else _pids(container, proc, root)
    found = _statuses(proc, sorted(pids)[:most])
    children = sorted({child for one in found.values() for child in _children(proc, one)} - found.keys())
    found |= {pid: one for pid, one in _statuses(proc, children[: most - len(found)]).items() if one.defunct}
    # a process may have a namespace of its own in the container's: the number wanted is the first one's
    depth = len(found[container.pid].inside) - 1 if container.pid in found else -1
    now, ticks = time.clock_gettime(time.CLOCK_BOOTTIME), os.sysconf("SC_CLK_TCK")
    return tuple(
        Process(
            pid=pid,
            inside=_inside(one.inside, depth),
            parent=_inside(found[one.parent].inside, depth) if one.parent in found else 0,
            command=_command(proc / str(pid), one),
            memory=one.memory,
            threads=one.threads,
            name=one.name,
            session=_inside(one.session, depth),
            started=(started := start_time(pid, proc)),
            age=max(0.0, now - started / ticks) if started else 0.0,
            user=one.user,
            defunct=one.defunct,
        )
        for pid, one in found.items()
    )


def start_time(pid: int, proc: Path = Path("/proc")) -> int:
    """When a process began, in clock ticks since boot (field 22 of its stat file); 0 when it is gone."""
    words = (text_of(proc / str(pid) / "stat") or "").rpartition(")")[2].split()
    return int(words[19]) if len(words) > 19 and words[19].isdigit() else 0


def parse_top(rows: Sequence[Sequence[str]], first: int) -> tuple[Process, ...]:
    """Processes from rows of `COLUMNS`; only the container's first process is known by its inner number, 1.

    Args:
        rows: As `docker top` has them; broken ones are left out.
        first: Process id of the container's first process on the engine's host.
    """
    whole = [row for row in rows if len(row) == 5 and all(word.isdigit() for word in row[:4])]
    return tuple(
        Process(
            pid=int(pid),
            inside=int(int(pid) == first),
            parent=int(int(parent) == first),
            command=_line(command),
            memory=int(resident) << 10,
            threads=int(threads),
        )
        for pid, parent, resident, threads, command in whole
    )


def _pids_from_outside(container: Container, proc: Path) -> Iterator[int]:
    """As `_pids`, from within another pid namespace, where a cgroup does not list these numbers."""
    for one in proc.iterdir():
        if one.name.isdecimal() and container.id in (text_of(one / "cgroup") or ""):
            yield int(one.name)


def _pids(container: Container, proc: Path, root: Path) -> Iterator[int]:
    text = text_of(proc / str(container.pid) / "cgroup") if container.pid > 0 else None
    paths = cgroup_paths(text or "", text_of(proc / "self" / "mountinfo") or "", container.id)
    folder = paths.get("pids", paths.get(UNIFIED, ""))
    if not folder:
        return
    for below, _, _ in os.walk(root / folder.lstrip("/")):
        words = (text_of(Path(below) / "cgroup.procs") or "").split()
        yield from {int(word) for word in words if word.isdigit() and word != "0"}


def _statuses(proc: Path, pids: Iterable[int]) -> dict[int, _Status]:
    return {pid: one for pid in pids if (one := _status(proc / str(pid), pid)) is not None}


def _children(proc: Path, one: _Status) -> Iterator[int]:
    folder = proc / str(one.pid) / "task"
    with suppress(OSError):
        # each belongs to the thread that forked it
        for thread in folder.iterdir() if one.threads > 1 else [folder / str(one.pid)]:
            words = (text_of(thread / "children") or "").split()
            yield from (int(word) for word in words if word.isdigit())


def _status(folder: Path, pid: int) -> _Status | None:
    text = text_of(folder / "status")
    if not text:
        return None
    table = {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}
    return _Status(
        pid=pid,
        parent=_first(table.get("PPid", "")),
        inside=_numbers(table.get("NSpid", "")),
        name=table.get("Name", ""),
        defunct=table.get("State", "").startswith("Z"),
        memory=_first(table.get("VmRSS", "")) << 10,
        threads=_first(table.get("Threads", "")) or 1,
        session=_numbers(table.get("NSsid", "")),
        user=_first(table.get("Uid", "")),
    )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split() if word.isdigit())


def _inside(numbers: tuple[int, ...], depth: int) -> int:
    """A process id as the container has it, of those that each namespace has, the outermost first."""
    return numbers[depth] if numbers[depth:] else 0


def _command(folder: Path, one: _Status) -> str:
    words = "" if one.defunct else text_of(folder / "cmdline")
    if words:
        return _line(words.replace("\0", " "))
    return f"[{_line(one.name)}]" + (" <defunct>" if one.defunct else "")


def _line(text: str) -> str:
    text = text[: 4 * _LONGEST]
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_LONGEST]


def _first(text: str) -> int:
    word = text.split(None, 1)[:1]
    return int(word[0]) if word and word[0].isdigit() else 0
