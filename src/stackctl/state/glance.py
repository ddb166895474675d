"""A first look at the state directory, before what checks it is loaded: a guess, no reason to act.

Records are read as plain JSON, without their checksum: one that is damaged may be named, and the command that
is then given its name says what is wrong with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from stackctl.state.layout import ENVIRONMENTS, LIVE_TASKS, RECORD, TASKS


class Glimpse(NamedTuple):
    """What a record says that is needed to name it; as in `EnvironmentRecord`.

    Args:
        services: Their names.
        task: Its id, empty for an environment.
        about: What a task is called, else its image.
    """

    project: str
    stack: str
    instance: str
    phase: str
    root: str
    stack_file: str
    services: tuple[str, ...]
    task: str
    about: str


def environments(home: Path) -> list[Glimpse]:
    """Every environment, in the order of the projects; what cannot be read is left out."""
    found = _glimpses(home / ENVIRONMENTS, home / ENVIRONMENTS)
    return [one for folder, one in found if folder == one.project]


def live_tasks(home: Path) -> list[Glimpse]:
    """The tasks that live, or ended a moment ago, in the order of their ids."""
    return [one for folder, one in _glimpses(home / LIVE_TASKS, home / TASKS) if folder == one.task]


def seems_to_run(home: Path, stack: str) -> bool:
    """Whether an environment of a stack of this name is recorded as running, by whichever record tells it.

    Args:
        home: The state directory, whether or not it is there.
        stack: Name of the stack; another one whose name begins like it may be taken for it.
    """
    with suppress(OSError):
        for folder in (home / ENVIRONMENTS).iterdir():
            if folder.name.startswith(f"{stack}-") and _runs(folder):
                return True
    return False


def _runs(folder: Path) -> bool:
    with suppress(OSError, ValueError, AttributeError):
        return bool(json.loads((folder / RECORD).read_bytes()).get("phase") == "running")
    return False


def _glimpses(named: Path, folders: Path) -> Iterator[tuple[str, Glimpse]]:
    """Each name in one folder, with the record that lies below it in the other."""
    names: list[str] = []
    with suppress(OSError):
        names += sorted(os.listdir(named))  # noqa: PTH208 -- iterdir makes a path of each first
    for name in names:
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            yield name, _glimpse(json.loads((folders / name / RECORD).read_bytes()))


def _glimpse(record: dict[str, Any]) -> Glimpse:
    task = record.get("task") or {"id": ""}
    return Glimpse(
        project=record["project"],
        stack=record["stack"],
        instance=record.get("instance", ""),
        phase=record["phase"],
        root=record["root"],
        stack_file=record.get("stack_file", ""),
        services=tuple(record.get("services", ())),
        task=task["id"],
        about=task.get("name") or task.get("image", ""),
    )
