"""Folders below the state directory: made private, and never a link to somewhere else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from stackctl.core.errors import StateError
from stackctl.state.atomic import sync_folder
from stackctl.state.failures import refused

OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def make_folder(path: Path, mode: int = 0o700) -> bool:
    """Make sure that a folder is there; the parent must be.

    Args:
        path: The folder.
        mode: Its permission bits when it is made, whatever the umask.

    Returns:
        Whether it was made now.

    Raises:
        StateError: Something else is in its place, or the file system refused.
    """
    with refused("make the folder", path):
        try:
            path.mkdir(mode)
        except FileExistsError:
            check_folder(path)
            return False
        path.chmod(mode)
        sync_folder(path.parent)
    return True


def check_folder(path: Path) -> os.stat_result:
    """What a folder is like.

    Raises:
        StateError: It is a link, no folder, or cannot be looked at.
    """
    with refused("look at", path):
        found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise StateError(
            f"`{path}` is a symbolic link, which would lead out of the state directory",
            hint="replace it with a folder; a bind mount can put it on another disk",
        )
    if not stat.S_ISDIR(found.st_mode):
        raise StateError(f"`{path}` is not a folder", hint="move it out of the way")
    return found
