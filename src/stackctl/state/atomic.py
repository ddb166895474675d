"""Files that are always whole: the old content or the new one, whatever happens in between."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stackctl.core.errors import StateError
from stackctl.state.failures import refused

TEMPORARY = ".stackctl-tmp-"
SWEEP_AGE = 600.0
"""Seconds after which a temporary file belongs to a writer that was killed; no write takes a tenth of it."""

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_atomic(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace a file as a whole; durable when this returns.

    Args:
        path: The file; a symbolic link in its place is replaced, never followed.
        data: Its new content.
        mode: Its permission bits, whatever the umask.

    Raises:
        StateError: The file system refused; the old content stands and no temporary file is left.
    """
    with refused("write", path), staged(path.parent, data, mode) as temporary:
        temporary.replace(path)
        sync_folder(path.parent)


def write_changed(path: Path, data: bytes, mode: int = 0o600) -> bool:
    """Replace a file unless it already is what it should be; then its inode and times stay.

    Returns:
        Whether it was written.

    Raises:
        StateError: As `write_atomic`.
    """
    if read_regular(path, len(data)) == data:
        if stat.S_IMODE(path.lstat().st_mode) != mode:
            with refused("set the permissions of", path):
                path.chmod(mode)
        return False
    write_atomic(path, data, mode)
    return True


@contextmanager
def staged(folder: Path, data: bytes, mode: int) -> Iterator[Path]:
    """A temporary file with its content on disk, gone at the end unless it was renamed.

    Raises:
        OSError: The file system refused.
    """
    temporary = folder / temporary_name()
    descriptor = os.open(temporary, _NEW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        yield temporary
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def temporary_name() -> str:
    """A name that no other writer uses and that `sweep` recognises."""
    return f"{TEMPORARY}{os.getpid()}-{os.urandom(6).hex()}"


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable.

    Raises:
        OSError: The file system refused.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_regular(path: Path, most: int) -> bytes | None:
    """The content of a regular file, at most `most` + 1 bytes of it; None when there is none.

    Raises:
        StateError: It is a link or anything else but a regular file, or it cannot be read.
    """
    with refused("read", path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise StateError(f"`{path}` is not a regular file", hint="move it out of the way")
            return file.read(min(most, found.st_size) + 1)


def sweep(folder: Path, *, age: float = SWEEP_AGE) -> int:
    """Remove what killed writers left in a folder; only under the lock that guards it.

    Args:
        folder: Where to look, not below it; a folder that is not there holds nothing.
        age: Seconds since its last change that make a temporary file abandoned.

    Returns:
        How many were removed.
    """
    before = time.time() - age
    removed = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(TEMPORARY) and entry.stat(follow_symlinks=False).st_mtime <= before:
                removed += remove_temporary(Path(entry.path))
    return removed


def remove_temporary(path: Path) -> bool:
    """Remove a temporary file, or a folder of plain files; nothing here ever descends.

    Returns:
        Whether it is gone.
    """
    try:
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
            return True
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    except OSError:
        return False
    return True
