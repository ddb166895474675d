"""Runs a command of the host so that nothing it starts outlives it: as its subreaper, in a cgroup if we may.

A subreaper (prctl(2)) becomes the parent of every orphan among its descendants, so that double forks and
sessions of their own hide nothing from it. Without a cgroup limits are looked at every tenth of a second;
with one the kernel enforces them.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from stackctl.core.errors import UsageError
from stackctl.core.orphans import HostProcess, descendants, over_limits
from stackctl.core.units import show_duration
from stackctl.engine.endpoint import find_program
from stackctl.engine.guard_cgroup import GuardCgroup
from stackctl.engine.host_processes import end_processes, read_processes

if TYPE_CHECKING:
    from types import FrameType

LIFETIME = 124
LIMIT = 137
"""Exit codes as `run` has them: the lifetime is over, a limit was enforced."""
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
_PDEATHSIG = 1  # PR_SET_PDEATHSIG
_LOOK = 0.1
_PASSES = 20

Cause = Literal["", "lifetime", "limit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardLimits:
    """What a guarded command and all that it starts may use together; 0 is no limit.

    Args:
        pids: Processes and threads.
        memory: Bytes.
        lifetime: Seconds.
        grace: Seconds between TERM and KILL.
    """

    pids: int = 0
    memory: int = 0
    lifetime: float = 0.0
    grace: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """How a guarded command ended.

    Args:
        code: Its exit code, 128 + n when signal n ended it; 124 and 137 as `cause` says.
        cause: Why it was ended, empty when it ended by itself.
        reason: One sentence about that.
        left: What it left behind when it ended, and was ended then.
        stuck: What could not be ended.
        cgroup: Whether the kernel enforced the limits.
    """

    code: int
    cause: Cause = ""
    reason: str = ""
    left: tuple[HostProcess, ...] = ()
    stuck: tuple[HostProcess, ...] = ()
    cgroup: bool = False


@dataclass(slots=True)
class _Watch:
    """The command while it runs."""

    pid: int
    limits: GuardLimits
    cgroup: GuardCgroup | None
    until: float
    code: int | None = None
    reaped: set[int] = field(default_factory=set)


def run_guarded(argv: Sequence[str], *, env: Mapping[str, str], limits: GuardLimits) -> Guarded:
    """Run a command on our own terminal, and end whatever it leaves behind.

    Args:
        argv: The command and its arguments, no shell.
        env: Its whole environment.
        limits: For it and all that it starts together.

    Raises:
        UsageError: There is no such command.
    """
    if not find_program(argv[0], env):
        raise UsageError(f"there is no command `{argv[0]}` on PATH")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_SUBREAPER, 1, 0, 0, 0)
    before = {one.pid for one in _below(read_processes())}
    with GuardCgroup.made(pids=limits.pids, memory=limits.memory) as cgroup:
        until = time.monotonic() + limits.lifetime if limits.lifetime else float("inf")
        # no thread was started yet, and what runs between fork and exec only calls the kernel
        child = subprocess.Popen(
            list(argv),
            env=dict(env),
            preexec_fn=_entering(cgroup, libc),  # noqa: PLW1509 -- see above
        )
        watch = _Watch(child.pid, limits, cgroup, until)
        with _signals_passed_to(child.pid):
            cause, reason = _until_over(watch)
        left, stuck = _end_rest(watch, before)
        child.returncode = watch.code if watch.code is not None else -signal.SIGKILL
        code = {"lifetime": LIFETIME, "limit": LIMIT}.get(cause, _shell_code(child.returncode))
        return Guarded(
            code=code, cause=cause, reason=reason, left=left, stuck=stuck, cgroup=cgroup is not None
        )


def _entering(cgroup: GuardCgroup | None, libc: ctypes.CDLL) -> Callable[[], None]:
    """What the child does before it becomes the command.

    It dies with us, and enters the cgroup, or else a session of its own unless it needs our terminal.
    """

    def enter() -> None:
        libc.prctl(_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if cgroup is not None:
            cgroup.enter()
        elif not os.isatty(0):
            os.setsid()

    return enter


def _until_over(watch: _Watch) -> tuple[Cause, str]:
    """Wait until the command has ended, or must be ended."""
    while watch.code is None:
        _reap(watch)
        reason = watch.cgroup.violation() if watch.cgroup is not None else ""
        if reason and watch.code != 0:
            return "limit", reason
        if watch.code is not None:
            break
        if time.monotonic() >= watch.until:
            return "lifetime", f"its lifetime of {show_duration(watch.limits.lifetime)} is over"
        reason = "" if watch.cgroup is not None else _violation(watch)
        if reason:
            return "limit", reason
        time.sleep(_LOOK)
    return "", ""


def _violation(watch: _Watch) -> str:
    if not watch.limits.pids and not watch.limits.memory:
        return ""
    table = read_processes()
    mine = _below(table)
    found = over_limits(table, mine, pids=watch.limits.pids, memory=watch.limits.memory)
    return next(iter(found), "")


def _below(table: Mapping[int, HostProcess]) -> tuple[HostProcess, ...]:
    return tuple(one for one in descendants([os.getpid()], table) if not one.zombie)


def _reap(watch: _Watch) -> None:
    """Wait for every child that has ended, the command and the orphans that were given to us."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if pid == watch.pid:
            watch.code = os.waitstatus_to_exitcode(status)
        else:
            watch.reaped.add(pid)


def _end_rest(watch: _Watch, before: set[int]) -> tuple[tuple[HostProcess, ...], tuple[HostProcess, ...]]:
    """End the command and everything below us, until a pass finds nothing more."""
    seen: dict[int, HostProcess] = {}
    stuck: list[HostProcess] = []
    for _ in range(_PASSES):
        found = [one for one in _below(read_processes()) if one.pid not in before]
        if not found:
            break
        seen |= {one.pid: one for one in found}
        stuck = end_processes(found, watch.limits.grace)
        _reap(watch)
    seen.pop(watch.pid, None)
    return tuple(seen.values()), tuple(stuck)


def _shell_code(code: int) -> int:
    return code if code >= 0 else 128 - code


@contextmanager
def _signals_passed_to(pid: int) -> Iterator[None]:
    """TERM and HUP, which reach only us, go on to the command; Ctrl-C reaches it by the terminal."""

    def pass_on(number: int, _: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    handlers = {number: signal.signal(number, pass_on) for number in numbers}
    if os.isatty(0):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
