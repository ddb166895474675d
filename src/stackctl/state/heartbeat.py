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
LOCK = "supervisor"
"""The lock that the supervisor of a state directory holds for its whole life."""
_FILE = "heartbeat.json"
_PEAKS = "peaks.json"
_MOST = 1 << 20


def beat(home: Path, plain: Mapping[str, Any]) -> None:
    """Replace the heartbeat; whole, but not synced: it is worth nothing after the host went down.

    Raises:
        StateError: The file system refused.
    """
    make_folder(home / FOLDER)
    _replace(home / FOLDER, _FILE, plain)


def read_beat(home: Path) -> Mapping[str, Any] | None:
    """The last heartbeat, None when there is none that can be read."""
    return _read(home / FOLDER / _FILE)


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


def _replace(folder: Path, name: str, plain: Mapping[str, Any]) -> None:
    temporary = folder / f".{name}-{os.getpid()}"
    with refused("write", folder / name):
        try:
            temporary.write_bytes(json.dumps(plain, allow_nan=False).encode())
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
