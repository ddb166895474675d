"""`service`: the supervisor as a systemd service, of this user or of the machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stackctl.cli.command import command
from stackctl.cli.commands import SERVICE_ACTIONS
from stackctl.core.errors import UsageError

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.core.unit_file import Scope
    from stackctl.engine.systemd import UnitState
    from stackctl.ops.service import Installed, ServiceStatus

PROGRAM = ("-m", "stackctl", "supervise")


@command("service")
@click.argument("action", metavar="[install|uninstall|status]", type=click.Choice(SERVICE_ACTIONS))
@click.option("--user", "scope", flag_value="user", help="The service of this user, the default unless root.")
@click.option("--system", "scope", flag_value="system", help="The service of the machine, root's default.")
@click.option(
    "--now/--no-start", "start", default=None, help="Start it at once (the default), or only enable it."
)
@click.option(
    "--print", "show", is_flag=True, help="Print the unit file that `install` would write, do nothing."
)
def service_command(session: Session, action: str, scope: str | None, start: bool | None, show: bool) -> int:
    """Run the supervisor as a systemd service, which starts it again whatever ends it.

    `install` writes the unit file, enables and starts it; `uninstall` stops and removes it, stacks run on;
    `status` ends with 1 when it is installed and does not run.
    """
    if action != "install" and (show or start is not None):
        raise UsageError(f"--print, --now and --no-start do not go with `{action}`", hint="leave them out")
    chosen: Scope = _scope(scope)
    if show:
        _print(session, chosen)
    elif action == "install":
        _install(session, chosen, start is not False)
    elif action == "uninstall":
        _uninstall(session, chosen)
    else:
        return _status(session, chosen)
    return 0


def _scope(given: str | None) -> Scope:
    return "system" if given == "system" or (given is None and os.geteuid() == 0) else "user"


def _print(session: Session, scope: Scope) -> None:
    from stackctl.core.unit_file import chosen_environment
    from stackctl.ops.service import unit_path
    from stackctl.state.layout import home_path

    home = home_path(session.output.home, os.environ).resolve()
    text = _text(scope, str(home), chosen_environment(os.environ, scope))
    path = str(unit_path(scope, os.environ))
    session.output.result({"scope": scope, "path": path, "unit": text})
    session.output.line(text.rstrip("\n"))


def _install(session: Session, scope: Scope, start: bool) -> None:
    from stackctl.cli.supervising import STOP_SECONDS
    from stackctl.core.unit_file import chosen_environment
    from stackctl.engine.systemd import Systemd
    from stackctl.ops.keeping_watch import stop
    from stackctl.ops.service import install, unit_path

    path = unit_path(scope, os.environ)
    done = install(
        path,
        lambda: _text(scope, str(session.store.home), chosen_environment(os.environ, scope)),
        Systemd(scope, os.environ, os.getuid()),
        start=start,
        stop_present=lambda: stop(session.store, session.clock, STOP_SECONDS),
    )
    session.output.result({"scope": scope, "path": str(path), **_installed(done)})
    for complaint in done.complaints:
        session.output.warn(f"systemd leaves out a line: {complaint}")
    if not done.lingers:
        session.output.warn(
            "it ends when you log out and starts when you log in; `loginctl enable-linger` lets it run on"
        )
    session.output.line(f"{path} {'written' if done.written else 'is as it should be'}")
    active = done.state.active == "active"
    how = f"runs, pid {done.state.main_pid}" if active else "is enabled and does not run"
    session.output.line(f"the supervisor {how}")


def renew(session: Session) -> bool:
    """Write the unit again, for this version, where one of ours is; whether it watches this state directory.

    Everything else in it stays as it was installed, whatever shell this is, and a stopped one stays stopped.

    Raises:
        StackctlError: As `service install`.
    """
    from stackctl.core.unit_file import settings_of
    from stackctl.engine.systemd import Systemd
    from stackctl.ops.service import is_installed, unit_path
    from stackctl.ops.service import renew as write_again
    from stackctl.state.layout import home_path

    scope = _scope(None)
    path = unit_path(scope, os.environ)
    if not is_installed(path):
        return False
    home = home_path(session.output.home, os.environ).resolve()
    watched, _ = settings_of(path.read_text(errors="replace"))
    runs = write_again(
        path, lambda text: _text(scope, *settings_of(text)), Systemd(scope, os.environ, os.getuid())
    )
    return runs and Path(watched) == home


def remove(session: Session) -> None:
    """Stop and remove the service where one of ours is.

    Raises:
        StackctlError: As `service uninstall`.
    """
    from stackctl.ops.service import is_installed, unit_path

    scope = _scope(None)
    if is_installed(unit_path(scope, os.environ)):
        _uninstall(session, scope)


def _uninstall(session: Session, scope: Scope) -> None:
    from stackctl.engine.systemd import Systemd
    from stackctl.ops.service import uninstall, unit_path

    path = unit_path(scope, os.environ)
    removed = uninstall(path, Systemd(scope, os.environ, os.getuid()))
    session.output.result({"scope": scope, "path": str(path), "removed": removed})
    if not removed:
        session.output.line(f"no {scope} service is installed: there is no {path}")
        return
    session.output.line(f"{path} removed")
    session.output.note("stacks run on; the next `stackctl up` starts a supervisor by itself")


def _status(session: Session, scope: Scope) -> int:
    from stackctl.engine.systemd import Systemd
    from stackctl.ops.service import service_status, unit_path

    path = unit_path(scope, os.environ)
    found = service_status(path, Systemd(scope, os.environ, os.getuid()))
    session.output.result({"scope": scope, "path": str(path), **_found(found)}, ok=found.holds)
    if found.state is not None:
        for line in _lines(found.state, path):
            session.output.line(line)
    elif found.foreign:
        session.output.line(f"no {scope} service is installed: {path} is not a file that stackctl wrote")
    else:
        session.output.line(f"no {scope} service is installed: there is no {path}")
    return 0 if found.holds else 1


def _text(scope: Scope, home: str, environment: Mapping[str, str]) -> str:
    from stackctl import __version__
    from stackctl.core.unit_file import UnitSpec, unit_text

    return unit_text(
        UnitSpec(
            scope=scope,
            program=(sys.executable, *PROGRAM),
            home=home,
            version=__version__,
            environment=environment,
        )
    )


def _installed(done: Installed) -> dict[str, Any]:
    return {
        "written": done.written,
        "lingers": done.lingers,
        "complaints": list(done.complaints),
        **_state(done.state),
    }


def _found(found: ServiceStatus) -> dict[str, Any]:
    state = _state(found.state) if found.state is not None else {}
    return {"installed": found.installed, "foreign": found.foreign, **state}


def _state(state: UnitState) -> dict[str, Any]:
    return {
        "enabled": state.enabled == "enabled",
        "active": state.active == "active",
        "state": f"{state.active} ({state.sub})",
        "result": state.result,
        "main_pid": state.main_pid or None,
        "since": _when(state.since),
        "restarts": state.restarts,
        "status": state.status,
    }


def _lines(state: UnitState, path: Path) -> list[str]:
    began = f", pid {state.main_pid} since {_when(state.since)}" if state.main_pid and state.since else ""
    ended = "" if state.result in ("", "success") else f", it ended last with {state.result}"
    lines = [f"installed  {path}", f"enabled    {'yes' if state.enabled == 'enabled' else 'no'}"]
    lines.append(f"state      {state.active} ({state.sub}){began}{ended}")
    lines += [f"restarts   {state.restarts}"] if state.restarts else []
    return [*lines, f"says       {state.status}"] if state.status else lines


def _when(seconds: float | None) -> str | None:
    from stackctl.state.journal import timestamp

    return None if seconds is None else timestamp(seconds)
