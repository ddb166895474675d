"""`lint`: a stack, or people's own compose files, against the policy; nothing is started."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stackctl.cli.choosing import compose_reader, prepared_stack
from stackctl.cli.command import command
from stackctl.cli.values import settings
from stackctl.core.errors import PolicyError, UsageError

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.core.errors import Problem
    from stackctl.core.rules import Change
    from stackctl.ops.linting import Words


@command("lint")
@click.argument("name", metavar="[NAME]", required=False)
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Check this compose file instead; again for more.",
)
@click.option("--profile", "profiles", multiple=True, metavar="NAME", help="Only this profile (all of them).")
@click.option(
    "--set", "given", multiple=True, metavar="NAME=VALUE", help="Set a variable (sidecar.name too)."
)
@click.option(
    "--write-allow", "write", is_flag=True, help="Write what it needs of `allow:` into its stack file."
)
def lint_command(
    session: Session,
    name: str | None,
    files: Sequence[Path],
    profiles: Sequence[str],
    given: Sequence[str],
    write: bool,
) -> int:
    """Check a stack, or compose files, against the policy: every problem at once, exit 3.

    Without NAME, the compose file of this folder. Compose reads the files, so what they include, extend and
    interpolate counts; no engine is needed. --write-allow writes into the stack file of the compose files,
    or into a new one, and changes nothing else in it.
    """
    if name and (files or profiles):
        raise UsageError("name a stack, or a compose file with -f", hint="`stackctl list --stacks`")
    if not name:
        return _lint_files(session, files, profiles, given, write)
    if write:
        return _write_named(session, name, given)
    prepared = prepared_stack(session, name, "", given)
    _tell(session, prepared.found.source, prepared.bounded.changes)
    return 0


def _tell(session: Session, what: str, changes: Sequence[Change]) -> None:
    rows = [(c.path, c.what, c.reason) for c in changes]
    plain = [{"path": c.path, "what": c.what, "reason": c.reason} for c in changes]
    session.output.result({"source": what, "changes": plain})
    session.output.line(f"{what}: nothing to refuse, {len(changes)} things are laid over it")
    if session.output.verbosity > 0 and not session.output.json:
        session.output.table(("PATH", "WHAT", "WHY"), rows)


def _lint_files(
    session: Session, files: Sequence[Path], profiles: Sequence[str], given: Sequence[str], write: bool
) -> int:
    from stackctl.ops.bounding import EVERY_PROFILE
    from stackctl.ops.composing import files_here, sources_from_files
    from stackctl.ops.linting import lint_files

    chosen = files or files_here(Path.cwd())
    found = lint_files(
        sources_from_files(chosen),
        compose_reader(session),
        session.configuration,
        session.machine,
        given=settings(given, "--set"),
        profiles=profiles or EVERY_PROFILE,
    )
    if found.problems and write:
        return _write_for_files(session, tuple(chosen), tuple(profiles), given, found.problems)
    if found.problems:
        hint = "`--write-allow` writes what each needs into a stack file, for review; else change the file"
        raise PolicyError(
            f"{_shown(chosen[0])} asks for what policy refuses", hint=hint, problems=found.problems
        )
    _tell(session, _shown(chosen[0]), found.changes)
    return 0


def _write_for_files(
    session: Session,
    files: tuple[Path, ...],
    profiles: tuple[str, ...],
    given: Sequence[str],
    problems: Sequence[Problem],
) -> int:
    """Into the stack file that these compose files have, else into a new one."""
    from stackctl.ops.composing import sources_from_files
    from stackctl.ops.linting import stacks_of_files
    from stackctl.ops.writing_stacks import NewComposeStack, new_compose_stack

    for problem in problems:
        session.output.note(f"  {problem}")
    there = stacks_of_files(files, session.places)
    if len(there) > 1:
        names = ", ".join(f"`{name}`" for name in there)
        hint = "name one: `stackctl lint NAME --write-allow`"
        raise UsageError(f"{names} are stacks of these compose files", hint=hint)
    if there:
        code = _write_named(session, there[0], given)
        _tell_inactive(session, there[0], problems)
        return code
    name = sources_from_files(files).found.name
    made = new_compose_stack(
        NewComposeStack(name=name, files=files, profiles=profiles, allowed=True),
        compose_reader(session),
        places=session.places,
        configuration=session.configuration,
        machine=session.machine,
    )
    code = _written(session, made.path, made.needed, made.problems, made=True)
    _tell_inactive(session, name, problems)
    return code


def _tell_inactive(session: Session, name: str, problems: Sequence[Problem]) -> None:
    """Say what of the files is still refused: that of services whose profile the stack does not have."""
    from stackctl.ops.bounding import with_words
    from stackctl.ops.preparing import read_sources

    allow = read_sources(name, session.places).stack.allow
    for service, words in with_words({}, problems).items():
        lacking = [word for word in words if word not in allow.get(service, ())]
        if lacking:
            session.output.warn(
                f"`{service}` is in no profile of the stack `{name}`; with its profile it needs "
                f"`allow: {{{service}: [{', '.join(lacking)}]}}`"
            )


def _write_named(session: Session, name: str, given: Sequence[str]) -> int:
    """Into the stack file of that name, what it lacks."""
    from stackctl.ops.linting import add_words, lacking_words
    from stackctl.ops.preparing import Request, read_sources, with_document

    request = Request(name=name, given=settings(given, "--set"))
    sources = with_document(read_sources(name, session.places), request, compose_reader(session))
    if sources.found.path is None or sources.found.shipped:
        raise UsageError(
            f"{sources.found.source} came with stackctl, and is not changed",
            hint=f"copy it to `stacks/{name}.yaml` of your repository first",
        )
    added, problems = lacking_words(sources, request, session.configuration, session.machine)
    add_words(sources.found.path, added)
    return _written(session, sources.found.path, added, problems)


def _written(
    session: Session, path: Path, added: Words, problems: Sequence[Problem], *, made: bool = False
) -> int:
    """Say what was written where; what no word mends is an error."""
    from stackctl.core.allow import ALLOW

    shown = _shown(path)
    data: dict[str, Any] = {"file": str(path), "added": {name: list(words) for name, words in added.items()}}
    session.output.result(data, ok=not problems)
    session.output.line(shown)
    if added and not session.output.json:
        rows = [(name, word, ALLOW[word]) for name, words in added.items() for word in words]
        session.output.table(("SERVICE", "ALLOW", "WHAT IT MAY THEN DO"), rows)
    if problems:
        raise PolicyError(f"{shown}: this is refused all the same", problems=tuple(problems))
    if not added and not made:
        session.output.note("nothing to write: it names every word already")
        return 0
    session.output.note(
        f"review it, then: stackctl up {path.stem if path.stem != 'stack' else path.parent.name}"
    )
    return 0


def _shown(path: Path) -> str:
    """A path as a person would type it here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
