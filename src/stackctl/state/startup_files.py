"""Edits start-up files of the user's shell and undoes that: through links, in place, with a copy beside."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from stackctl.core.path_block import with_block, without_block

if TYPE_CHECKING:
    from pathlib import Path

    from stackctl.state.installation import Installation

BACKUP = ".before-stackctl"


def add_block(installation: Installation, path: Path, lines: str) -> bool:
    """Put our block into a file, made if need be; False where it may not be written."""
    try:
        old = _read(path)
    except FileNotFoundError:
        old = ""
    except OSError:
        return False
    new = with_block(old, lines)
    if new == old:
        return True
    if os.path.lexists(path) and not os.access(path, os.W_OK):
        return False
    if old and without_block(old) == old:
        backup = path.with_name(path.name + BACKUP)
        if not os.path.lexists(backup):
            installation.record("backup", backup)
            backup.write_text(old, errors="surrogateescape", newline="")
    if not os.path.lexists(path):
        installation.make_folder(path.parent)
        installation.record("file", path)
    installation.record("block", path)
    return _write(path, new)


def remove_block(path: Path) -> bool:
    """Take our block out of a file; True where it is out."""
    try:
        old = _read(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return old == without_block(old) or _write(path, without_block(old))


def remove_file(path: Path) -> bool:
    """Remove a file or link of ours; True where it is gone."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
    return not os.path.lexists(path)


def _read(path: Path) -> str:
    with path.open(errors="surrogateescape", newline="") as file:
        return file.read()


def _write(path: Path, text: str) -> bool:
    try:
        path.write_text(text, errors="surrogateescape", newline="")
    except OSError:
        return False
    return True
