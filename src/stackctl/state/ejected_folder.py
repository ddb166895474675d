"""A folder of the user's own that runs an environment without stackctl: written as a whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from stackctl.core.errors import UsageError
from stackctl.state import data_folders, documents, secret_files
from stackctl.state.atomic import TEMPORARY, sync_folder, write_atomic
from stackctl.state.failures import refused

if TYPE_CHECKING:
    from stackctl.core.stack import DataFolder, SecretSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What stands in an ejected folder.

    Args:
        texts: File at its top -> text; each is its owner's alone.
        files: Below `files/`, path -> text.
        secrets: Which secrets there must be below `secrets/`.
        known: Secret -> its value, as far as the environment has it; the others are made or read anew.
        connections: From the values of all secrets, further files below `secrets/`.
        data: Folders to be made below `data/`.
        owner: uid and gid of the caller.
    """

    texts: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[SecretSpec] = ()
    known: Mapping[str, str] = field(default_factory=dict)
    connections: Callable[[Mapping[str, str]], Mapping[str, str]] = lambda _: {}
    data: Sequence[DataFolder] = ()
    owner: tuple[int, int] = (0, 0)


def check_free(folder: Path) -> None:
    """Refuse a folder that has anything in it.

    Raises:
        UsageError: It does, or it is no folder, or there is no folder to make it in.
    """
    hint = "name another one with --to; nothing that is there is ever replaced"
    if folder.is_symlink() or (os.path.lexists(folder) and not folder.is_dir()):
        raise UsageError(f"`{folder}` is no folder", hint=hint)
    with refused("look into", folder):
        if folder.is_dir() and any(folder.iterdir()):
            raise UsageError(f"`{folder}` is not empty", hint=hint)
    if not folder.parent.is_dir():
        raise UsageError(f"there is no folder `{folder.parent}`", hint="make it first, or name another one")


def write_ejected(folder: Path, contents: Contents) -> None:
    """Write an ejected folder, which is free; it appears when everything in it is on disk.

    Raises:
        UsageError: A secret's own file cannot be read.
        StateError: The file system refused, or the folder is not free any more; nothing is left of it.
    """
    with refused("make", folder), TemporaryDirectory(prefix=TEMPORARY, dir=folder.parent) as temporary:
        staging = Path(temporary) / folder.name
        staging.mkdir(0o700)
        _fill(staging, contents)
        staging.rename(folder)  # onto an empty folder at most
        sync_folder(folder.parent)


def _fill(folder: Path, contents: Contents) -> None:
    if contents.files:
        documents.write_files(folder, contents.files)
    for name, text in contents.known.items():
        secret_files.write_secret_text(folder, name, text)
    values = secret_files.ensure_secrets(folder, contents.secrets)
    for name, text in contents.connections(values).items():
        secret_files.write_secret_text(folder, name, text)
    data_folders.ensure_data(folder, contents.data, contents.owner)
    for name, text in contents.texts.items():
        write_atomic(folder / name, text.encode())
