"""How readings, limits and times are put into words, the same in every command."""

from __future__ import annotations

import os
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.records import LIVE
from stackctl.core.units import show_duration, show_size

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord, ServiceRecord
    from stackctl.ops.status import Usage

NONE = "-"


def pids_words(usage: Usage, asked: ServiceRecord) -> str:
    """Processes in use, the threshold and the limit ("3 / 200 / 256")."""
    now = NONE if usage.pids is None else str(usage.pids)
    return f"{now} / {asked.watchdog.get('pids', NONE)} / {asked.pids}"


def memory_words(usage: Usage, asked: ServiceRecord) -> str:
    """Memory in use, the threshold and the limit."""
    now = NONE if usage.memory is None else show_size(usage.memory)
    mark = asked.watchdog.get("memory")
    return f"{now} / {show_size(mark) if mark else NONE} / {show_size(asked.memory)}"


def cpu_words(usage: Usage, asked: ServiceRecord) -> str:
    """Processors in use and the limit."""
    now = NONE if usage.cpu is None else f"{usage.cpu:.2f}"
    return f"{now} / {asked.cpus:g}"


def left_words(seconds: float) -> str:
    """What is left of a lifetime."""
    return f"{show_duration(ceil(seconds))} left" if seconds > 0 else f"over since {show_duration(-seconds)}"


def named(record: EnvironmentRecord) -> str:
    """How to name an environment or task on the command line ("myenv", "myenv --instance two", an id)."""
    if record.task is not None:
        return record.task.id
    return f"{record.stack} --instance {record.instance}" if record.instance else record.stack


def not_running(record: EnvironmentRecord) -> str:
    """What to do where an environment or task does not run: it is started again, or looked at."""
    if record.task is not None:
        state = f"is {record.phase}" if record.phase in LIVE else f"has ended, {record.phase}"
        return f"the task {state}; `stackctl inspect {record.title}` shows what is known of it"
    return f"start it with `stackctl up {named(record)}`"


def plural(count: int, word: str) -> str:
    """A count with its noun ("1 service", "2 services")."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def shown_path(path: Path) -> str:
    """A path as a person would type it here."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
