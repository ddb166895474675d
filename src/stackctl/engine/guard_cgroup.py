"""A cgroup of one guarded command's own, where this process may make one; v1 and v2."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from stackctl.engine.cgroup import UNIFIED, cgroup_paths, text_of

_NEEDED = ("pids", "memory")
PREFIX = "stackctl-guard-"


@dataclass(frozen=True, slots=True)
class GuardCgroup:
    """One cgroup in each hierarchy that is needed.

    Args:
        folders: "pids" and "memory" -> folder; the same one on v2.
        limits: What was asked, "pids" and "memory" -> number; 0 is no limit.
    """

    folders: Mapping[str, Path]
    limits: Mapping[str, int]

    @classmethod
    @contextmanager
    def made(cls, *, pids: int, memory: int) -> Iterator[GuardCgroup | None]:
        """A new cgroup below our own, removed at the end; None where we have no right to make one.

        Args:
            pids: Processes and threads, 0 for no limit.
            memory: Bytes, 0 for no limit.
        """
        found = _make({"pids": pids, "memory": memory}) if pids or memory else None
        try:
            yield found
        finally:
            for folder in set(found.folders.values()) if found else ():
                with suppress(OSError):
                    folder.rmdir()

    def enter(self) -> None:
        """Put the calling process into it; called between fork and exec."""
        for folder in set(self.folders.values()):
            (folder / "cgroup.procs").write_text("0")

    def violation(self) -> str:
        """What the kernel refused or ended because of a limit, in words; empty for nothing."""
        refused = _table(self.folders["pids"] / "pids.events").get("max", 0)
        if refused:
            return (
                f"it wanted more processes than {self.limits['pids']}, and the kernel refused {refused} forks"
            )
        memory = self.folders["memory"]
        killed = _table(memory / "memory.events").get("oom_kill", 0) or _table(
            memory / "memory.oom_control"
        ).get("oom_kill", 0)
        if killed:
            return (
                f"it wanted more memory than {self.limits['memory'] >> 20} MiB, and the kernel ended {killed}"
            )
        return ""


def _make(limits: Mapping[str, int]) -> GuardCgroup | None:
    proc = text_of(Path("/proc/self/cgroup")) or ""
    mounts = text_of(Path("/proc/self/mountinfo")) or ""
    paths = cgroup_paths(proc, mounts)
    own = {name: paths.get(name) or paths.get(UNIFIED) for name in _NEEDED}
    name = f"{PREFIX}{os.getpid()}-{os.urandom(3).hex()}"
    folders: dict[str, Path] = {}
    try:
        for controller, path in own.items():
            if not path:
                raise OSError(f"no {controller} controller")
            folder = Path(path) / name
            folders[controller] = folder
            folder.mkdir(exist_ok=folder in list(folders.values())[:-1])
        _limit(folders, limits)
    except OSError:
        for folder in set(folders.values()):
            with suppress(OSError):
                folder.rmdir()
        return None
    return GuardCgroup(folders, limits)


def _limit(folders: Mapping[str, Path], limits: Mapping[str, int]) -> None:
    if limits["pids"]:
        (folders["pids"] / "pids.max").write_text(str(limits["pids"]))
    if not limits["memory"]:
        return
    memory = folders["memory"]
    one = memory / "memory.limit_in_bytes"
    (one if one.exists() else memory / "memory.max").write_text(str(limits["memory"]))
    for name, value in (("memory.memsw.limit_in_bytes", limits["memory"]), ("memory.swap.max", 0)):
        if (memory / name).exists():
            (memory / name).write_text(str(value))


def _table(path: Path) -> dict[str, int]:
    rows = (line.split() for line in (text_of(path) or "").splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
