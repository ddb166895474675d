"""Files of short tasks, and what they leave: side effects in a folder, results, records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from commandline import Cli

IMAGE = "busybox:1.35"
SMALL = {"memory": "32m", "cpus": 0.25, "pids": 32}
ROOM = ("--budget", "memory=4g,cpus=16")


def shell(script: str, **more: Any) -> dict[str, Any]:
    """A small task that runs a script."""
    return {"image": IMAGE, "command": ["sh", "-c", script], "limits": SMALL, **more}


def counted(folder: Path, key: str, then: str = "true") -> dict[str, Any]:
    """A task that says in a file of a mounted folder that it ran: one write, so lines never mix."""
    return shell(f"echo {key} >> /seen/ran; {then}", key=key, mounts=[f"{folder}:/seen"])


def write(path: Path, tasks: Iterable[Mapping[str, Any]]) -> Path:
    """Write a file of JSON lines."""
    path.write_text("".join(f"{json.dumps(task)}\n" for task in tasks))
    return path


def ran(folder: Path) -> Counter[str]:
    """How often each key ran."""
    path = folder / "ran"
    return Counter(path.read_text().split() if path.exists() else [])


def results(path: Path) -> list[dict[str, Any]]:
    """The results as they stand in the file; every line is whole."""
    text = path.read_text() if path.exists() else ""
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def phases(path: Path) -> dict[str, str]:
    """Key -> phase; no key stands twice."""
    found = results(path)
    assert len({one["key"] for one in found}) == len(found)
    return {one["key"]: one["phase"] for one in found}


def live(cli: Cli) -> list[str]:
    """The ids of tasks that have not ended."""
    return [one["id"] for one in cli("tasks", "--json").ok().data]
