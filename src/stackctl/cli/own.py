"""`self`: what becomes of the installed program: newer, as before, gone, or looked over."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stackctl import __version__
from stackctl.cli.command import command
from stackctl.cli.commands import OWN_ACTIONS
from stackctl.core.errors import Busy, StackctlError, UsageError

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.ops.uninstalling import Belongings
    from stackctl.state.installation import Installation

_HIDDEN = ("handover",)
"""What install.sh asks of the version that it has just installed."""
_OPTIONS = {
    "update": {"version", "base_url", "dry_run", "yes"},
    "rollback": {"dry_run", "yes"},
    "uninstall": {"dry_run", "yes", "force"},
}
_WAIT = 60.0


def _action(word: str) -> str:
    if word not in (*OWN_ACTIONS, *_HIDDEN):
        raise click.BadParameter(f"{word!r} is not one of {', '.join(map(repr, OWN_ACTIONS))}")
    return word


@command("self")
@click.argument("action", metavar=f"[{'|'.join(OWN_ACTIONS)}]", type=_action)
@click.option("--version", "version", metavar="X", help="Update to that version instead of the newest.")
@click.option("--base-url", metavar="URL", help="Update from there instead of where it came from.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--force", is_flag=True, help="Uninstall although environments run.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def self_command(session: Session, action: str, **given: Any) -> int:
    """Update, take back, remove or look over the installed stackctl. Stacks and their data stay.

    `update` fetches the newest install.sh from where this one came from, checks it and runs it; the running
    supervisor is taken over by the new version. `rollback` goes back to the version before. `uninstall`
    removes what the installer made and nothing else. `doctor` ends with 1 when the installation is not whole.
    """
    named = sorted(name for name, value in given.items() if value)
    foreign = [name for name in named if name not in _OPTIONS.get(action, set())]
    if foreign:
        words = f"--{foreign[0].replace('_', '-')}"
        raise UsageError(f"{words} does not go with `{action}`", hint="leave it out")
    if action == "handover":
        return _hand_over(session)
    installation = _own_installation(action)
    if action == "update":
        return _update(session, installation, given["version"], given["base_url"], given["dry_run"])
    if action == "rollback":
        return _roll_back(session, installation, given["dry_run"])
    if action == "uninstall":
        return _uninstall(session, installation, given["dry_run"], given["force"], given["yes"])
    return _look_over(session, installation)


def _own_installation(action: str) -> Installation:
    from stackctl.ops.installed import advice
    from stackctl.state.installation import installation_of

    found = installation_of(Path(sys.prefix))
    if found is None:
        import stackctl

        tool = advice(Path(sys.prefix), Path(stackctl.__file__).parent, action)
        what = f"this stackctl was not installed by install.sh: `{sys.prefix}`"
        raise UsageError(what, hint=f"use `{tool}`")
    return found


def _update(
    session: Session, installation: Installation, wanted: str | None, base_url: str | None, dry: bool
) -> int:
    import tempfile

    from stackctl.ops.updating import fetch_script, release_folder, run_script, version_of

    facts = installation.facts(installation.version_at("current"))
    version = (wanted or "").removeprefix("v")
    folder = release_folder(base_url or facts["base_url"], facts["version"], version)
    script = fetch_script(folder, version)
    newest = version_of(script)
    data = {"from": facts["version"], "to": newest, "url": folder, "changed": newest != facts["version"]}
    session.output.result(data)
    if dry or not data["changed"]:
        words = "is what is installed" if not data["changed"] else f"would take the place of {__version__}"
        session.output.line(f"stackctl {newest} {words}")
        return 0
    session.output.note(f"stackctl {newest} takes the place of {facts['version']}: this takes a moment")
    with tempfile.TemporaryDirectory(prefix="stackctl-") as temporary:
        path = Path(temporary) / "install.sh"
        path.write_bytes(script)
        done = run_script(path, installation, folder, os.environ)
    for line in done.stderr.splitlines():
        session.output.note(line)
    if done.code != 0:
        error = StackctlError(f"the installer ended with {done.code}; stackctl {__version__} is as it was")
        error.details = tuple(done.stderr.splitlines()[-3:]) if session.output.verbosity < 0 else ()
        raise error
    session.output.line(f"stackctl {newest} is in use")
    return 0


def _roll_back(session: Session, installation: Installation, dry: bool) -> int:
    from stackctl.ops.uninstalling import name_before, roll_back

    if dry:
        before = name_before(installation)
        session.output.result({"from": installation.version_at("current"), "to": before})
        session.output.line(f"{before} would be used again")
        return 0
    with installation.locked(_WAIT):
        old, new = roll_back(installation, os.environ)
    session.output.result({"from": old, "to": new})
    _let_take_over(session, installation)
    session.output.line(f"stackctl {new} is in use again, {old} is kept")
    return 0


def _let_take_over(session: Session, installation: Installation) -> None:
    """The version that is in use now puts its own supervisor in the place of ours."""
    from stackctl.ops.installing import hand_over

    home = ("--home", session.output.home) if session.output.home else ()
    failed = hand_over(installation, os.environ, *home)
    if failed:
        session.output.warn(f"the supervisor was not handed over: {failed}")


def _hand_over(session: Session) -> int:
    """Replace the supervisor that runs, of whatever version, by one of ours."""
    from stackctl.cli.service import renew
    from stackctl.ops.keeping_watch import take_over

    if renew(session) or not _has_state(session):
        return 0
    pid = take_over(session.store, session.clock, os.environ)
    session.output.result({"replaced": pid})
    session.output.note(f"took over from the supervisor with pid {pid}" if pid else "no supervisor runs")
    return 0


def _has_state(session: Session) -> bool:
    return (_state_folder(session) / "environments").is_dir()


def _state_folder(session: Session) -> Path:
    from stackctl.state.layout import home_path

    return home_path(session.output.home, os.environ)


def _uninstall(session: Session, installation: Installation, dry: bool, force: bool, yes: bool) -> int:
    from stackctl.ops.uninstalling import belongings, live_environments, uninstall

    made = belongings(installation)
    live = live_environments(session.store) if _has_state(session) else ()
    if dry:
        session.output.result({"prefix": str(installation.prefix), "live": list(live), **_plain(made)})
        for line in _lines(made, installation):
            session.output.line(line)
        return 0
    if live and not force:
        hint = "`stackctl down` ends them; --force leaves them running, within their limits, without a watch"
        raise Busy(f"still running: {', '.join(live)}", hint=hint)
    if not yes and sys.stdin.isatty():
        click.confirm(f"Remove stackctl from {installation.prefix}?", abort=True, err=True)
    kept_state = _state_folder(session) if _has_state(session) else None
    _end_watch(session)
    _load_the_rest()
    with installation.locked(_WAIT):
        kept = uninstall(installation)
    for sentence in kept:
        session.output.warn(sentence)
    data = {"prefix": str(installation.prefix), "kept": list(kept), **_plain(made)}
    session.output.result(data, ok=not kept)
    session.output.line(f"stackctl {__version__} is gone; stacks stay as they are")
    if kept_state:
        session.output.line(f"kept: {kept_state}, the state directory with the data of stacks")
    return 1 if kept else 0


def _load_the_rest() -> None:
    """What is loaded at a command's end, while its files are still there."""
    import json
    import traceback

    import stackctl.ops.lifetimes

    _ = (json, traceback, stackctl.ops.lifetimes)


def _end_watch(session: Session) -> None:
    """Nothing may run on from files that are about to go."""
    from stackctl.cli.service import remove
    from stackctl.cli.supervising import STOP_SECONDS
    from stackctl.ops.keeping_watch import stop

    remove(session)
    if _has_state(session):
        stop(session.store, session.clock, STOP_SECONDS)


def _plain(made: Belongings) -> dict[str, Any]:
    return {
        "blocks": [str(path) for path in made.blocks],
        "files": [str(path) for path in made.files],
        "versions": list(made.versions),
        "folders": [str(path) for path in made.folders],
    }


def _lines(made: Belongings, installation: Installation) -> list[str]:
    lines = [f"would take our block out of {path}" for path in made.blocks]
    lines += [f"would remove {path}" for path in made.files]
    lines += [f"would remove {installation.folder_of(name)}" for name in made.versions]
    return lines + [f"would remove {path} when it is empty" for path in made.folders]


def _look_over(session: Session, installation: Installation) -> int:
    from dataclasses import asdict

    from stackctl.cli.health import lines
    from stackctl.ops.installed import examine

    checks = examine(installation, os.environ)
    whole = all(one.state != "failed" for one in checks)
    session.output.result({"whole": whole, "checks": [asdict(one) for one in checks]}, ok=whole)
    for line in lines(checks, session.output):
        session.output.line(line)
    return 0 if whole else 1
