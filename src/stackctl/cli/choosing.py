"""What a command line means: a stack by its name, compose files, or those of this folder; made ready."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.cli.values import limit_layer, settings
from stackctl.core.errors import UnknownName, UsageError
from stackctl.ops.preparing import Prepared, Request, prepare

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.core.composefiles import Reader
    from stackctl.ops.preparing import Sources


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a command line means: a stack by its name, compose files, or those of this folder."""

    name: str | None
    files: tuple[Path, ...] = ()
    profiles: tuple[str, ...] = ()
    instance: str = ""


def prepared_choice(
    session: Session,
    chosen: Chosen,
    given: Sequence[str],
    limits: Sequence[str] = (),
    lifetime: str | None = None,
    meanwhile: Callable[[str], None] | None = None,
) -> Prepared:
    """The stack or the compose files that the command line means, rendered and bounded.

    Without either it is this folder's compose file: the stack that has exactly it, where there is one, since
    limits and `allow:` were written there for it.

    Raises:
        UsageError: Both a name and files were given.
        UsageError, PolicyError: As `prepare`.
    """
    if chosen.name is not None and (chosen.files or chosen.profiles):
        option = "--file" if chosen.files else "--profile"
        raise UsageError(
            f"{option} goes without a stack's name",
            hint="a stack file has `compose:` and `profiles:` of its own",
        )
    if chosen.name is not None:
        return prepared_stack(session, chosen.name, chosen.instance, given, limits, lifetime, meanwhile)
    from stackctl.ops.composing import files_here, sources_from_files

    files = chosen.files or files_here(Path.cwd())
    stack = None if chosen.files or chosen.profiles else _only_stack(session, files)
    if stack is not None:
        session.output.note(f"`{stack}` is the stack of this folder's compose file (-f takes it as it is)")
        return prepared_stack(session, stack, chosen.instance, given, limits, lifetime, meanwhile)
    sources = sources_from_files(files, chosen.profiles)
    request = Request(
        name=sources.found.name,
        instance=chosen.instance,
        given=settings(given, "--set"),
        limits=limit_layer(limits, lifetime),
    )
    return _prepared_files(session, sources, request, meanwhile)


def _only_stack(session: Session, files: Sequence[Path]) -> str | None:
    """The one stack of this checkout that has exactly these compose files; None where there is none.

    Raises:
        UsageError: There are several.
    """
    from stackctl.ops.linting import stacks_of_files

    names = stacks_of_files(files, session.places)
    if len(names) > 1:
        listed = ", ".join(f"`{name}`" for name in sorted(names))
        hint = (
            f"name one; `-f {files[0].name}` takes the file as it is, without `limits` and `allow` of a stack"
        )
        raise UsageError(f"{listed} are stacks of this folder's compose file", hint=hint)
    return names[0] if names else None


def _prepared_files(
    session: Session, sources: Sources, request: Request, meanwhile: Callable[[str], None] | None
) -> Prepared:
    from stackctl.ops.preparing import prepare_sources, project_of, with_document

    if meanwhile is not None:
        meanwhile(project_of(sources, request))
    return prepare_sources(
        with_document(sources, request, compose_reader(session)),
        request,
        configuration=session.configuration,
        machine=session.machine,
    )


def compose_reader(session: Session) -> Reader:
    """Has Compose read people's own files: with `.env` and our environment, as it would by itself."""
    from stackctl.ops.reading_compose import reader

    return reader(lambda: session.engine, os.environ)


def prepared_stack(
    session: Session,
    name: str,
    instance: str,
    given: Sequence[str],
    limits: Sequence[str] = (),
    lifetime: str | None = None,
    meanwhile: Callable[[str], None] | None = None,
) -> Prepared:
    """The stack that the options describe, rendered and bounded.

    Where there is no stack of that name, the compose files of this folder may be called so.

    Args:
        meanwhile: Called with the project's name while it is rendered.

    Raises:
        UsageError, PolicyError: As `prepare`.
    """
    request = Request(
        name=name, instance=instance, given=settings(given, "--set"), limits=limit_layer(limits, lifetime)
    )
    try:
        return prepare(
            request,
            places=session.places,
            configuration=session.configuration,
            machine=session.machine,
            compose=compose_reader(session),
            meanwhile=meanwhile,
        )
    except UnknownName:
        sources = _files_called(name)
        if sources is None:
            raise
        return _prepared_files(session, sources, request, meanwhile)


def _files_called(name: str) -> Sources | None:
    """The compose files of this folder, if an environment of theirs has that name."""
    from stackctl.ops.composing import default_files, sources_from_files

    files = default_files(Path.cwd())
    sources = sources_from_files(files) if files else None
    return sources if sources is not None and sources.found.name == name else None
