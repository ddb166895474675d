"""A copy of data for another task or environment: files, owners, times, and the secrets that open it."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from stackctl.core.errors import StateError
from stackctl.state.data_folders import DATA, has_data
from stackctl.state.failures import refused
from stackctl.state.folders import check_folder, make_folder
from stackctl.state.secret_files import SECRETS

MOST_NAMED = 8


def copy_data(source: Path, target: Path, names: Sequence[str]) -> None:
    """Copy data into a folder that has none: the folders of these names, each with all that is in it.

    Links are copied as links; sockets and pipes, which mean nothing in a copy, are left out.

    Args:
        source: The folder of a task or environment, or one with a folder of data for each sidecar. Secrets
            come along where they stand beside the data.
        target: The folder of the task or environment that gets it.
        names: The data folders that are wanted, a sidecar's each.

    Raises:
        StateError: There is no such folder, or no data for one of the names, or some here already, or the
            file system refused.
    """
    inside = source / DATA
    data = inside if inside.is_dir() else source
    if not data.is_dir():
        raise StateError(
            f"there is no folder `{source}` to take data from",
            hint="name a task, or a folder that holds one folder for each sidecar",
        )
    _check_names(data, names)
    if has_data(target):
        raise StateError(f"`{target / DATA}` has data already", hint="start a task of its own")
    secrets = data.parent / SECRETS
    if secrets.is_dir():
        _copy(secrets, target / SECRETS)
    make_folder(target / DATA)
    for name in names:
        _copy(data / name, target / DATA / name)


def _check_names(data: Path, names: Sequence[str]) -> None:
    """Say which of the names has no folder there: what began empty in silence would be taken for the data."""
    missing = [name for name in names if not (data / name).is_dir()]
    if not missing:
        return
    with refused("list", data):
        there = sorted(path.name for path in data.iterdir() if path.is_dir())
    more = f" and {len(there) - MOST_NAMED} more" if len(there) > MOST_NAMED else ""
    known = ", ".join(f"`{name}`" for name in there[:MOST_NAMED]) + more if there else "none"
    raise StateError(
        f"`{data}` has no data of {' or '.join(f'`{name}`' for name in missing)}; its folders: {known}",
        hint="name the sidecars as those are called, such as --sidecar NAME=postgres; "
        "an empty folder of the name lets one begin with nothing",
    )


def _copy(source: Path, target: Path) -> None:
    import shutil  # 10 ms that only copies need

    check_folder(source)
    with refused("copy to", target):
        try:
            shutil.copytree(
                source, target, symlinks=True, ignore=_odd, copy_function=_copy_file, dirs_exist_ok=True
            )
        except shutil.Error as error:
            first = error.args[0][0] if error.args and error.args[0] else ("", "", error)
            raise OSError(f"{first[0]}: {first[2]}") from error
        for folder, _, _ in os.walk(source):
            _own(Path(folder), target / Path(folder).relative_to(source))


def _copy_file(source: str, target: str) -> str:
    import shutil

    shutil.copy2(source, target, follow_symlinks=False)
    _own(Path(source), Path(target))
    return target


def _own(source: Path, target: Path) -> None:
    found = source.lstat()
    with suppress(PermissionError):  # only root gives files away
        os.chown(target, found.st_uid, found.st_gid, follow_symlinks=False)


def _odd(folder: str, names: list[str]) -> list[str]:
    """What is neither a file, a folder nor a link."""
    found = []
    for name in names:
        mode = (Path(folder) / name).lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
            found.append(name)
    return found
