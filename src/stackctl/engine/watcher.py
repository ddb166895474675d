"""Runs one command and ends it when its parent is gone or time is up: what setpriv and timeout do elsewhere.

Started by path with `python -I -S`, so it knows nothing but the standard library. Two of them in a row hold
even when the first is killed outright: the second sees that its parent is gone.
"""

import os
import select
import signal
import sys
import time

LOOK = 0.1  # seconds between looks at the parent
GRACE = 2.0  # seconds between TERM and KILL
TIMED_OUT = 124  # as timeout(1) ends


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _spawn(argv: list[str]) -> int:
    child = os.fork()
    if child == 0:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        try:
            os.execvp(argv[0], argv)  # noqa: S606 - an argument vector of our own, no shell is wanted
        except OSError:
            os._exit(127)
    return child


def _listen(child: list[int]) -> int:
    """Pass TERM and HUP on; the end of the child wakes a pipe, whose reading end is returned."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: _pass_on(child, received))
    return reader


def _pass_on(child: list[int], number: int) -> None:
    for pid in child:
        os.kill(pid, number)


def _kill(child: int) -> None:
    """KILL the command; with it our whole group, ourselves included, where the group is ours."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(child, signal.SIGKILL)


def watch(argv: list[str], seconds: float) -> int:
    """Run `argv` and return its exit code; `seconds` 0 sets no bound."""
    parent = os.getppid()
    if seconds and os.getpgrp() != os.getpid():
        os.setpgid(0, 0)  # as timeout(1) does, so that the bound reaches all that the command starts
    child: list[int] = []
    wake = _listen(child)
    child.append(_spawn(argv))
    end = time.monotonic() + seconds if seconds else float("inf")
    timed_out = False
    while True:
        pid, status = os.waitpid(child[0], os.WNOHANG)
        if pid:
            return TIMED_OUT if timed_out else _code(status)
        if os.getppid() != parent or (timed_out and time.monotonic() >= end):
            _kill(child[0])
        elif time.monotonic() >= end:
            os.kill(child[0], signal.SIGTERM)
            timed_out, end = True, time.monotonic() + GRACE
        if select.select([wake], [], [], LOOK)[0]:
            os.read(wake, 512)


if __name__ == "__main__":
    sys.exit(watch(sys.argv[2:], float(sys.argv[1])))
