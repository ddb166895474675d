"""The files that compose is driven with, and the rendered tree that containers mount."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from stackctl.core.deployment import Deployment
from stackctl.core.errors import StateError
from stackctl.state.atomic import (
    TEMPORARY,
    read_regular,
    remove_temporary,
    staged,
    sync_folder,
    temporary_name,
    write_changed,
)
from stackctl.state.failures import encode_text, refused
from stackctl.state.folders import make_folder
from stackctl.state.record_files import project_of

DOCUMENT = "compose.yaml"
SWARM_DOCUMENT = "swarm.yaml"
PLACEMENT = "placement.env"
FILES = "files"
FILE_MODE = 0o444
FOLDER_MODE = 0o755
"""Below a 0700 folder: containers that run as any user read these, no other user of the host can."""


def deployment(folder: Path) -> Deployment:
    """The files that compose is driven with, whether or not they are there."""
    return Deployment(
        project=project_of(folder),
        folder=folder,
        document=folder / DOCUMENT,
        placement=folder / PLACEMENT,
    )


def write_document(folder: Path, compose_text: str, placement_text: str) -> Deployment:
    """Write the bounded document and the env file that fills its holes; an unchanged one is not touched.

    Raises:
        StateError: The file system refused; each file is either the old one or the new one.
    """
    files = deployment(folder)
    write_changed(files.placement, encode_text(placement_text, PLACEMENT))
    write_changed(files.document, encode_text(compose_text, DOCUMENT))
    return files


def write_swarm_document(folder: Path, text: str) -> Path:
    """Write what a Swarm is told; its path.

    Raises:
        StateError: The file system refused; the file is either the old one or the new one.
    """
    path = folder / SWARM_DOCUMENT
    write_changed(path, encode_text(text, SWARM_DOCUMENT))
    return path


def write_files(folder: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    """Make the `files/` tree of an environment what was rendered.

    An unchanged file keeps its inode, and so does every folder, because running containers have them
    mounted. Everything new is on disk before the first file changes, so a full disk changes nothing; a
    kill in between leaves some files old, and the next call finishes.

    Args:
        folder: The environment's folder.
        files: Relative path -> text.

    Returns:
        The paths that were written or removed, sorted.

    Raises:
        StateError: A path may not be used, or the file system refused.
    """
    contents = {_relative(path): encode_text(text, path) for path, text in files.items()}
    _check_tree(contents)
    root = folder / FILES
    make_folder(root, FOLDER_MODE)
    with refused("write the rendered files below", root):
        present = dict(_walk(root, PurePosixPath()))
        changed = [path for path, data in contents.items() if not _same(root / path, data, present.get(path))]
        folders = _parents(contents)
        stale = [p for p, mode in present.items() if p not in (folders if stat.S_ISDIR(mode) else contents)]
        _replace(root, {path: contents[path] for path in changed}, stale)
    gone = [path for path in stale if not stat.S_ISDIR(present[path])]
    return tuple(sorted(str(path) for path in (*changed, *gone)))


def _relative(path: str) -> PurePosixPath:
    parts = path.split("/")
    bad = any(part in ("", ".", "..") or part.startswith(TEMPORARY) for part in parts)
    if bad or not path.isprintable():
        raise StateError(
            f"{path!a} cannot be the path of a rendered file",
            hint="use a path relative to the template's `files/`, without `..`",
        )
    return PurePosixPath(*parts)


def _parents(contents: Iterable[PurePosixPath]) -> set[PurePosixPath]:
    return {parent for path in contents for parent in path.parents if parent.parts}


def _check_tree(contents: Mapping[PurePosixPath, bytes]) -> None:
    for path in sorted(_parents(contents)):
        if path in contents:
            raise StateError(f"the rendered file {str(path)!a} is also a folder of rendered files")


def _walk(root: Path, below: PurePosixPath) -> Iterator[tuple[PurePosixPath, int]]:
    """Everything in the tree with its mode, a folder after what is in it."""
    for entry in sorted((root / below).iterdir()):
        mode = entry.lstat().st_mode
        path = below / entry.name
        if stat.S_ISDIR(mode):
            yield from _walk(root, path)
        yield path, mode


def _same(path: Path, data: bytes, mode: int | None) -> bool:
    if mode is None or not stat.S_ISREG(mode) or stat.S_IMODE(mode) != FILE_MODE:
        return False
    return read_regular(path, len(data)) == data


def _replace(root: Path, changed: Mapping[PurePosixPath, bytes], stale: list[PurePosixPath]) -> None:
    if not changed and not stale:
        return
    with _staged_all(root, changed) as ready:
        folders = _parents(changed)
        in_the_way = [path for path in stale if path in folders or {path, *path.parents} & changed.keys()]
        for path in in_the_way:
            _unlink(root / path)
        for folder in sorted(folders):
            make_folder(root / folder, FOLDER_MODE)
        for path, temporary in ready.items():
            temporary.replace(root / path)
        for path in (path for path in stale if path not in in_the_way):
            _unlink(root / path)
    for folder in {path.parent for path in (*changed, *stale)}:
        if (root / folder).is_dir():
            sync_folder(root / folder)


@contextmanager
def _staged_all(root: Path, changed: Mapping[PurePosixPath, bytes]) -> Iterator[Mapping[PurePosixPath, Path]]:
    staging = root.parent / temporary_name()
    staging.mkdir(0o700)
    try:
        ready: dict[PurePosixPath, Path] = {}
        for path, data in changed.items():
            with staged(staging, data, FILE_MODE) as temporary:
                ready[path] = temporary.rename(staging / str(len(ready)))
        yield ready
    finally:
        remove_temporary(staging)


def _unlink(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink()
