"""A container's cgroup as the kernel sees it: what it uses, and which limits are in force, for v1 and v2.

The folders come from the process's own `/proc/<pid>/cgroup` and our mount table, never from docker's naming,
and no docker command runs: `docker stats` costs 1.5 s, shows dead containers as zero, and counts page cache.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stackctl.core.facts import AppliedLimits, Container, Reading

UNIFIED = "unified"
UNLIMITED = -1
# v1 writes "no limit" as the largest multiple of the page size below 2**63; nothing real comes near it
_HUGE = 1 << 62
# leading line ends, so that `total_dirty` is not found within another name
_CLEAN_V1 = (b"\ntotal_active_file ", b"\ntotal_inactive_file ")
_DIRTY_V1 = (b"\ntotal_dirty ", b"\ntotal_writeback ")
_CLEAN_V2 = (b"\nactive_file ", b"\ninactive_file ")
_DIRTY_V2 = (b"\nfile_dirty ", b"\nfile_writeback ")
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted cgroup hierarchy: which part of it, where, and its controllers."""

    root: str
    point: str
    controllers: frozenset[str]


def cgroup_paths(proc_text: str, mounts_text: str, container: str = "") -> dict[str, str]:
    """Where a process's cgroups are mounted.

    Args:
        proc_text: `/proc/<pid>/cgroup`.
        mounts_text: `/proc/self/mountinfo` of whoever will read the folders.
        container: Id of the container that the process must belong to; its own cgroup is wanted, even when
            the process sits in one below it. Empty for the process's.

    Returns:
        Controller -> folder; `unified` is v2's. Empty when the process belongs to another container, or its
        cgroups are not mounted here.
    """
    return paths_among(proc_text, mount_table(mounts_text), container)


def paths_among(proc_text: str, mounts: Sequence[Mount], container: str) -> dict[str, str]:
    """`cgroup_paths` for callers that ask for many processes and read the mount table once."""
    paths: dict[str, str] = {}
    for line in proc_text.splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        path = _own(path, container) if container else path
        if not path.startswith("/"):
            continue
        for name in controllers.split(",") if controllers else [UNIFIED]:
            folder = _folder(name, path, mounts)
            if folder:
                paths[name] = folder
    return paths


def _own(path: str, container: str) -> str:
    """`path` up to the component that names the container; empty when none does."""
    parts = path.split("/")
    found = next((n for n, part in enumerate(parts) if container in part), None)
    return "" if found is None else "/".join(parts[: found + 1])


def _folder(controller: str, path: str, mounts: Iterable[Mount]) -> str:
    able = [one for one in mounts if controller in one.controllers]
    if path.startswith("/.."):
        return next((found for one in able if (found := _beside(path, one))), "")
    fitting = [one for one in able if _below(path, one.root)]
    if not fitting:
        return ""
    best = min(fitting, key=lambda one: len(one.root))
    return (best.point + path[len(best.root.rstrip("/")) :]).rstrip("/")


def _beside(path: str, mount: Mount) -> str:
    """Where a cgroup outside our own cgroup namespace lies, if whoever made our container mounted it there.

    The kernel then tells by how many levels it lies above our root (`/../docker-<id>.scope`), for the mount
    likewise (`/../..`), and never the names between the two: those are looked for.
    """
    up, rest = _levels(path)
    mounted, more = _levels(mount.root)
    if more or mounted < up or not rest:
        return ""
    found = [str(one) for one in Path(mount.point).glob("*/" * (mounted - up) + rest.lstrip("/"))]
    return found[0] if len(found) == 1 else ""


def _levels(path: str) -> tuple[int, str]:
    """How often a path goes up, and what comes then: `/../../a/b` is 2 and `/a/b`."""
    parts = path.split("/")[1:]
    up = next((n for n, part in enumerate(parts) if part != ".."), len(parts))
    return up, "".join(f"/{part}" for part in parts[up:])


def _below(path: str, root: str) -> bool:
    return root == "/" or path == root or path.startswith(f"{root}/")


def mount_table(text: str) -> tuple[Mount, ...]:
    """The cgroup hierarchies among the lines of a mountinfo."""
    return tuple(_mounts(text))


def _mounts(text: str) -> Iterator[Mount]:
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        names = [UNIFIED] if kind[0] == "cgroup2" else kind[2].split(",")
        yield Mount(_plain(fields[3]), _plain(fields[4]), frozenset(names))


def _plain(field: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), field)


class Cgroups:
    """Reads the cgroups of containers that run on this machine.

    Args:
        proc: Where the process table is mounted.
        root: What the folders found lie below; "/" but for fixture trees.
    """

    def __init__(self, proc: Path = Path("/proc"), root: Path = Path("/")) -> None:
        self._proc, self._root = proc, root

    def read(self, containers: Sequence[Container]) -> dict[str, Reading]:
        """One reading for each container whose cgroup can be reached, by id; the others are left out."""
        mounts = mount_table(text_of(self._proc / "self" / "mountinfo") or "")
        readings = {}
        for one in containers:
            text = text_of(self._proc / str(one.pid) / "cgroup") if one.pid > 0 else None
            if text and (paths := paths_among(text, mounts, one.id)):
                readings[one.id] = read_cgroup({name: self._below(path) for name, path in paths.items()})
        return readings

    def _below(self, path: str) -> Path:
        return self._root / path.lstrip("/")


def read_cgroup(folders: Mapping[str, Path]) -> Reading:
    """Read one container's cgroup.

    The working set is usage without the file pages on the kernel's two file lists that are clean: those it
    takes back before it ends a process. Shared memory and tmpfs are on neither list, so they count. On v2
    reclaimable slab (directory entries and inodes) is left out as well. Sources: kernel documentation,
    admin-guide/cgroup-v1/memory.rst and admin-guide/cgroup-v2.rst.

    Args:
        folders: Controller -> folder, as `cgroup_paths` finds them.

    Returns:
        The reading; what has no file is None, never zero.
    """
    unified = folders.get(UNIFIED)
    at = time.monotonic()
    pids = folders.get("pids", unified)
    cpu = (
        _seconds(_number(folders.get("cpuacct"), "cpuacct.usage"), 1e9)
        if "cpuacct" in folders
        else _seconds(_table(unified, "cpu.stat").get("usage_usec"), 1e6)
    )
    refused = _table(pids, "pids.events").get("max")
    kills = (
        _table(folders["memory"], "memory.oom_control").get("oom_kill")
        if "memory" in folders
        else _table(unified, "memory.events").get("oom_kill")
    )
    return Reading(
        at=at,
        pids=_number(pids, "pids.current"),
        memory=_working_set(folders),
        cpu=cpu,
        limits=_limits(folders),
        pids_refused=refused,
        oom_kills=kills,
    )


def _working_set(folders: Mapping[str, Path]) -> int | None:
    first = "memory" in folders
    folder = folders.get("memory" if first else UNIFIED)
    usage = _number(folder, "memory.usage_in_bytes" if first else "memory.current")
    return working_set(usage, (_read(folder, "memory.stat") or "").encode(), first=first)


def working_set(usage: int | None, stat: bytes, *, first: bool) -> int | None:
    """Usage without what the kernel takes back before it ends a process, see `read_cgroup`.

    Args:
        usage: `memory.usage_in_bytes` or `memory.current`.
        stat: `memory.stat`.
        first: Whether they are version 1's.

    Returns:
        Bytes; None when either is missing.
    """
    text = b"\n" + stat + b"\n"
    names = _CLEAN_V1 if first else _CLEAN_V2
    clean = [counted(text, name) for name in names]
    if usage is None or None in clean:
        return None
    dirty = sum(counted(text, name) or 0 for name in (_DIRTY_V1 if first else _DIRTY_V2))
    slab = 0 if first else counted(text, b"\nslab_reclaimable ") or 0
    return max(0, usage - max(0, sum(filter(None, clean)) - dirty) - slab)


def counted(text: bytes, name: bytes) -> int | None:
    """The number behind `name`, a line's beginning with the line end before it and the space after it."""
    at = text.find(name)
    if at < 0:
        return None
    word = text[at + len(name) : text.find(b"\n", at + 1)]
    return int(word) if word.isdigit() else None


def _limits(folders: Mapping[str, Path]) -> AppliedLimits:
    unified = folders.get(UNIFIED)
    pids = _number(folders.get("pids", unified), "pids.max")
    if "memory" in folders:
        memory = _number(folders["memory"], "memory.limit_in_bytes")
        swap = _number(folders["memory"], "memory.memsw.limit_in_bytes")
    else:
        memory, swap = _number(unified, "memory.max"), _number(unified, "memory.swap.max")
        if swap is not None and memory is not None:
            swap = UNLIMITED if UNLIMITED in (swap, memory) else memory + swap
    return AppliedLimits(pids=pids, memory=memory, swap=swap, cpus=_cpus(folders))


def _cpus(folders: Mapping[str, Path]) -> float | None:
    if "cpu" in folders:
        quota = _number(folders["cpu"], "cpu.cfs_quota_us")
        period = _number(folders["cpu"], "cpu.cfs_period_us")
    else:
        words = [*(_read(folders.get(UNIFIED), "cpu.max") or "").split(), ""]
        quota, period = (_whole(words[0]), _whole(words[1])) if words[0] else (None, None)
    if quota is None or not period:
        return None
    return float(UNLIMITED) if quota < 0 else quota / period


def _seconds(count: int | None, factor: float) -> float | None:
    return None if count is None else count / factor


def _number(folder: Path | None, name: str) -> int | None:
    return _whole((_read(folder, name) or "").strip())


def _whole(word: str) -> int | None:
    if word == "max":
        return UNLIMITED
    if not word.lstrip("-").isdigit():
        return None
    return UNLIMITED if int(word) >= _HUGE else int(word)


def _table(folder: Path | None, name: str) -> dict[str, int]:
    rows = (line.split() for line in (_read(folder, name) or "").splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def _read(folder: Path | None, name: str) -> str | None:
    return None if folder is None else text_of(folder / name)


def text_of(path: Path) -> str | None:
    """The whole of a file of /proc or /sys, in a third of the time that `read_text` takes."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        parts = iter(lambda: os.read(file, 1 << 16), b"")
        return b"".join(parts).decode(errors="replace")
    except OSError:
        return None
    finally:
        os.close(file)
