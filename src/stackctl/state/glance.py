"""A first look at the state directory, before what checks it is loaded: a guess, no reason to act."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path


def seems_to_run(home: Path, stack: str) -> bool:
    """Whether an environment of a stack of this name is recorded as running, by whichever record tells it.

    Args:
        home: The state directory, whether or not it is there.
        stack: Name of the stack; another one whose name begins like it may be taken for it.
    """
    with suppress(OSError):
        for folder in (home / "environments").iterdir():
            if folder.name.startswith(f"{stack}-") and _runs(folder):
                return True
    return False


def _runs(folder: Path) -> bool:
    with suppress(OSError, ValueError, AttributeError):
        return bool(json.loads((folder / "record.json").read_bytes()).get("phase") == "running")
    return False
