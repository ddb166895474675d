"""Where a stack's lock lies, and how it is read and written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.errors import StackFileError, UsageError
from stackctl.ops.finding import read_text

if TYPE_CHECKING:
    from stackctl.core.lockfile import Lock
    from stackctl.ops.finding import Found

SUFFIX = ".lock.yaml"


def lock_path(found: Found) -> Path | None:
    """The lock of a stack, there or not: beside its stack file, else beside its first compose file.

    `stacks/shop.yaml` has `stacks/shop.lock.yaml`, and `docker-compose.yml` has `docker-compose.lock.yaml`.
    """
    return found.path.with_suffix(SUFFIX) if found.path is not None else None


def shown_lock(found: Found) -> str:
    """The lock's path as messages have it."""
    path = Path(found.source).with_suffix(SUFFIX)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def read_lock(found: Found) -> Lock | None:
    """The lock of a stack, None where there is none.

    Raises:
        StackFileError: It is no file, cannot be read, is damaged, or is that of another file.
    """
    path = lock_path(found)
    if path is None or found.path is None or not os.path.lexists(path):
        return None
    source = shown_lock(found)
    if not path.is_file():
        raise StackFileError(f"{source} is no file that can be read", hint="move it out of the way")
    from stackctl.core.lockfile import parse_lock

    return parse_lock(read_text(path), source=source, of=found.path.name)


def own_lock_path(found: Found) -> Path:
    """Where the lock of a stack of the user's own is to be written.

    Raises:
        UsageError: The stack came with stackctl.
    """
    path = lock_path(found)
    if path is None or found.shipped:
        raise UsageError(
            f"`{found.name}` comes with stackctl, and its lock would lie there too",
            hint=f"`stackctl new {found.name}` makes a stack file of your own",
        )
    return path


def write_lock(path: Path, text: str) -> bool:
    """Write a lock as a whole; whether anything in it is new.

    Raises:
        StateError: The file system refused; the old lock stands.
    """
    from stackctl.state.atomic import write_changed

    return write_changed(path, text.encode(), mode=0o644)
