"""The folders of an environment that outlive every container; nothing here deletes what is in them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.errors import StateError
from stackctl.state.atomic import sync_folder, temporary_name
from stackctl.state.failures import check_file_name, refused
from stackctl.state.folders import check_folder, make_folder
from stackctl.state.secret_files import SECRETS

if TYPE_CHECKING:
    from stackctl.core.stack import DataFolder

DATA = "data"
_BLOCK = 512
"""The unit of st_blocks (stat(2)), whatever the file system's own."""


def ensure_data(folder: Path, wanted: Sequence[DataFolder], owner: tuple[int, int]) -> tuple[str, ...]:
    """Make sure that the data folders are there, each 0700 and its owner's.

    Only a folder that is made now gets an owner; what is there is never changed, and nothing in it.

    Args:
        folder: The environment's folder.
        wanted: The folders.
        owner: The caller's uid and gid; where that is root, each folder belongs to its declared uid.

    Returns:
        A warning for each folder that belongs to somebody else.

    Raises:
        StateError: A link or a file is in the way, the name or owner may not be used, or the file system
            refused.
    """
    warnings = []
    for data in wanted:
        path = data_path(folder, data.name)
        owned_by = data_owner(data, owner)
        make_folder(path.parent)
        if os.path.lexists(path):
            warnings.append(_compare(path, owned_by))
        else:
            _make_owned(path, owned_by)
    return tuple(warning for warning in warnings if warning)


def data_path(folder: Path, name: str) -> Path:
    """Where a data folder is.

    Raises:
        StateError: The name may not be used.
    """
    return folder / DATA / check_file_name(name, "data folder")


def data_owner(data: DataFolder, caller: tuple[int, int]) -> tuple[int, int]:
    """The uid and gid that own a data folder and run its service: the caller's, or never root's.

    Raises:
        StateError: The caller is root and so is the declared user.
    """
    if caller[0] != 0:
        return caller
    if data.uid <= 0:
        raise StateError(
            f"the data folder `{data.name}` cannot belong to user {data.uid}",
            hint="declare the `uid` above zero that its service runs as",
        )
    return data.uid, data.uid


def _make_owned(path: Path, owner: tuple[int, int]) -> None:
    # Made under another name first: a kill before chown must not leave a folder of the wrong owner.
    temporary = path.parent / temporary_name()
    with refused("make the data folder", path):
        temporary.mkdir(0o700)
        try:
            temporary.chmod(0o700)
            os.chown(temporary, *owner, follow_symlinks=False)
            temporary.rename(path)
        except OSError:
            temporary.rmdir()
            raise
        sync_folder(path.parent)


def _compare(path: Path, owner: tuple[int, int]) -> str:
    found = check_folder(path)
    if found.st_uid == owner[0]:
        return ""
    return (
        f"the data folder `{path}` belongs to user {found.st_uid}, not to {owner[0]}; "
        "its service may be unable to write there"
    )


def has_data(folder: Path) -> bool:
    """Whether any data folder has anything in it; one that cannot be looked into counts as full."""
    return any(not _empty(path) for path in _children(folder / DATA))


def _children(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except FileNotFoundError:
        return []
    except OSError:
        return [path]


def _empty(path: Path) -> bool:
    try:
        return next(path.iterdir(), None) is None
    except OSError:
        return False


def data_size(folder: Path) -> int:
    """Bytes that the data takes on disk; a link counts itself, an unreadable folder what can be seen."""
    blocks, seen = 0, set()
    for status in _statuses(folder / DATA):
        identity = (status.st_dev, status.st_ino)
        if status.st_nlink < 2 or stat.S_ISDIR(status.st_mode) or identity not in seen:
            blocks += status.st_blocks
            seen.add(identity)
    return blocks * _BLOCK


def _statuses(path: Path) -> Iterator[os.stat_result]:
    folders = [path]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                yield entry.stat(follow_symlinks=False)


def move_data(old: Path, new: Path) -> None:
    """Take the data and the secrets of one environment over to another; killed, it is finished by a repeat.

    Args:
        old: The folder of the environment that has them.
        new: The folder of the one that gets them; its own secrets, which belong to no data, are set aside.

    Raises:
        StateError: The other one has data, or the file system refused.
    """
    if has_data(new):
        raise StateError(
            f"`{new / DATA}` has data already, so that of `{old.name}` cannot go there",
            hint=f"`stackctl purge` of `{new.name}` deletes that data",
        )
    # Secrets first: data without the password that opens it would be lost.
    if (old / SECRETS).exists():
        _set_aside(new / SECRETS)
        _move(old / SECRETS, new / SECRETS)
    if (old / DATA).exists():
        _remove_empty(new / DATA)
        _move(old / DATA, new / DATA)


def _move(source: Path, target: Path) -> None:
    check_folder(source)
    with refused("move to", target):
        source.rename(target)
        sync_folder(target.parent)
        sync_folder(source.parent)


def _set_aside(path: Path) -> None:
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.before-{number}")):
        number += 1
    if path.exists():
        _move(path, aside)


def _remove_empty(path: Path) -> None:
    # rmdir refuses whatever is not empty, so this cannot delete data.
    with refused("make room at", path):
        for child in _children(path):
            child.rmdir()
        if path.exists():
            path.rmdir()
