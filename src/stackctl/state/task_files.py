"""Tasks on disk: thousands that have ended beside a few that live, neither in the way of the other.

A live task has an empty file of its own in one folder; one that has ended has a line in an index. Both are
hints that can be made again: the record in `tasks/<id>/record.json` is the truth.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackctl.core.errors import StateError
from stackctl.core.records import LIVE, EnvironmentRecord, UnreadableRecord
from stackctl.core.tasks import TaskLine, read_line, task_line
from stackctl.state import record_files
from stackctl.state.atomic import read_regular, write_atomic
from stackctl.state.failures import check_file_name, refused
from stackctl.state.folders import make_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INDEX = "finished.jsonl"
LOCK = "lock"
SPEC = "spec.json"
HOLDERS = "holders"
WISH = "end-wished"
LATE = 60.0
"""Seconds for which a task that has ended counts as live: what a killed command asked for may appear late."""
_MOST = 4 << 20
_ID = re.compile(r"[0-9a-f]{12}")
_MARK = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def mark(live: Path, task: str) -> None:
    """Say that a task lives; before its record is written, so that no live one is ever overlooked."""
    with refused("write", live / task):
        os.close(os.open(live / task, _MARK, 0o600))


def marked(live: Path, tasks: Path) -> Iterator[Path]:
    """The folders of the tasks that live, or ended a moment ago."""
    with refused("list", live):
        names = sorted(os.listdir(live))  # noqa: PTH208 -- iterdir makes a path of each first
    return (tasks / name for name in names if _ID.fullmatch(name))


def unmark_old(live: Path, record: EnvironmentRecord) -> None:
    """Forget that a task lives that ended a while ago."""
    if record.phase not in LIVE and record.task and not 0 <= time.time() - record.updated < LATE:
        unmark(live, record.task.id)


def unmark(live: Path, task: str) -> None:
    """Forget that a task lives."""
    with refused("remove", live / task), suppress(FileNotFoundError):
        (live / task).unlink()


def note_finished(tasks: Path, record: EnvironmentRecord) -> None:
    """Add the line of a task that has ended to the index; an index that cannot be written is only slower."""
    with suppress(OSError):
        _append(tasks / INDEX, [task_line(record)])


def _append(index: Path, lines: list[TaskLine]) -> None:
    text = "".join(f"{json.dumps(line.plain(), separators=(',', ':'))}\n" for line in lines)
    # one write to a file opened for appending: several processes add to it at once
    descriptor = os.open(index, _MARK | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def ids(tasks: Path) -> frozenset[str]:
    """The ids of all tasks that have a folder."""
    with refused("list", tasks):
        try:
            return frozenset(name for name in os.listdir(tasks) if _ID.fullmatch(name))  # noqa: PTH208
        except FileNotFoundError:
            return frozenset()


def finished(tasks: Path, live: Path) -> tuple[TaskLine, ...]:
    """A line for each task that has ended, the oldest first.

    What the index lacks, since it was lost or never written, is read from the records and added.

    Raises:
        StateError: The folder of all tasks cannot be listed.
    """
    there = ids(tasks)
    known = {line.id: line for line in _read_index(tasks / INDEX) if line.id in there}
    living = {path.name for path in marked(live, tasks)}
    missing = sorted(there - known.keys() - living)
    found = [line for task in missing if (line := _line_of(tasks / task)) is not None]
    if found:
        with suppress(OSError):
            _append(tasks / INDEX, found)
    lines = [*known.values(), *found]
    return tuple(sorted((one for one in lines if one.id not in living), key=_by_time))


def _by_time(line: TaskLine) -> tuple[float, str]:
    return line.created, line.id


def _read_index(path: Path) -> Iterator[TaskLine]:
    try:
        text = path.read_bytes()
    except OSError:
        return
    for raw in text.splitlines():
        with suppress(ValueError, RecursionError):  # a line that was cut off by a crash
            line = read_line(json.loads(raw))
            if line is not None and _ID.fullmatch(line.id):
                yield line


def _line_of(folder: Path) -> TaskLine | None:
    try:
        record = record_files.load(folder)
    except (UnreadableRecord, StateError):
        return None
    if record is None or record.phase in LIVE or record.task is None:
        return None
    return task_line(record)


def rewrite_index(tasks: Path) -> None:
    """Leave out of the index what is not there any more.

    Raises:
        StateError: The file system refused; the old index stands.
    """
    there = ids(tasks)
    lines = {line.id: line for line in _read_index(tasks / INDEX) if line.id in there}
    text = "".join(f"{json.dumps(line.plain(), separators=(',', ':'))}\n" for line in lines.values())
    write_atomic(tasks / INDEX, text.encode())


def write_spec(folder: Path, plain: Mapping[str, Any]) -> None:
    """Keep what a task was asked to be; see `FileStore.write_spec`."""
    write_atomic(folder / SPEC, json.dumps(plain).encode())


def read_spec(folder: Path) -> Any:
    """What a task was asked to be; see `FileStore.read_spec`."""
    data = read_regular(folder / SPEC, _MOST)
    if data is None:
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise StateError(f"`{folder / SPEC}` cannot be read: it is no JSON") from None


def remove_spec(folder: Path) -> None:
    """Forget what a task was asked to be."""
    with refused("remove", folder / SPEC):
        (folder / SPEC).unlink(missing_ok=True)


def wish_end(folder: Path, reason: str) -> None:
    """Ask whoever starts a task to end it instead; see `FileStore.wish_end`."""
    if folder.is_dir():
        write_atomic(folder / WISH, reason.encode(errors="backslashreplace"))


def end_wished(folder: Path) -> str:
    """Why a task that is started is to be ended instead; empty where nobody asked."""
    try:
        return (folder / WISH).read_text(errors="replace")
    except OSError:
        return ""


def tail(path: Path, size: int) -> bytes:
    """The last bytes of a file; empty where there is none, or it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read(size)
    except OSError:
        return b""


def write_past(home: Path, holder: str, tasks: Sequence[str]) -> None:
    """Remember which tasks a holder had; see `FileStore.write_past`."""
    make_folder(home / HOLDERS)
    name = check_file_name(f"{holder}.json", "holder")
    write_atomic(home / HOLDERS / name, json.dumps(list(tasks)).encode())


def past(home: Path, holder: str) -> frozenset[str]:
    """Which tasks a holder had; see `FileStore.past`."""
    path = home / HOLDERS / check_file_name(f"{holder}.json", "holder")
    data = read_regular(path, 16 * _MOST)
    try:
        return frozenset(map(str, json.loads(data))) if data else frozenset()
    except (ValueError, TypeError, RecursionError):
        raise StateError(f"`{path}` cannot be read: it is no list of tasks") from None
