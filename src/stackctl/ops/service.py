"""Installs the supervisor as a systemd service, removes it and tells how it is; never a file of others."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from stackctl.core.errors import StackctlError, StateError
from stackctl.core.unit_file import UNIT_NAME, written_by_us
from stackctl.state.atomic import read_regular, write_atomic

if TYPE_CHECKING:
    from stackctl.core.unit_file import Scope
    from stackctl.engine.systemd import UnitState

SYSTEM_FOLDER = Path("/etc/systemd/system")
_LONGEST = 1 << 20
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class ServiceManager(Protocol):
    """What is asked of systemd; `stackctl.engine.systemd.Systemd` says what each raises."""

    def require(self) -> None: ...
    def check(self, text: str) -> tuple[str, ...]: ...
    def state(self) -> UnitState: ...
    def reload(self) -> None: ...
    def enable(self) -> None: ...
    def disable(self) -> None: ...
    def start(self) -> None: ...
    def restart(self) -> None: ...
    def lingers(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What `install` did.

    Args:
        written: The unit file is new or another one than before.
        state: How the unit is now.
        complaints: What `systemd-analyze verify` said of it; systemd ignores such lines.
        lingers: Whether it runs on when its user is logged out.
    """

    written: bool
    state: UnitState
    complaints: tuple[str, ...]
    lingers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """How the service is.

    Args:
        installed: Our unit file is in its place.
        foreign: A file that is not ours is in its place.
        state: What systemd says of it; None when nothing of ours is installed.
    """

    installed: bool
    foreign: bool = False
    state: UnitState | None = None

    @property
    def holds(self) -> bool:
        """False when it is installed and does not run, or somebody else's file is in its place."""
        return not self.foreign and (self.state is None or self.state.active == "active")


def unit_path(scope: Scope, environ: Mapping[str, str]) -> Path:
    """Where the unit file belongs (systemd.unit(5)).

    Args:
        scope: Whose manager reads it.
        environ: The environment of the command.
    """
    if scope == "system":
        return SYSTEM_FOLDER / UNIT_NAME
    configured = environ.get("XDG_CONFIG_HOME", "")
    folder = Path(configured) if configured.startswith("/") else Path.home() / ".config"
    return folder / "systemd" / "user" / UNIT_NAME


def install(
    path: Path,
    make_text: Callable[[], str],
    manager: ServiceManager,
    *,
    start: bool,
    stop_present: Callable[[], object],
) -> Installed:
    """Write the unit, let systemd read it, enable it and start it; a second time changes what differs.

    Args:
        path: The unit file.
        make_text: Makes what is to stand in it, once it is known that there is a systemd.
        manager: Whose unit it is.
        start: Also start it now, or restart it when it ran with another text.
        stop_present: Ends a supervisor that runs without systemd, whose lock the service needs.

    Raises:
        StackctlError: There is no systemd, somebody else's file is in the place, it may not be written, or
            systemd refused.
        TimedOut: systemd did not answer.
    """
    manager.require()
    text = make_text()
    written = _own_text(path) != text
    complaints = manager.check(text)
    if written:
        _write(path, text)
    manager.reload()
    _check_read(path, manager.state())
    manager.enable()
    if start:
        _start(manager, written, stop_present)
    return Installed(written=written, state=manager.state(), complaints=complaints, lingers=manager.lingers())


def uninstall(path: Path, manager: ServiceManager) -> bool:
    """Stop and disable the service and remove its unit file; whether there was one.

    Raises:
        StackctlError: As `install`.
        TimedOut: systemd did not answer.
    """
    if _own_text(path) is None:
        return False
    manager.require()
    manager.reload()
    manager.disable()
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable("remove", path, error) from error
    manager.reload()
    return True


def renew(path: Path, make_text: Callable[[str], str], manager: ServiceManager) -> bool:
    """Write our unit anew and restart it where it runs; one that was stopped or disabled stays so.

    Args:
        path: The unit file, for which `is_installed` holds.
        make_text: Makes what is to stand in it from what stands there.
        manager: Whose unit it is.

    Returns:
        Whether it runs.

    Raises:
        StackctlError: As `install`.
        TimedOut: systemd did not answer.
    """
    manager.require()
    before = _own_text(path) or ""
    text = make_text(before)
    if text != before:
        _write(path, text)
    manager.reload()
    _check_read(path, manager.state())
    runs = manager.state().active in ("active", "activating")
    if runs and text != before:
        manager.restart()
    return runs


def is_installed(path: Path) -> bool:
    """Whether our unit file is there; systemd is not asked."""
    try:
        return _own_text(path) is not None
    except _Foreign:
        return False


def service_status(path: Path, manager: ServiceManager) -> ServiceStatus:
    """How the service is; systemd is only asked when our file is there.

    Raises:
        StackctlError: There is no systemd, or it cannot be reached.
        TimedOut: systemd did not answer.
    """
    try:
        text = _own_text(path)
    except _Foreign:
        return ServiceStatus(installed=False, foreign=True)
    if text is None:
        return ServiceStatus(installed=False)
    manager.require()
    return ServiceStatus(installed=True, state=manager.state())


class _Foreign(StackctlError):
    """A file that stackctl did not write is where its unit belongs."""


def _own_text(path: Path) -> str | None:
    """What stands in our unit file; None when there is none.

    Raises:
        _Foreign: It is not ours.
    """
    if path.is_symlink():
        raise _foreign(path, f"`{path}` is a symbolic link, which stackctl never makes of it")
    try:
        data = read_regular(path, _LONGEST)
    except StateError as error:
        raise _foreign(path, error.message) from error
    if data is None:
        return None
    text = data.decode(errors="replace")
    if not written_by_us(text):
        raise _foreign(path, f"`{path}` is not a file that stackctl wrote")
    return text


def _foreign(path: Path, message: str) -> _Foreign:
    return _Foreign(message, hint=f"look at it, then move it away: `mv {path} {path}.old`")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.encode(), 0o644)
    except OSError as error:
        raise _unwritable("write", path, error) from error
    except StateError as error:
        cause = error.__cause__
        raise (_unwritable("write", path, cause) if isinstance(cause, OSError) else error) from error


def _unwritable(verb: str, path: Path, error: OSError) -> StackctlError:
    forbidden = error.errno in _FORBIDDEN
    hint = "use sudo, or --user for a service of your own" if forbidden else f"look at `{path.parent}`"
    return StackctlError(f"cannot {verb} `{path}`: {(error.strerror or str(error)).lower()}", hint=hint)


def _check_read(path: Path, state: UnitState) -> None:
    """Make sure that it is our file that systemd reads, and no other one of that name."""
    if state.fragment and Path(state.fragment).resolve() == path.resolve():
        return
    instead = f"it reads `{state.fragment}`" if state.fragment else f"to it the unit is {state.load}"
    raise StackctlError(
        f"systemd does not read `{path}`: {instead}",
        hint="`systemctl cat` and `systemd-analyze unit-paths`, for a user's manager both with --user, show "
        "what it reads",
    )


def _start(manager: ServiceManager, written: bool, stop_present: Callable[[], object]) -> None:
    if manager.state().active != "active":
        stop_present()
        manager.start()
    elif written:
        manager.restart()
