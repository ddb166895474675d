"""`bound`: a compose file as it would run, each change with its reason; nothing is started."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackctl.cli.command import command
from stackctl.core.errors import PolicyError

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.ops.bounding import Look


@command("bound")
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@click.option("--profile", "profiles", multiple=True, metavar="NAME", help="Only this profile (all of them).")
@click.option("--explain", is_flag=True, help="Print each change with its reason instead.")
@click.option("--allow-all", "everything", is_flag=True, help="Bound without refusing, for a look.")
def bound_command(
    session: Session, files: Sequence[Path], profiles: Sequence[str], explain: bool, everything: bool
) -> None:
    """Print compose files as they would run: bounded, labelled, with nothing else about them changed.

    Without FILE, those of this folder. What policy refuses is an error that names every word of `allow:`
    that would let it stand.
    """
    from stackctl.cli.choosing import compose_reader
    from stackctl.ops.bounding import EVERY_PROFILE, look_at
    from stackctl.ops.composing import files_here, sources_from_files
    from stackctl.ops.linting import located_in

    chosen = files or files_here(Path.cwd())
    sources = sources_from_files(chosen)
    found = look_at(
        sources,
        compose_reader(session),
        session.configuration,
        session.machine,
        profiles=profiles or EVERY_PROFILE,
    )
    if found.refused and not everything:
        raise PolicyError(
            f"{chosen[0]} asks for what policy refuses",
            hint="`--allow-all` bounds it for a look"
            + ("; a stack file allows it by name" if found.needed else ""),
            problems=located_in(found.refused, sources),
        )
    _tell(session, found, explain)


def _tell(session: Session, found: Look, explain: bool) -> None:
    from stackctl.core.explaining import remedy_for

    changes = [
        {"path": c.path, "what": c.what, "reason": c.reason, "remedy": remedy_for(c)}
        for c in found.bounded.changes
    ]
    allow = {service: list(words) for service, words in found.needed.items()}
    session.output.result({"document": found.bounded.document, "changes": changes, "allow": allow})
    if session.output.json:
        return
    if not explain:
        session.output.line(found.text.rstrip("\n"))
        return
    _explain(session, found)
    for service, words in found.needed.items():
        session.output.note(f"it needs `allow: {{{service}: [{', '.join(words)}]}}` in a stack file")


def _explain(session: Session, found: Look) -> None:
    from stackctl.core.explaining import explained

    for one in explained(found.bounded.changes):
        session.output.line(f"{one.key}: {one.what}")
        session.output.line(f"  why        {one.reason}")
        if one.remedy:
            session.output.line(f"  otherwise  {one.remedy}")
        session.output.line(f"  where      {', '.join(one.places)}")
