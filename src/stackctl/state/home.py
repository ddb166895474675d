"""The state directory: what lies in it, and whether it can be trusted."""

from __future__ import annotations

import fcntl
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from stackctl.core.errors import StateError
from stackctl.core.names import short_hash
from stackctl.state.failures import refused
from stackctl.state.folders import OPEN_FOLDER, make_folder
from stackctl.state.layout import ENVIRONMENTS, LIVE_TASKS, TASKS

MOUNTS = Path("/proc/self/mountinfo")
_PROBE = ".probe"
_SHARED = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "coda", "ncpfs", "glusterfs", "fuse.sshfs"}
)
"""File systems that several hosts write: there a lease of another host looks like a dead one."""


@dataclass(frozen=True, slots=True)
class Home:
    """A state directory that was checked; `path` is its real path."""

    path: Path

    @property
    def identity(self) -> str:
        """12 hex digits of the hash of its path, as on the labels."""
        text = str(self.path).encode(errors="backslashreplace").decode()
        return short_hash(text, 12)

    @property
    def environments(self) -> Path:
        """One folder for each environment, named after its project."""
        return self.path / ENVIRONMENTS

    @property
    def tasks(self) -> Path:
        """One folder for each task, named after its id."""
        return self.path / TASKS

    @property
    def live_tasks(self) -> Path:
        """An empty file for each task that has not ended; nobody looks through the thousands that have."""
        return self.path / LIVE_TASKS

    @property
    def locks(self) -> Path:
        """One file for each lock, never removed."""
        return self.path / "locks"

    @property
    def trash(self) -> Path:
        """What `purge` is about to delete."""
        return self.path / "trash"


def open_home(path: Path, mounts: Path = MOUNTS) -> Home:
    """Make the state directory if need be, private to the user, and check that it can be used.

    Args:
        path: Where it is to be.
        mounts: As for `file_system`.

    Raises:
        StateError: It is not the user's own, others may write to it, it is a link or no folder, it
            cannot be written, or its file system is shared between hosts or keeps no locks.
    """
    if "\0" in str(path):
        raise StateError("the path of the state directory has a NUL in it")
    _make_path(path)
    _check_owner(path)
    home = Home(Path(os.path.realpath(path)))
    _check_file_system(home.path, mounts)
    for folder in (home.environments, home.tasks, home.live_tasks, home.locks):
        make_folder(folder)
    _check_locks(home.locks / _PROBE)
    return home


def _make_path(path: Path) -> None:
    missing = []
    with refused("make the state directory", path):
        while not os.path.lexists(path):
            missing.append(path)
            path = path.parent
    for folder in reversed(missing):
        make_folder(folder)


def _check_owner(path: Path) -> None:
    try:
        found = os.open(path, OPEN_FOLDER)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        status = os.fstat(found)
    finally:
        os.close(found)
    if status.st_uid != os.geteuid():
        raise StateError(
            f"the state directory `{path}` belongs to user {status.st_uid}, not to {os.geteuid()}",
            hint="use that user, or set `STACKCTL_HOME` to a folder of your own",
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        mode = stat.S_IMODE(status.st_mode)
        raise StateError(
            f"others may write to the state directory `{path}` (mode {mode:04o})",
            hint=f"look at what is in it, then `chmod 700 '{path}'`",
        )


def _unusable(path: Path, error: OSError) -> StateError:
    if path.is_symlink():
        return StateError(
            f"the state directory `{path}` is a symbolic link",
            hint=f"set `STACKCTL_HOME` to where it leads: `{os.path.realpath(path)}`",
        )
    if not path.is_dir():
        return StateError(
            f"the state directory `{path}` is not a folder", hint="set `STACKCTL_HOME` to a folder"
        )
    reason = (error.strerror or "it cannot be opened").lower()
    return StateError(
        f"the state directory `{path}` cannot be used: {reason}",
        hint="set `STACKCTL_HOME` to a folder of your own",
    )


def _check_file_system(path: Path, mounts: Path) -> None:
    kind = file_system(path, mounts)
    if kind in _SHARED:
        raise StateError(
            f"the state directory `{path}` is on {kind}, which several hosts can write at once",
            hint="set `STACKCTL_HOME` to a folder on a disk of this host",
        )


def file_system(path: Path, mounts: Path = MOUNTS) -> str:
    """The type of the file system that holds a path ("ext4"), empty where nothing says it.

    Args:
        path: A real path.
        mounts: The kernel's table of mounts (proc(5), mountinfo).
    """
    try:
        device = path.stat().st_dev
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ""
    number = f" {os.major(device)}:{os.minor(device)} "
    for line in lines:
        if number in line:
            return line.partition(" - ")[2].partition(" ")[0]
    return ""


def _check_locks(probe: Path) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    with refused("write to the state directory at", probe):
        first, second = os.open(probe, flags, 0o600), os.open(probe, flags, 0o600)
    try:
        if _locked(first, probe) and _locked(second, probe):
            raise _lockless(probe)
    finally:
        os.close(first)
        os.close(second)


def _locked(descriptor: int, probe: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _lockless(probe) from error
    return True


def _lockless(probe: Path) -> StateError:
    return StateError(
        f"the file system of the state directory `{probe.parent.parent}` keeps no locks",
        hint="set `STACKCTL_HOME` to a folder on a disk of this host",
    )
