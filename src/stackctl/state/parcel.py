"""An environment's files as they are to be on an engine's host that is another machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from stackctl.core.errors import UsageError
from stackctl.core.remote import Item
from stackctl.state.atomic import read_regular
from stackctl.state.secret_files import ENVIRONMENT_MODE, MOUNTED_MODE, SECRETS

FILES = "files"
MOST_OWN = 64 << 20
MOST = 1 << 20
"""The largest file of the user's own that is brought along: secrets and configs are small."""


def parcel(folder: Path) -> tuple[Item, ...]:
    """The environment's rendered files and those of its secrets that containers mount.

    Env files stay here: Compose reads them on this machine.

    Args:
        folder: The environment's folder.

    Raises:
        StateError: A file cannot be read.
    """
    return (*_tree(folder, FILES, 0o755), *_tree(folder, SECRETS, 0o700))


def given(files: Mapping[str, Path]) -> tuple[Item, ...]:
    """The user's own files that secrets and configs name.

    Args:
        files: Path on that host, relative to the environment's folder there -> the file here.

    Raises:
        UsageError: One cannot be read, or is larger than a secret or config.
    """
    found = [Item(path=name, mode=MOUNTED_MODE, content=_read(path)) for name, path in sorted(files.items())]
    return (Item(path="given", mode=0o700), *found) if found else ()


def _tree(folder: Path, name: str, mode: int) -> Iterator[Item]:
    root = folder / name
    if not root.is_dir():
        return
    yield Item(path=name, mode=mode)
    for path in sorted(root.rglob("*")):
        relative, bits = path.relative_to(folder).as_posix(), path.lstat().st_mode & 0o777
        if path.is_symlink() or bits == ENVIRONMENT_MODE:
            continue
        content = None if path.is_dir() else read_regular(path, MOST_OWN)
        yield Item(path=relative, mode=bits, content=content)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            found = file.read(MOST + 1)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read, and is to be brought to the engine's host: {error.strerror}"
        ) from error
    if len(found) > MOST:
        raise UsageError(
            f"{path} is larger than 1 MiB, and no secret or config is", hint="use a named volume"
        )
    return found
