"""Incidents on disk: one JSON file each, in the folder of the environment that they are about."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from stackctl.core.errors import StateError
from stackctl.state.atomic import read_regular, write_atomic
from stackctl.state.failures import check_file_name
from stackctl.state.folders import make_folder

if TYPE_CHECKING:
    from pathlib import Path

INCIDENTS = "incidents"
KEPT = 100
"""Incidents that are kept of one environment, the newest; one has some tens of kilobytes."""
_MOST = 4 << 20


def write_incident(folder: Path, name: str, plain: dict[str, Any]) -> Path:
    """Write an incident durably, or write it again; the oldest beyond `KEPT` are removed.

    Args:
        folder: The environment's or the supervisor's.
        name: Its id, which begins with its time, so that names sort as times do.
        plain: Its data.

    Raises:
        StateError: The file system refused.
    """
    below = folder / INCIDENTS
    make_folder(below)
    path = below / check_file_name(f"{name}.json", "incident")
    text = json.dumps(plain, indent=1, allow_nan=False, ensure_ascii=False)
    write_atomic(path, text.encode(errors="backslashreplace") + b"\n")
    for old in _names(below)[:-KEPT]:
        with suppress(OSError):
            (below / old).unlink()
    return path


def read_incidents(folder: Path) -> tuple[Any, ...]:
    """The data of every incident below a folder that is JSON, the oldest first; damaged files are skipped."""
    below = folder / INCIDENTS
    found = []
    for name in _names(below):
        with suppress(StateError, ValueError):
            found.append(json.loads(read_regular(below / name, _MOST) or b""))
    return tuple(found)


def _names(below: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(below) if name.endswith(".json"))  # noqa: PTH208 -- names only
    except OSError:
        return []
