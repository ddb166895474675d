"""The one place that deletes data: what `purge` was asked for by name, renamed away first."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path

from stackctl.core.errors import StateError
from stackctl.state.failures import refused
from stackctl.state.folders import check_folder, make_folder


def purge(environment: Path, trash: Path) -> None:
    """Delete an environment's folder with all its data, and what an earlier call left of it.

    Links are removed, never followed.

    Args:
        environment: The environment's folder; it may be gone already.
        trash: Where it is renamed to first, on the same file system.

    Raises:
        StateError: Files of other users are left in the trash, which a container must delete, or the
            file system refused.
    """
    import shutil

    if not shutil.rmtree.avoids_symlink_attacks:
        raise StateError("this system cannot delete a folder without the danger of following links")
    _throw_away(environment, trash)
    for left in _thrown_away(environment.name, trash):
        shutil.rmtree(left, ignore_errors=True)
        if left.exists():
            _make_own_writable(left)
            shutil.rmtree(left, ignore_errors=True)
    _check_gone(environment.name, trash)


def forget(folder: Path, *, keep: Collection[str]) -> None:
    """Remove everything in a task's folder but the entries to keep: its data, and what that needs.

    Args:
        folder: The task's folder.
        keep: Names of entries.

    Raises:
        StateError: The file system refused.
    """
    import shutil

    with refused("remove", folder):
        for path in sorted(folder.iterdir()):
            if path.name in keep:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def trash_left(project: str, trash: Path) -> Path | None:
    """What is left of a purged environment, None when all of it is gone."""
    return next(iter(_thrown_away(project, trash)), None)


def _throw_away(environment: Path, trash: Path) -> None:
    if not os.path.lexists(environment):
        return
    check_folder(environment)
    make_folder(trash)
    with refused("move to the trash", environment):
        # A project's name has no dot, so what stands before it is the project.
        environment.rename(trash / f"{environment.name}.{os.urandom(6).hex()}")


def _thrown_away(project: str, trash: Path) -> list[Path]:
    with refused("list", trash):
        try:
            return sorted(path for path in trash.iterdir() if path.name.partition(".")[0] == project)
        except FileNotFoundError:
            return []


def _make_own_writable(root: Path) -> None:
    # A cache of read-only folders (Go's modules, Nix) is the user's own, yet cannot be emptied as it is.
    me = os.geteuid()
    root.chmod(0o700)
    for _, names, _, folder in os.fwalk(root, follow_symlinks=False):
        for name in names:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode) and status.st_uid == me:
                os.chmod(name, 0o700, dir_fd=folder)


def _check_gone(project: str, trash: Path) -> None:
    left = _thrown_away(project, trash)
    if not left:
        return
    count = sum(1 + len(files) for path in left for _, _, files in os.walk(path))
    raise StateError(
        f"{count} files and folders of `{project}` could not be deleted: they are in `{left[0]}`",
        hint="other users own them; a helper container that runs as root can delete them",
    )
