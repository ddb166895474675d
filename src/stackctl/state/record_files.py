"""Records on disk: each with a checksum, so that a damaged one is never taken for a true one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from stackctl.core.errors import StateError, UsageError
from stackctl.core.names import task_of, task_project
from stackctl.core.records import EnvironmentRecord, UnreadableRecord, from_plain, to_plain
from stackctl.state.atomic import read_regular, sync_folder, write_atomic
from stackctl.state.failures import refused
from stackctl.state.layout import RECORD

_CHECKSUM = "checksum"
_MOST = 4 << 20
_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_Stamp = tuple[int, int, int]
_Known = tuple[_Stamp, EnvironmentRecord | str]


@dataclass(frozen=True, slots=True)
class Survey:
    """Every environment of a state directory, by project name.

    Args:
        records: Those that could be read.
        unreadable: Project and reason of those that could not; they are kept as they are.
    """

    records: tuple[EnvironmentRecord, ...]
    unreadable: tuple[tuple[str, str], ...]


def check_project(project: str) -> str:
    """Return the project name, or say that it cannot be one; it is safe in a path.

    Raises:
        UsageError: It has anything but a-z, 0-9, - and _, or more than 63 characters.
    """
    if not _PROJECT.fullmatch(project):
        shown = ascii(project if len(project) < 80 else project[:77] + "...")
        raise UsageError(
            f"{shown} cannot be the name of an environment", hint="`stackctl list` shows every environment"
        )
    return project


def encode(record: EnvironmentRecord) -> bytes:
    """The record as JSON text with the checksum of the rest."""
    plain = to_plain(record)
    return json.dumps({_CHECKSUM: _checksum(plain), **plain}, allow_nan=False, indent=1).encode() + b"\n"


def decode(data: bytes) -> EnvironmentRecord:
    """Read what `encode` wrote.

    Raises:
        UnreadableRecord: It is damaged, no record, or a newer version wrote it.
    """
    if len(data) > _MOST:
        raise UnreadableRecord(f"it is larger than {_MOST >> 20} MiB")
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnreadableRecord("it is no JSON" if data else "it is empty") from error
    stored = raw.pop(_CHECKSUM, None) if isinstance(raw, dict) else None
    # The schema is looked at first: a newer version may well count its checksum in another way.
    record = from_plain(raw)
    if stored != _checksum(raw):
        raise UnreadableRecord("its checksum does not match its content")
    return record


def _checksum(plain: dict[str, Any]) -> str:
    return sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def load(folder: Path) -> EnvironmentRecord | None:
    """The record in an environment's folder, None when there is none.

    Raises:
        UnreadableRecord: There is one that cannot be read or is another environment's.
        StateError: The file system refused.
    """
    data = read_regular(folder / RECORD, _MOST)
    if data is None:
        return None
    record = decode(data)
    if folder.name not in (record.project, record.task.id if record.task else ""):
        raise UnreadableRecord(f"it is the record of {record.project!r}")
    return record


def read_record(folder: Path) -> EnvironmentRecord | None:
    """The record in an environment's folder, None when there is none; what cannot be read is kept.

    Raises:
        StateError: There is one that cannot be read.
    """
    try:
        return load(folder)
    except UnreadableRecord as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: UnreadableRecord) -> StateError:
    if error.newer:
        return StateError(
            f"a newer stackctl wrote the record `{folder / RECORD}`: {error}",
            hint="use that version for this environment; this one leaves it alone",
        )
    return StateError(
        f"the record `{folder / RECORD}` cannot be read: {error}",
        hint="its data is kept; rename that file, and `stackctl up` starts anew from the stack file",
    )


def write_record(folder: Path, record: EnvironmentRecord) -> None:
    """Write a record as a whole, durably.

    A damaged record in its place is set aside first.

    Raises:
        StateError: A newer version wrote the present one, or the file system refused.
    """
    try:
        load(folder)
    except UnreadableRecord as error:
        if error.newer:
            raise _unreadable(folder, error) from error
        set_aside(folder)
    write_atomic(folder / RECORD, encode(record))


def set_aside(folder: Path) -> Path | None:
    """Rename a record to `record.json.corrupt-<n>` beside it; nothing is deleted.

    Returns:
        Its new path, None when there was no record.

    Raises:
        StateError: The file system refused.
    """
    path = folder / RECORD
    number = 1
    while os.path.lexists(aside := folder / f"{RECORD}.corrupt-{number}"):
        number += 1
    with refused("rename", path):
        try:
            path.rename(aside)
        except FileNotFoundError:
            return None
        sync_folder(folder)
    return aside


def survey(folders: Iterable[Path]) -> Survey:
    """Read the record in each folder, in their order."""
    records: list[EnvironmentRecord] = []
    unreadable: list[tuple[str, str]] = []
    for folder in folders:
        found, _ = _try_load(folder)
        if isinstance(found, str):
            unreadable.append((project_of(folder), found))
        elif found is not None:
            records.append(found)
    return Survey(tuple(records), tuple(unreadable))


class Recall:
    """Surveys the same folders again and again, and reads only the records that changed since.

    A record is replaced as a whole, so its inode and times tell whether it is another one.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def survey(self, folders: Iterable[Path]) -> Survey:
        """As `survey`."""
        before, self._known = self._known, {}
        every: list[tuple[str, EnvironmentRecord | str]] = []
        for folder in folders:
            found = self._recall(folder, before.get(folder.name))
            if found is not None:
                every.append((project_of(folder), found))
        return Survey(
            tuple(found for _, found in every if not isinstance(found, str)),
            tuple((name, found) for name, found in every if isinstance(found, str)),
        )

    def _recall(self, folder: Path, known: _Known | None) -> EnvironmentRecord | str | None:
        try:
            stamp = _stamp(folder / RECORD)
        except FileNotFoundError:
            return None
        except OSError:
            return _try_load(folder)[0]
        if known is not None and known[0] == stamp:
            self._known[folder.name] = known
            return known[1]
        found, lasting = _try_load(folder)
        if found is not None and lasting:
            self._known[folder.name] = (stamp, found)
        return found


def _stamp(path: Path) -> _Stamp:
    found = os.lstat(path)
    return found.st_ino, found.st_mtime_ns, found.st_size


def _try_load(folder: Path) -> tuple[EnvironmentRecord | str | None, bool]:
    """A record, or why it cannot be read; and whether that stays so while the file is the same.

    What the file system refuses now, as without a free descriptor, it may grant in a moment.
    """
    try:
        return load(folder), True
    except UnreadableRecord as error:
        return str(error), True
    except StateError as error:
        return error.message, False


def project_of(folder: Path) -> str:
    """The project whose record a folder holds: a task's folder has its id alone."""
    return task_project(folder.name) if task_of(task_project(folder.name)) else folder.name


def environment_folders(environments: Path) -> Iterator[Path]:
    """The folders of all environments, in the order of their names.

    Raises:
        StateError: They cannot be listed.
    """
    with refused("list", environments):
        try:
            names = sorted(os.listdir(environments))  # noqa: PTH208 -- iterdir makes a path of each first
        except FileNotFoundError:
            return
    for name in names:
        if _PROJECT.fullmatch(name):
            yield environments / name
