"""People's own compose files: which they are, what Compose makes of them, and the stack that it becomes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackctl.core.composefiles import (
    OVERRIDE_FILES,
    PLACE,
    ComposeSources,
    Reader,
    active,
    settle,
    stack_name,
)
from stackctl.core.errors import StackFileError, UnknownName
from stackctl.core.stack import Stack
from stackctl.ops.finding import Found, read_text
from stackctl.ops.listing import DEFAULT_FILES
from stackctl.ops.outside_files import outside_files
from stackctl.ops.preparing import Sources

if TYPE_CHECKING:
    from stackctl.core.rules import Change

_PROJECT_NAME = re.compile(
    r"^[ \t]*(?:export[ \t]+)?COMPOSE_PROJECT_NAME[ \t]*=[ \t]*"
    r"""(["']?)([a-z0-9][a-z0-9_-]*)\1[ \t]*(?:[ \t]#.*)?$""",
    re.MULTILINE,
)
CONTAINER_NAME = "container-name"


def read_document(sources: Sources, given: Mapping[str, str], compose: Reader) -> Sources:
    """The sources with what a stack's compose files come to, with the profiles that are active.

    Args:
        given: `--set` words: what is interpolated, over the stack's `variables`.

    Raises:
        StackFileError: A file is missing.
        EngineRefused: Compose does not accept the files.
    """
    found, stack = sources.found, sources.stack
    asked = sources_of(found, stack, given)
    document, changes = settled(compose(asked, PLACE), found, stack)
    outside = outside_files(asked, found.base, compose)
    return replace(sources, document=active(document), changes=changes, outside=outside)


def settled(raw: Mapping[str, Any], found: Found, stack: Stack) -> tuple[dict[str, Any], tuple[Change, ...]]:
    """What Compose made of a stack's files as a document of ours, before policy; profiles stay named."""
    root = str(found.base.resolve())

    def led(path: str) -> str:
        """Where the links of a path below the root lead, if that is out of the root; else the path itself."""
        if not path.startswith(f"{root}/"):
            return path
        real = os.path.realpath(path.replace("$$", "$"))
        inside = real == root or real.startswith(f"{root}/")
        return path if inside else real.replace("$", "$$")

    return settle(raw, root=root, named=lambda name: CONTAINER_NAME in stack.allow.get(name, ()), real=led)


def sources_of(found: Found, stack: Stack, given: Mapping[str, str]) -> ComposeSources:
    """The files of a stack by their paths, relative ones from the stack file's folder.

    Raises:
        StackFileError: One is missing.
    """
    folder = found.path.parent if found.path is not None else found.base
    files = [_there(folder / one, one, found, "compose") for one in stack.compose]
    env_files = [_there(folder / one, one, found, "env_file") for one in stack.env_file]
    variables = {name: _plain(setting.value) for name, setting in stack.variables.items()}
    return ComposeSources(
        files=tuple(map(str, files)),
        directory=str(files[0].parent),
        env_files=tuple(map(str, env_files)),
        variables={**variables, **given},
        profiles=stack.profiles,
    )


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _there(path: Path, written: str, found: Found, key: str) -> Path:
    path = path.expanduser()
    if not path.is_file():
        raise StackFileError(
            f"{found.source}: {key}: there is no file `{written}`",
            hint=f"it was looked for at {path}",
        )
    return path.resolve()


def default_files(folder: Path) -> tuple[Path, ...]:
    """What Compose would read in a folder: its file, and the override beside it; empty when there is none."""
    first = next((folder / name for name in DEFAULT_FILES if (folder / name).is_file()), None)
    if first is None:
        return ()
    override = next((folder / name for name in OVERRIDE_FILES if (folder / name).is_file()), None)
    return (first,) if override is None else (first, override)


def sources_from_files(files: Sequence[Path], profiles: Sequence[str] = ()) -> Sources:
    """A stack of compose files alone, called as they say, or as their folder.

    Raises:
        StackFileError: A file is missing or cannot be read.
    """
    paths = [path.absolute() for path in files]
    for path, written in zip(paths, files, strict=True):
        if not path.is_file():
            raise StackFileError(
                f"there is no compose file `{written}`", hint="name it with -f, or run this in its folder"
            )
    folder = paths[0].resolve().parent
    base = own_root(folder)
    name = stack_name(_said_name(paths), folder.name)
    found = Found(
        name=name,
        source=str(files[0]),
        text="",
        base=base,
        root=str(folder),
        shipped=False,
        path=paths[0],
    )
    stack = Stack(name=name, source=str(files[0]), compose=tuple(map(str, paths)), profiles=tuple(profiles))
    return Sources(found=found, stack=stack, folders={}, macros={})


def own_root(folder: Path) -> Path:
    """The folder that counts as the files' own: the repository that they are in, else their folder."""
    return next((one for one in (folder, *folder.parents) if (one / ".git").exists()), folder)


def plain_project(found: Found, stack: Stack, environ_name: str = "") -> str:
    """What plain Compose calls the project of a stack's files.

    As `COMPOSE_PROJECT_NAME` of the environment or of the env files says, else the files, else their folder.

    Args:
        environ_name: `COMPOSE_PROJECT_NAME` of the caller's environment.

    Raises:
        StackFileError: A file is missing.
    """
    asked = sources_of(found, stack, {})
    files = [Path(one) for one in asked.files]
    env_files = [Path(one) for one in asked.env_files] or [Path(asked.directory, ".env")]
    said = (_env_name(one) for one in reversed(env_files) if one.is_file())
    named = environ_name or next((name for name in said if name), "")
    return stack_name(named or _said_name(files), files[0].parent.name)


def _env_name(file: Path) -> str:
    """The project's name that an env file says; empty where it says none, or one that is interpolated."""
    try:
        said = _PROJECT_NAME.findall(read_text(file))
    except StackFileError:
        return ""
    return said[-1][1] if said else ""


def _said_name(files: Sequence[Path]) -> str:
    """The `name:` at the top of the files, the last one that has it; empty where it is none or a variable."""
    from stackctl.core.documents import load
    from stackctl.core.errors import StackctlError

    said = ""
    for file in files:
        try:
            data = load(read_text(file), source=str(file)).data
        except StackctlError:
            continue  # Compose says what is wrong with it
        name = data.get("name") if isinstance(data, dict) else None
        if isinstance(name, str) and "$" not in name:
            said = name
    return said


def files_here(folder: Path) -> tuple[Path, ...]:
    """The compose files of a folder.

    Raises:
        UnknownName: There is none.
    """
    found = default_files(folder)
    if not found:
        raise UnknownName(
            "which environment? there is no compose file in this folder",
            hint=f"name a stack (`stackctl list --stacks`), or a file with -f; looked for: "
            f"{', '.join(DEFAULT_FILES)}",
        )
    return found
