"""What runs in a container, as the kernel of this machine tells it; nothing is started to find out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
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
    memory: int
    threads: int


def processes(
    container: Container, proc: Path = Path("/proc"), root: Path = Path("/"), most: int = 5000
) -> tuple[Process, ...]:
    """The processes in a container's cgroup and in those below it, by process id.

    Those that end meanwhile are left out. 4,000 take a quarter of a second.

    Args:
        container: Running, on this machine.
        proc: Where the process table is mounted.
        root: What the folders found lie below; "/" but for fixture trees.
        most: Processes that are looked at; `parent` is 0 where the parent is not among them.
    """
    pids = sorted(_pids(container, proc, root))[:most]
    found = {pid: one for pid in pids if (one := _status(proc / str(pid), pid)) is not None}
    # a process may have a namespace of its own in the container's: the number wanted is the first one's
    depth = len(found[container.pid].inside) - 1 if container.pid in found else -1
    return tuple(
        Process(
            pid=pid,
            inside=_inside(one, depth),
            parent=_inside(found[one.parent], depth) if one.parent in found else 0,
            command=_command(proc / str(pid), one.name),
            memory=one.memory,
            threads=one.threads,
        )
        for pid, one in found.items()
    )


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


def _pids(container: Container, proc: Path, root: Path) -> Iterator[int]:
    text = text_of(proc / str(container.pid) / "cgroup") if container.pid > 0 else None
    paths = cgroup_paths(text or "", text_of(proc / "self" / "mountinfo") or "", container.id)
    folder = paths.get("pids", paths.get(UNIFIED, ""))
    if not folder:
        return
    for below, _, _ in os.walk(root / folder.lstrip("/")):
        words = (text_of(Path(below) / "cgroup.procs") or "").split()
        yield from {int(word) for word in words if word.isdigit() and word != "0"}


def _status(folder: Path, pid: int) -> _Status | None:
    text = text_of(folder / "status")
    if not text:
        return None
    table = {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}
    return _Status(
        pid=pid,
        parent=_first(table.get("PPid", "")),
        inside=tuple(int(word) for word in table.get("NSpid", "").split() if word.isdigit()),
        name=table.get("Name", ""),
        memory=_first(table.get("VmRSS", "")) << 10,
        threads=_first(table.get("Threads", "")) or 1,
    )


def _inside(one: _Status, depth: int) -> int:
    return one.inside[depth] if one.inside[depth:] else 0


def _command(folder: Path, name: str) -> str:
    words = text_of(folder / "cmdline")
    return _line(words.replace("\0", " ")) if words else f"[{_line(name)}]"


def _line(text: str) -> str:
    text = text[: 4 * _LONGEST]
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_LONGEST]


def _first(text: str) -> int:
    word = text.split(None, 1)[:1]
    return int(word[0]) if word and word[0].isdigit() else 0
