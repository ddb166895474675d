"""`lock`: the images and inputs of a stack written down, so that every machine runs the same."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackctl.cli.choosing import Chosen, compose_reader, prepared_choice
from stackctl.cli.command import command
from stackctl.core.errors import UsageError

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.core.lockfile import Stale
    from stackctl.ops.locking import Locked
    from stackctl.ops.preparing import Prepared

_NO_NAME = frozenset(":/.@")
"""What a stack's name never has in it, and most images do."""


@command("lock")
@click.argument("name", metavar="[NAME]", required=False)
@click.argument("images", metavar="[IMAGE]...", nargs=-1)
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Lock this compose file; again for more.",
)
@click.option("--profile", "profiles", multiple=True, metavar="NAME", help="With compose files: a profile.")
@click.option(
    "--set", "given", multiple=True, metavar="NAME=VALUE", help="Set a variable (sidecar.name too)."
)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when the lock is missing or stale.")
@click.option("--update", is_flag=True, help="Ask for the digests anew, of IMAGE or of all.")
def lock_command(
    session: Session,
    name: str | None,
    images: Sequence[str],
    files: Sequence[Path],
    profiles: Sequence[str],
    given: Sequence[str],
    check: bool,
    update: bool,
) -> int:
    """Write the digest of every image of a stack, and hashes of what it is made from, beside its file.

    `up`, `render` and `diff` use the lock. Digests that stand in it stay until --update; without NAME, the
    compose file of this folder is locked, or those that -f names.
    """
    if name is not None and (files or _NO_NAME & set(name)):
        images, name = (name, *images), None
    if images and not update:
        raise UsageError(f"`{images[0]}` goes with --update", hint="`stackctl lock NAME --update IMAGE`")
    if check and update:
        raise UsageError("--check goes without --update", hint="--check writes nothing")
    prepared = prepared_choice(session, Chosen(name, tuple(files), tuple(profiles)), given)
    if check:
        return _check(session, prepared)
    _write(session, prepared, images if update else None)
    return 0


def _write(session: Session, prepared: Prepared, update: Sequence[str] | None) -> None:
    from stackctl import __version__
    from stackctl.cli.progress import progress_for
    from stackctl.ops.locking import lock, pins_by_name

    done = lock(
        prepared,
        engine=session.engine,
        progress=progress_for(session.output),
        configuration=session.configuration,
        compose=compose_reader(session),
        version=__version__,
        update=update,
    )
    session.output.result(
        {
            "lock": done.path,
            "written": done.written,
            "asked": list(done.asked),
            "images": pins_by_name(done.lock.images),
            "built": dict(done.lock.built),
        }
    )
    session.output.line(_sentence(done))
    if not session.output.json and session.output.verbosity > 0:
        rows = [(image, pin.digest, pin.origin) for image, pin in done.lock.images.items()]
        session.output.table(("IMAGE", "DIGEST", "FROM"), rows)


def _sentence(done: Locked) -> str:
    from stackctl.cli.words import plural

    if not done.written:
        return f"{done.path} is up to date: nothing has changed"
    kept = len(done.lock.images) - len(done.asked)
    parts = [f"{plural(len(done.asked), 'digest')} asked for"] + ([f"{kept} kept"] if kept else [])
    built = [f"{len(done.lock.built)} built here, without a digest"] if done.lock.built else []
    return f"wrote {done.path}: {', '.join((*parts, *built))}"


def _check(session: Session, prepared: Prepared) -> int:
    from stackctl.ops.lock_files import shown_lock

    path, found = shown_lock(prepared.found), _stale_things(session, prepared)
    missing = prepared.lock is None
    holds = not missing and not found
    session.output.result(
        {
            "lock": path,
            "missing": missing,
            "stale": [{"kind": one.kind, "name": one.name, "what": one.what} for one in found],
        },
        ok=holds,
    )
    session.output.line(f"{path} is missing" if missing else f"{path} {'holds' if holds else 'is stale'}")
    for one in found:
        session.output.line(f"  {one}")
    if not holds:
        session.output.note(f"next: {lock_words(prepared)}")
    return 0 if holds else 1


def _stale_things(session: Session, prepared: Prepared) -> tuple[Stale, ...]:
    if prepared.lock is None:
        return ()
    from stackctl import __version__
    from stackctl.ops.locking import staleness

    return staleness(
        prepared,
        configuration=session.configuration,
        compose=compose_reader(session),
        version=__version__,
    )


def heed_lock(session: Session, prepared: Prepared, frozen: bool) -> None:
    """Warn of a stale lock; with `--frozen`, refuse one, and a missing one.

    Raises:
        PolicyError: With `frozen`, as `ops.locking.heed`.
    """
    if prepared.lock is None and not frozen:
        return
    from stackctl import __version__
    from stackctl.cli.progress import progress_for
    from stackctl.ops.locking import heed

    heed(
        prepared,
        frozen,
        progress=progress_for(session.output),
        configuration=session.configuration,
        compose=compose_reader(session),
        version=__version__,
        again=lock_words(prepared),
    )


def lock_words(prepared: Prepared) -> str:
    """The command that locks what was prepared."""
    if prepared.found.text:
        return f"stackctl lock {prepared.stack.name}"
    return " ".join(["stackctl lock", *(f"-f {os.path.relpath(one)}" for one in prepared.stack.compose)])
