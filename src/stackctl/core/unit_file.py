"""The text of the supervisor's systemd unit, in which every word is read back as it was meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from stackctl.core.errors import UsageError

Scope = Literal["user", "system"]

UNIT_NAME = "stackctl-supervisor.service"
PASSED_ON = (
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "PATH",
    "STACKCTL_POLICY",
    "XDG_CONFIG_HOME",
)
"""What of the caller's environment the service gets: which engine, where programs and settings are."""

WATCHDOG_SECONDS = 60
"""Sixty times the interval of the watch: a busy engine is no reason, a frozen supervisor is."""
RESTART_SECONDS = 5
STARTS, STARTS_WITHIN = 20, 60
"""Restarts alone, at most 12 in these seconds, never reach it: a watch that gave up would be none."""
STOP_SECONDS = 45
"""An act that has begun is finished first: the stop grace of a container, and then its removal."""
MEMORY = "256M"
"""Three times the 80 MB that the supervisor may take, for the docker commands that it starts."""
TASKS = 128
"""A docker command and its plugin have about 15 threads on two cores, more on many; a few run at once."""
OOM_SCORE: Mapping[Scope, int] = {"system": -500, "user": 0}
"""The kernel lets nobody but root go below where he began: a user's manager gets the lowest it may."""

_MARK = "# Written by `stackctl service install`, version "
_BARE = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")
_UNSAFE_IN_PROGRAM = re.compile(r"[\"'\\]")
_READ_ONLY = ("/boot", "/efi", "/etc", "/usr")
"""What ProtectSystem=full takes away (systemd.exec(5))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSpec:
    """What the unit depends on.

    Args:
        scope: Whose service manager runs it.
        program: The argument vector; its first word is an absolute path.
        home: The real path of the state directory.
        version: The version of stackctl that writes it.
        environment: What the service finds in its environment, beside `STACKCTL_HOME`.
        description: What people read of it.
    """

    scope: Scope
    program: tuple[str, ...]
    home: str
    version: str
    environment: Mapping[str, str] = field(default_factory=dict)
    description: str = "Supervisor of stackctl's environments and tasks"


def unit_text(spec: UnitSpec) -> str:
    """The whole file.

    Raises:
        UsageError: A path or value has characters that a unit file cannot hold.
    """
    return f"{_MARK}{spec.version}; `stackctl service uninstall` removes it.\n\n{sections_of(spec)}"


def sections_of(spec: UnitSpec) -> str:
    """The file without the line that says who wrote it, and who removes it.

    Raises:
        UsageError: As `unit_text`.
    """
    sections = {"Unit": _unit(spec), "Service": _service(spec), "Install": _install(spec)}
    parts = [f"[{name}]\n" + "\n".join(lines) + "\n" for name, lines in sections.items()]
    return "\n".join(parts)


def written_by_us(text: str) -> bool:
    """Whether a unit file is one that `unit_text` made, of any version."""
    return text.startswith(_MARK)


def settings_of(text: str) -> tuple[str, dict[str, str]]:
    """The state directory and the environment that a unit of ours names, as they were given to `unit_text`.

    Args:
        text: A file for which `written_by_us` holds.
    """
    words = (_read_back(word) for word in re.findall(r"^Environment=(.*)$", text, re.MULTILINE))
    found = dict(word.split("=", 1) for word in words if "=" in word)
    return found.pop("STACKCTL_HOME", ""), found


def chosen_environment(environ: Mapping[str, str], scope: Scope) -> dict[str, str]:
    """What of the caller's environment belongs in the unit.

    Only absolute folders of `PATH` do, since the service works in `/`. `HOME` is for the system's manager,
    which gives its services none; a user's has the right one.
    """
    names = (*PASSED_ON, "HOME") if scope == "system" else PASSED_ON
    chosen = {name: environ[name] for name in names if environ.get(name)}
    folders = [one for one in chosen.pop("PATH", "").split(":") if one.startswith("/")]
    return {**chosen, "PATH": ":".join(folders)} if folders else chosen


def quoted(word: str) -> str:
    """A word as systemd.syntax(7) has it: specifiers doubled, quotes where they are needed.

    Raises:
        UsageError: It has control characters or is not Unicode, which no unit file can hold.
    """
    if any(ord(one) < 32 or ord(one) == 127 or 0xD800 <= ord(one) < 0xE000 for one in word):
        raise UsageError(
            f"{word[:80]!a} cannot stand in a systemd unit", hint="use a path of plain characters"
        )
    escaped = word.replace("%", "%%")
    if _BARE.fullmatch(word):
        return escaped
    return '"' + escaped.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _read_back(word: str) -> str:
    """What `quoted` was given."""
    if word.startswith('"'):
        word = re.sub(r"\\(.)", r"\1", word[1:-1])
    return word.replace("%%", "%")


def _unit(spec: UnitSpec) -> Iterator[str]:
    yield f"Description={spec.description}"
    if spec.scope == "system":
        yield "# Not Requires=: what ends while docker is down is found when it is back."
        yield "Wants=docker.service"
        yield "After=docker.service"
        yield f"RequiresMountsFor={quoted(spec.home)}"
    yield f"StartLimitIntervalSec={STARTS_WITHIN}"
    yield f"StartLimitBurst={STARTS}"


def _service(spec: UnitSpec) -> Iterator[str]:
    yield "Type=notify"
    yield "NotifyAccess=main"
    yield f"ExecStart={_command(spec.program)}"
    yield "# Not a home, where a folder named like a module would be imported."
    yield "WorkingDirectory=/"
    for name, value in {**spec.environment, "STACKCTL_HOME": spec.home}.items():
        yield f"Environment={quoted(f'{name}={value}')}"
    yield "SyslogIdentifier=stackctl-supervisor"
    yield from _lifecycle()
    yield from _bounds(spec.scope)
    yield from _hardening(spec)


def _lifecycle() -> Iterator[str]:
    yield ""
    yield "Restart=always"
    yield f"RestartSec={RESTART_SECONDS}"
    yield "# It beats only after a cycle that went well."
    yield f"WatchdogSec={WATCHDOG_SECONDS}"
    yield f"TimeoutStopSec={STOP_SECONDS}"
    yield "# SIGTERM for the supervisor alone, which ends its docker calls in order. What is left of them"
    yield "# then is killed, lest it works beside its successor. Containers are not among its children."
    yield "KillMode=mixed"
    yield "# A core dump would hold what it read of the processes that it watches."
    yield "LimitCORE=0"


def _bounds(scope: Scope) -> Iterator[str]:
    yield ""
    yield f"OOMScoreAdjust={OOM_SCORE[scope]}"
    yield "# A docker command that is killed for memory is a failed call, and no reason to stop watching."
    yield "OOMPolicy=continue"
    yield f"MemoryMax={MEMORY}"
    yield "# What is swapped out cannot act when memory is short."
    yield "MemorySwapMax=0"
    yield f"TasksMax={TASKS}"


def _hardening(spec: UnitSpec) -> Iterator[str]:
    yield ""
    yield "NoNewPrivileges=yes"
    yield "LockPersonality=yes"
    yield "RestrictRealtime=yes"
    if spec.scope == "system":
        yield "# Nothing is hidden: it reads processes and cgroups; its files may lie in a home or in /tmp."
        yield "ProtectSystem=full"
        yield "ProtectControlGroups=yes"
        yield "ProtectKernelTunables=yes"
        yield "ProtectKernelModules=yes"
        if spec.home.startswith(tuple(f"{one}/" for one in _READ_ONLY)):
            yield f"ReadWritePaths={quoted(spec.home)}"


def _install(spec: UnitSpec) -> Iterator[str]:
    yield "WantedBy=" + ("multi-user.target" if spec.scope == "system" else "default.target")


def _command(program: tuple[str, ...]) -> str:
    """An ExecStart in which systemd replaces no variable: that is what the colon is for."""
    path = program[0]
    if not path.startswith("/") or _UNSAFE_IN_PROGRAM.search(path):
        raise UsageError(
            f"systemd cannot start `{path}`: it takes absolute paths without quotes and backslashes",
            hint="install stackctl in a folder with a plainer name",
        )
    return " ".join((":" + quoted(path), *map(quoted, program[1:])))
