"""A stack file for people's own compose files: written anew, with what policy needs named in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.errors import StackFileError
from stackctl.core.names import check_name
from stackctl.core.stackfile import parse_stack
from stackctl.core.stacktext import compose_text
from stackctl.ops.authoring import check_free, stacks_folder, write_new
from stackctl.ops.finding import Found, Places, stack_files
from stackctl.ops.linting import Words, lacking_words
from stackctl.ops.preparing import Request, Sources, with_document

if TYPE_CHECKING:
    from stackctl.core.composefiles import Reader
    from stackctl.core.errors import Problem
    from stackctl.core.stack import Configuration, MachinePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class NewComposeStack:
    """What `new --from` was asked for.

    Args:
        files: The compose files, later ones over earlier ones.
        profiles: Those that are active.
        allowed: Write the words that policy needs so that they count, not as a comment.
        force: Replace a file that is there.
    """

    name: str
    files: tuple[Path, ...]
    profiles: tuple[str, ...] = ()
    allowed: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenComposeStack:
    """A stack file that was written.

    Args:
        needed: Service -> the words without which policy refuses it; they stand in the file.
        problems: What no word allows.
        hides: A stack of the same name that it now stands before.
    """

    path: Path
    needed: Words
    problems: tuple[Problem, ...]
    replaced: bool
    hides: Path | None


def new_compose_stack(
    asked: NewComposeStack,
    compose: Reader,
    *,
    places: Places,
    configuration: Configuration,
    machine: MachinePolicy,
) -> WrittenComposeStack:
    """Write `stacks/NAME.yaml` for compose files, in the nearest `stacks/` or in `./stacks`.

    Raises:
        UsageError: The name is wrong, a file is missing, or the stack is there already.
        EngineRefused: Compose does not accept the files.
        StackctlError: It cannot be written.
    """
    check_name(asked.name)
    for file in asked.files:
        if not file.is_file():
            raise StackFileError(f"there is no compose file `{file}`", hint="name it as --from sees it here")
    path = check_free(asked.name, stacks_folder(places), force=asked.force)
    names = [os.path.relpath(file.absolute(), path.parent) for file in asked.files]
    sources = _sources(asked, path, compose_text(asked.name, names, profiles=asked.profiles))
    request = Request(name=asked.name)
    needed, problems = lacking_words(
        with_document(sources, request, compose), request, configuration, machine
    )
    text = compose_text(asked.name, names, profiles=asked.profiles, allow=needed, allowed=asked.allowed)
    before, replaced = stack_files(places).get(asked.name), path.exists()
    write_new(path, text, force=asked.force)
    hides = before if before and before != path else None
    return WrittenComposeStack(path=path, needed=needed, problems=problems, replaced=replaced, hides=hides)


def _sources(asked: NewComposeStack, path: Path, text: str) -> Sources:
    """The stack as its file will say it; its folder need not be there yet, so paths are absolute."""
    base = path.parent.parent
    found = Found(name=asked.name, source=str(path), text=text, base=base, root=str(base), shipped=False)
    stack = parse_stack(text, name=asked.name, source=str(path))
    files: Sequence[str] = [str(file.absolute()) for file in asked.files]
    return Sources(found=found, stack=replace(stack, compose=tuple(files)), folders={}, macros={})
