"""Who sees to it that a supervisor watches: starts one where none is there, replaces an old or a hung one."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from stackctl import __version__
from stackctl.core.errors import StackctlError, TimedOut
from stackctl.core.heartbeat import version_key
from stackctl.core.supervision import DEFAULT_SUPERVISION
from stackctl.ops.standing import leave, standing

if TYPE_CHECKING:
    from stackctl.core.heartbeat import Standing
    from stackctl.core.stack import Configuration
    from stackctl.ops.protocols import Clock, Store

MANUAL = "STACKCTL_SUPERVISOR"
"""Environment variable that says `auto` or `manual` for one command, over the configuration."""


def is_automatic(environ: Mapping[str, str], configuration: Configuration) -> bool:
    """Whether a supervisor is started when there is none."""
    return (environ.get(MANUAL) or configuration.supervisor) != "manual"


def ensure_watched(
    store: Store, clock: Clock, environ: Mapping[str, str], *, warn: Callable[[str], None]
) -> None:
    """Start a supervisor in the background unless one is there; one of an older version is replaced.

    What cannot be started is a warning and no failure: the kernel's limits hold without it.

    Args:
        environ: What the supervisor is started with.
        warn: Called with one sentence where none could be started.
    """
    try:
        found = standing(store, clock)
        if found.alive:
            hung = found.stale and _hangs(store, clock)
            if not hung and not _older(found):
                return
            _replace(store, clock, hung)
        _start(store, environ)
    except (StackctlError, OSError) as error:
        warn(f"no supervisor could be started: {error}")


def take_over(store: Store, clock: Clock, environ: Mapping[str, str]) -> int:
    """Put a supervisor of this version in the place of the one that runs; the process id of that, 0 for none.

    Whatever its version is: after going back, the present one is the newer.

    Raises:
        StateError, TimedOut: As `leave`.
        OSError: None could be started.
    """
    found = standing(store, clock)
    if not found.alive:
        return 0
    _replace(store, clock, found.stale and _hangs(store, clock))
    _start(store, environ)
    return found.holder.pid if found.holder is not None else 0


def stop(store: Store, clock: Clock, patience: float) -> int:
    """Ask the supervisor to leave; its process id, 0 when there was none.

    Raises:
        StateError, TimedOut: As `leave`.
    """
    return leave(store, clock, _terminate, patience=patience)


def _hangs(store: Store, clock: Clock) -> bool:
    """Whether it gives no sign of life while one is waited for; after the host slept, it soon does."""
    until = clock.now().boottime + DEFAULT_SUPERVISION.second_look
    while standing(store, clock).stale:
        if clock.now().boottime >= until:
            return True
        clock.sleep(0.1)
    return False


def _replace(store: Store, clock: Clock, hung: bool) -> None:
    """Make an older or a hung supervisor leave; one that hangs is killed, since it remembers nothing.

    One that lives and could only not say so leaves in that time by itself.
    """
    patience = DEFAULT_SUPERVISION.handover
    try:
        leave(store, clock, _terminate, patience=patience)
    except TimedOut:
        if not hung:
            raise
        leave(store, clock, _kill, patience=patience)


def _older(found: Standing) -> bool:
    beat = found.beat
    known = beat is not None and found.holder is not None and beat.pid == found.holder.pid
    return known and beat is not None and version_key(beat.version) < version_key(__version__)


def _terminate(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _start(store: Store, environ: Mapping[str, str]) -> None:
    from stackctl.engine.detached import start

    argv = [sys.executable, "-m", "stackctl", "--home", str(store.home)]
    kept = {name: value for name, value in environ.items() if not name.startswith("STACKCTL_FAILPOINT")}
    start([*argv, "supervise", "--background"], kept)
