"""How chosen processes of one container are ended: from outside, or from inside where this user may not."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stackctl.core.errors import StackctlError
from stackctl.engine import process
from stackctl.engine.cgroup import cgroup_paths, text_of
from stackctl.engine.host_processes import wait_gone
from stackctl.engine.processes import start_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from stackctl.core.facts import Container, Process

INSIDE_SECONDS = 10.0
"""For one `docker exec` that signals."""
KILL_SECONDS = 1.0
"""For the kernel to take away what was killed."""
_PROC = Path("/proc")
_AT_ONCE = 200
_SCRIPT = """
signal=$1; shift
for one in "$@"; do
  IFS= read -r line < "/proc/${one%:*}/stat" || continue
  set -- ${line##*) }
  test "${20}" = "${one#*:}" && kill -s "$signal" "${one%:*}"
done 2> /dev/null
exit 0
"""
"""Signals `<pid>:<start time>` each, if that process still is the one that was seen."""

Sent = Literal["sent", "gone", "refused"]


def end_strays(
    container: Container, processes: Sequence[Process], grace: float, environ: Mapping[str, str]
) -> tuple[Process, ...]:
    """TERM, up to `grace` seconds, KILL; those that are alive all the same.

    A process is signalled only if it still is the one that was seen and belongs to the container's cgroup.
    Where this user has no right to signal it, its own user inside the container does.

    Args:
        processes: Of this container, on this machine.
        environ: The scrubbed environment with the engine pinned.
    """
    left = list(processes)
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, KILL_SECONDS)):
        mounts = text_of(_PROC / "self" / "mountinfo") or ""
        refused = [one for one in left if send(one, number, container.id, mounts) == "refused"]
        for argv in _from_inside(container, refused, number):
            with suppress(StackctlError):  # who is alive afterwards is told
                process.run(argv, timeout=INSIDE_SECONDS, env=environ)
        left = wait_gone(left, patience)
        if not left:
            break
    return tuple(left)


def send(one: Process, number: signal.Signals, container: str, mounts: str) -> Sent:
    """Signal one process if it still is the one that was seen, and the container's.

    Where there are descriptors of processes (Linux 5.3), one is opened before that is compared, so that the
    pid cannot pass to another process in between.

    Args:
        container: Its full id.
        mounts: `/proc/self/mountinfo`.
    """
    try:
        handle = _descriptor(one.pid)
    except ProcessLookupError:
        return "gone"
    try:
        if start_time(one.pid) != one.started or not _belongs(one.pid, container, mounts):
            return "gone"
        if handle is None:
            os.kill(one.pid, number)
        else:
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return "gone"
    except PermissionError:
        return "refused"
    finally:
        if handle is not None:
            os.close(handle)
    return "sent"


def _descriptor(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:  # an older kernel, or no more descriptors to be had
        return None


def _belongs(pid: int, container: str, mounts: str) -> bool:
    return bool(cgroup_paths(text_of(_PROC / str(pid) / "cgroup") or "", mounts, container))


def _from_inside(
    container: Container, processes: Iterable[Process], number: signal.Signals
) -> Iterator[list[str]]:
    """Commands by which the processes' own users in the container signal them."""
    by_user: dict[int, list[str]] = {}
    users = text_of(_PROC / str(container.pid) / "uid_map") or ""
    for one in processes:
        by_user.setdefault(_user_inside(one.user, users), []).append(f"{one.inside}:{one.started}")
    name = number.name.removeprefix("SIG")
    for user, words in by_user.items():
        for at in range(0, len(words), _AT_ONCE):
            shell = ["sh", "-c", _SCRIPT, "sh", name, *words[at : at + _AT_ONCE]]
            yield ["docker", "exec", "--user", str(user), container.id, *shell]


def _user_inside(user: int, table: str) -> int:
    """A user of the host as the container has it, by the lines of `uid_map`: inside, outside, how many."""
    for line in table.splitlines():
        numbers = [int(word) for word in line.split() if word.isdigit()]
        if len(numbers) == 3 and numbers[1] <= user < numbers[1] + numbers[2]:
            return numbers[0] + user - numbers[1]
    return user
