"""Checking people's own compose files against the policy, and writing down what they need of `allow:`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.documents import load
from stackctl.core.edits import with_words as text_with_words
from stackctl.core.errors import PolicyError, StackctlError
from stackctl.core.locations import included, located
from stackctl.ops.bounding import look_at, with_words
from stackctl.ops.finding import Places, read_text, stack_files
from stackctl.ops.preparing import prepare_sources
from stackctl.state.atomic import write_atomic

if TYPE_CHECKING:
    from stackctl.core.composefiles import Reader
    from stackctl.core.documents import Loaded
    from stackctl.core.errors import Problem
    from stackctl.core.rules import Change
    from stackctl.core.stack import Configuration, MachinePolicy
    from stackctl.ops.preparing import Request, Sources

MOST_FILES = 100
"""Files that lines are looked for in; Compose itself has read them all."""
Words = Mapping[str, tuple[str, ...]]
"""Service -> words of `allow:`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Linted:
    """What policy says of compose files.

    Args:
        problems: What it refuses, with file and line where they are known.
        changes: What it lays over them.
    """

    problems: tuple[Problem, ...]
    changes: tuple[Change, ...]


def lint_files(
    sources: Sources,
    compose: Reader,
    configuration: Configuration,
    machine: MachinePolicy,
    *,
    given: Mapping[str, str],
    profiles: Sequence[str],
) -> Linted:
    """Judge compose files as Compose reads them: merged, interpolated, with what they include and extend.

    Raises:
        StackFileError: A file is missing, or no service is in them.
        EngineRefused: Compose does not accept the files.
        PolicyError: The configuration asks for more than the machine's policy allows.
        DockerMissing, ComposeMissing: There is no Compose to read them.
    """
    look = look_at(sources, compose, configuration, machine, given=given, profiles=profiles)
    found = tuple(map(_with_word, located_in(look.refused, sources)))
    return Linted(problems=found, changes=look.bounded.changes)


def located_in(problems: Sequence[Problem], sources: Sources) -> tuple[Problem, ...]:
    """Problems of compose files with the file and line of each, where these are known."""
    folder = sources.found.path.parent if sources.found.path is not None else sources.found.base
    paths = ((folder / one).expanduser() for one in sources.stack.compose)
    files = _with_included(paths) if problems else ()
    return tuple(located(problem, files) for problem in problems)


def _with_included(paths: Iterable[Path]) -> tuple[Loaded, ...]:
    """The files with their lines, and those that they include by a plain path, each once."""
    found: dict[Path, Loaded | None] = {}

    def visit(path: Path) -> None:
        if path in found or len(found) == MOST_FILES:
            return
        loaded = found[path] = _loaded(path)
        for name in included(loaded.data) if loaded else ():
            visit((path.parent / name).resolve())

    for path in paths:
        visit(path.resolve())
    return tuple(one for one in found.values() if one is not None)


def _loaded(path: Path) -> Loaded | None:
    """A compose file with its lines; None for what only Compose can read, such as `!reset`."""
    try:
        return load(read_text(path), source=_shown(path))
    except StackctlError:
        return None


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _with_word(problem: Problem) -> Problem:
    """The problem with its word in the sentence, since of many hints nobody sees which is whose."""
    if not problem.word:
        return problem
    if "forbids" in problem.hint:
        return replace(problem, message=f"{problem.message} (`{problem.word}`, which this machine forbids)")
    return replace(problem, message=f"{problem.message} (allow: {problem.word})", hint="")


def lacking_words(
    sources: Sources, request: Request, configuration: Configuration, machine: MachinePolicy
) -> tuple[Words, tuple[Problem, ...]]:
    """What a stack's `allow:` must have more, so that policy lets it run, and what no word mends.

    Args:
        sources: With the document of its compose files.

    Raises:
        UsageError: The stack or a template is wrong.
    """
    allow: Words = dict(sources.stack.allow)
    while True:
        stack = replace(sources.stack, allow=allow)
        try:
            prepare_sources(
                replace(sources, stack=stack), request, configuration=configuration, machine=machine
            )
        except PolicyError as error:
            problems = error.problems
        else:
            problems = ()
        more = with_words(allow, [one for one in problems if one.word not in machine.forbidden])
        if {name: set(words) for name, words in more.items()} == {n: set(w) for n, w in allow.items()}:
            return _added(sources.stack.allow, allow), problems
        allow = more


def _added(before: Words, after: Words) -> Words:
    added = {name: tuple(w for w in words if w not in before.get(name, ())) for name, words in after.items()}
    return {name: words for name, words in added.items() if words}


def add_words(path: Path, added: Words) -> bool:
    """Write words into the `allow:` of a stack file, everything else in it kept; whether it was changed.

    Raises:
        StackFileError: It cannot be read, or not be changed safely.
        StateError: It cannot be written.
    """
    text = after = read_text(path)
    for service, words in added.items():
        after = text_with_words(after, ("allow", service), words, source=str(path))
    if after == text:
        return False
    write_edited(path, after)
    return True


def write_edited(path: Path, text: str) -> None:
    """Replace a stack file's text, a link's target rather than the link; its mode stays.

    Raises:
        StateError: It cannot be written.
    """
    real = path.resolve()
    write_atomic(real, text.encode(), real.stat().st_mode & 0o777)


def stacks_of_files(files: Sequence[Path], places: Places) -> tuple[str, ...]:
    """Names of the stacks of this checkout that have exactly these compose files."""
    wanted = [str(file.resolve()) for file in files]
    return tuple(
        name
        for name, path in stack_files(places).items()
        if any(path.is_relative_to(base) for base in places.checkout) and _compose_of(path) == wanted
    )


def _compose_of(path: Path) -> list[str]:
    loaded = _loaded(path)
    named = loaded.data.get("compose") if loaded and isinstance(loaded.data, dict) else None
    words = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    return [str((path.parent / word).expanduser().resolve()) for word in words if isinstance(word, str)]
