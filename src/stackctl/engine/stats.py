"""What containers of another machine use: one `docker stats` for all of them, where cgroups are out of reach.

It takes 2 to 3 seconds however many they are, and its numbers are docker's: memory counts page cache that the
kernel would take back (the command subtracts inactive file pages only), there is no count of refused forks or
of processes that were ended for memory, and processor time is a share of the moment, not a sum.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence

from stackctl.core.errors import DaemonFrozen, TimedOut
from stackctl.core.facts import Reading
from stackctl.engine import process
from stackctl.engine.errors import explain
from stackctl.engine.transport import Document, documents

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)i?B")
_POWERS = " KMGTP"


def sample(ids: Sequence[str], environ: Mapping[str, str], timeout: float) -> dict[str, Reading]:
    """One reading for each container that runs, by id.

    One that is gone fails the command for all, so it is asked again without those that it names.

    Args:
        ids: Full ids.
        environ: The environment that chooses the engine, scrubbed.
        timeout: Seconds for everything.

    Raises:
        DaemonFrozen: No answer in time.
        EngineUnavailable, EngineRefused: As docker says.
    """
    deadline, wanted = time.monotonic() + timeout, list(ids)
    while wanted:
        argv = ["docker", "stats", "--no-stream", "--no-trunc", "--format", "{{json .}}", *wanted]
        ended = _run(argv, environ, max(0.1, deadline - time.monotonic()))
        if not ended.code:
            at = time.monotonic()
            lines = documents(ended.stdout.splitlines())
            return dict(found for one in lines if (found := parse_stats(one, at)))
        left = [one for one in wanted if one not in ended.stderr]
        if len(left) == len(wanted):
            raise explain(ended.stderr, doing="`docker stats`")
        wanted = left
    return {}


def parse_stats(raw: Document, at: float) -> tuple[str, Reading] | None:
    """Read one line; None for a container that does not run, of which docker says zeros or dashes.

    Args:
        raw: The object with docker's own columns.
        at: Seconds on the monotonic clock.

    Returns:
        The id and the reading.
    """
    pids = str(raw.get("PIDs", ""))
    if not raw.get("ID") or not pids.isdigit() or pids == "0":
        return None
    used, _, limit = str(raw.get("MemUsage", "")).partition(" / ")
    # without the memory controller both are zero while processes run
    memory = parse_bytes(used) if parse_bytes(limit) else None
    return str(raw["ID"]), Reading(at=at, pids=int(pids), memory=memory)


def parse_bytes(text: str) -> int | None:
    """Bytes of docker's "1.5GiB"; None when it is no size."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        return None
    power: int = 1024 ** _POWERS.index(match[2] or " ")
    return round(float(match[1]) * power)


def _run(argv: Sequence[str], environ: Mapping[str, str], timeout: float) -> process.Completed:
    try:
        return process.run(argv, timeout=timeout, env=environ)
    except TimedOut as error:
        raise DaemonFrozen(error.message, hint="the engine, or the way to it, does not answer") from None
