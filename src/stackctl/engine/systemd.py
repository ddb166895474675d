"""The only door to systemd: one unit of one manager, asked and told through its own commands."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.errors import StackctlError
from stackctl.core.unit_file import UNIT_NAME
from stackctl.engine.endpoint import find_program
from stackctl.engine.process import Completed, run, scrubbed_environment

if TYPE_CHECKING:
    from stackctl.core.unit_file import Scope

BOOTED = Path("/run/systemd/system")
"""There when systemd is the init of this machine: sd_booted(3)."""
ANSWER_SECONDS = 30.0
START_SECONDS = 150.0
"""Above the 90 s that systemd gives a unit to start, and the time to stop its predecessor."""

_PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "FragmentPath",
    "MainPID",
    "NRestarts",
    "StatusText",
    "Result",
    "ActiveEnterTimestamp",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitState:
    """What a manager says of a unit, in its own words.

    Args:
        load: `loaded`, `not-found`, `masked`, ...
        active: `active`, `activating`, `inactive`, `failed`, ...
        sub: The same, closer: `running`, `auto-restart`, `dead`, ...
        enabled: `enabled`, `disabled`, empty for a unit without a file.
        fragment: The unit file that it read, empty for none.
        main_pid: Its main process, 0 for none.
        restarts: How often systemd restarted it by itself.
        status: What the service said of itself.
        result: Why it ended: `success`, `watchdog`, `oom-kill`, `exit-code`, ...
        since: When it became active, seconds since the epoch; None while it never was.
    """

    load: str
    active: str
    sub: str
    enabled: str
    fragment: str
    main_pid: int
    restarts: int
    status: str
    result: str
    since: float | None


class Systemd:
    """The system's manager, or that of the calling user.

    Args:
        scope: Which of the two.
        environ: The environment of the caller; a missing XDG_RUNTIME_DIR, as after `su`, is filled in.
        uid: The caller.
        booted: The folder that tells whether systemd runs.
    """

    def __init__(self, scope: Scope, environ: Mapping[str, str], uid: int, *, booted: Path = BOOTED) -> None:
        self._scope, self._uid, self._booted = scope, uid, booted
        runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
        plain = {"LC_ALL": "C", "TZ": "UTC", "SYSTEMD_COLORS": "0", "SYSTEMD_LOG_LEVEL": "warning"}
        self._environ = {**scrubbed_environment(environ), **plain, "XDG_RUNTIME_DIR": runtime}

    def require(self) -> None:
        """Make sure that there is a systemd to talk to.

        Raises:
            StackctlError: There is no systemctl, or systemd is not what this machine was booted with.
        """
        missing = not find_program("systemctl", self._environ)
        if missing or not self._booted.is_dir():
            why = "there is no `systemctl` on PATH" if missing else "it was not booted with systemd"
            raise StackctlError(
                f"this machine cannot run a systemd service: {why}",
                hint="`stackctl up` starts a supervisor by itself; "
                "or run `stackctl supervise` under your init",
            )

    def check(self, text: str) -> tuple[str, ...]:
        """What `systemd-analyze verify` finds wrong with the text of our unit; nothing where it is missing.

        Raises:
            TimedOut: It did not answer.
        """
        if not find_program("systemd-analyze", self._environ):
            return ()
        with tempfile.TemporaryDirectory(prefix="stackctl-") as folder:
            path = Path(folder) / UNIT_NAME
            path.write_text(text)
            environ = {**self._environ, "XDG_RUNTIME_DIR": folder}
            argv = ["systemd-analyze", f"--{self._scope}", "--man=no", "verify", str(path)]
            done = run(argv, timeout=ANSWER_SECONDS, env=environ)
        # It also tells of other units that it had to load
        lines = (line.removeprefix(f"{folder}/") for line in done.stderr.splitlines())
        return tuple(line for line in lines if line.startswith(UNIT_NAME))

    def state(self) -> UnitState:
        """How our unit is.

        Raises:
            StackctlError: The manager cannot be reached.
            TimedOut: It did not answer.
        """
        done = self._systemctl("show", f"--property={','.join(_PROPERTIES)}", UNIT_NAME)
        found = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
        return UnitState(
            load=found.get("LoadState", ""),
            active=found.get("ActiveState", ""),
            sub=found.get("SubState", ""),
            enabled=found.get("UnitFileState", ""),
            fragment=found.get("FragmentPath", ""),
            main_pid=int(found.get("MainPID") or 0),
            restarts=int(found.get("NRestarts") or 0),
            status=found.get("StatusText", ""),
            result=found.get("Result", ""),
            since=_moment(found.get("ActiveEnterTimestamp", "")),
        )

    def reload(self) -> None:
        """Let the manager read its unit files again.

        Raises:
            StackctlError: It refused, or cannot be reached.
            TimedOut: It did not answer.
        """
        self._systemctl("daemon-reload")

    def enable(self) -> None:
        """Let our unit start with the machine, or with the user's manager; raises as `reload`."""
        self._systemctl("enable", UNIT_NAME)

    def disable(self) -> None:
        """Stop our unit and let nothing start it any more; raises as `reload`."""
        self._systemctl("disable", "--now", UNIT_NAME, seconds=START_SECONDS)

    def start(self) -> None:
        """Start our unit, also after it failed too often; returns when it is ready; raises as `reload`."""
        self._ask("reset-failed", UNIT_NAME)
        self._systemctl("start", UNIT_NAME, seconds=START_SECONDS)

    def restart(self) -> None:
        """Stop and start our unit; returns when it is ready; raises as `reload`."""
        self._systemctl("restart", UNIT_NAME, seconds=START_SECONDS)

    def lingers(self) -> bool:
        """Whether the user's manager runs on when he is logged out; the system's always does."""
        if self._scope == "system" or not find_program("loginctl", self._environ):
            return self._scope == "system"
        argv = ["loginctl", "show-user", str(self._uid), "--property=Linger", "--value"]
        return run(argv, timeout=ANSWER_SECONDS, env=self._environ).stdout.strip() == "yes"

    def _ask(self, *words: str, seconds: float = ANSWER_SECONDS) -> Completed:
        argv = ["systemctl", f"--{self._scope}", "--no-pager", "--no-ask-password", *words]
        return run(argv, timeout=seconds, env=self._environ)

    def _systemctl(self, *words: str, seconds: float = ANSWER_SECONDS) -> Completed:
        done = self._ask(*words, seconds=seconds)
        if done.code:
            raise self._refused(words[0], done)
        return done

    def _refused(self, verb: str, done: Completed) -> StackctlError:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.code}"]
        error = StackctlError(
            f"`systemctl {verb}` failed: {lines[0].rstrip('.')}", hint=self._hint(done.stderr)
        )
        error.details = tuple(lines[1:])
        return error

    def _hint(self, said: str) -> str:
        if "connect to bus" in said and self._scope == "user":
            return "no manager runs for this user: log in as this user, or `sudo loginctl enable-linger USER`"
        if "ccess denied" in said or "authentication required" in said:
            return "run it with sudo, or with --user for a service of your own"
        option = " --user" if self._scope == "user" else ""
        return f"`journalctl{option} -u {UNIT_NAME} -n 30` shows what it said"


def _moment(text: str) -> float | None:
    """A timestamp of systemctl in UTC, as in `Tue 2026-11-24 10:39:08 UTC`; None for none."""
    words = text.split()
    try:
        return datetime.fromisoformat(f"{words[1]}T{words[2]}+00:00").timestamp()
    except (IndexError, ValueError):
        return None
