"""The supervisor's sign of life: who it is and when it last had a good look, replaced at each look."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from stackctl.core.errors import StateError
from stackctl.state.atomic import read_regular
from stackctl.state.failures import refused
from stackctl.state.folders import make_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FOLDER = "supervisor"
_FILE = "heartbeat.json"
_PEAKS = "peaks.json"
_MOST = 1 << 20
_SAME = 0.01
"""Seconds within which a file's time is that of its content: file systems round."""
_SELF = ("pid", "boot", "since")


def beat(home: Path, plain: Mapping[str, Any]) -> None:
    """Replace the heartbeat; whole, but not synced: it is worth nothing after the host went down.

    Where that is refused, as by a full disk, the time of the present one is moved on, which takes no space.

    Raises:
        StateError: The file system refused both.
    """
    path = home / FOLDER / _FILE
    try:
        make_folder(home / FOLDER)
        _replace(home / FOLDER, _FILE, plain, at=plain["wall"])
    except StateError:
        if not _move_on(path, plain):
            raise


def read_beat(home: Path) -> Mapping[str, Any] | None:
    """The last heartbeat, None when there is none that can be read; later than it says if it was moved on."""
    path = home / FOLDER / _FILE
    found = _read(path)
    try:
        late = path.stat().st_mtime - found["wall"] if found else 0.0
        if found is None or late < _SAME:
            return found
        return {**found, "wall": found["wall"] + late, "boottime": found["boottime"] + late}
    except (OSError, KeyError, TypeError):
        return found


def _move_on(path: Path, plain: Mapping[str, Any]) -> bool:
    """Give the heartbeat in its place the time of one that cannot be written, by the clock that nobody sets.

    False where there is none of the same process; one that cannot be read now is taken for its own.
    """
    old, at = _read(path), plain["wall"]
    if old is not None:
        if [old.get(name) for name in _SELF] != [plain[name] for name in _SELF]:
            return False
        at = old["wall"] + plain["boottime"] - old["boottime"]
    try:
        os.utime(path, (at, at), follow_symlinks=False)
    except OSError:
        return False
    return True


def write_peaks(folder: Path, plain: Mapping[str, Any]) -> None:
    """Keep the most that each service of an environment ever used; whole, but not synced.

    An environment whose folder is gone was purged, and stays so.

    Raises:
        StateError: The file system refused.
    """
    if folder.is_dir():
        _replace(folder, _PEAKS, plain)


def read_peaks(folder: Path) -> Mapping[str, Any]:
    """Service -> what it used at most; empty when nothing was kept."""
    return _read(folder / _PEAKS) or {}


def _replace(folder: Path, name: str, plain: Mapping[str, Any], at: float | None = None) -> None:
    """Replace a file as a whole; `at` is what its time is set to, seconds since the epoch."""
    temporary = folder / f".{name}-{os.getpid()}"
    with refused("write", folder / name):
        try:
            temporary.write_bytes(json.dumps(plain, allow_nan=False).encode())
            if at is not None:
                os.utime(temporary, (at, at))
            temporary.replace(folder / name)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise


def _read(path: Path) -> Mapping[str, Any] | None:
    with suppress(StateError, ValueError):
        found = json.loads(read_regular(path, _MOST) or b"null")
        return found if isinstance(found, dict) else None
    return None
