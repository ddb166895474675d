"""How the supervisor stands, and how it is asked to leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackctl.core.errors import StateError, TimedOut
from stackctl.core.heartbeat import Standing, from_plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from stackctl.ops.protocols import Clock, Store

LOCK = "supervisor"
"""The lock that a supervisor holds for its whole life: one for each state directory."""
_LOOK = 0.1


def standing(store: Store, clock: Clock) -> Standing:
    """How the supervisor of a state directory stands; costs two small reads."""
    beat = from_plain(store.heartbeat())
    return Standing(
        holder=store.lock_holder(LOCK), beat=beat, age=beat.age(clock.now()) if beat is not None else 0.0
    )


def leave(store: Store, clock: Clock, tell: Callable[[int], None], *, patience: float) -> int:
    """Ask the supervisor to leave and wait until it has; what it watches runs on.

    Args:
        tell: Sends a process the signal to end.
        patience: Seconds to wait.

    Returns:
        Its process id, 0 when there was none.

    Raises:
        StateError: Nothing proves which process it is, so none is signalled.
        TimedOut: It did not leave in time.
    """
    found = store.lock_holder(LOCK)
    if found is None:
        return 0
    if not found.pid or store.lease_alive(found) is not True:
        raise StateError(
            "a supervisor holds its lock and nothing proves which process it is",
            hint="look for `stackctl supervise` among this user's processes",
        )
    tell(found.pid)
    until = clock.now().boottime + patience
    while store.lock_holder(LOCK) is not None:
        if clock.now().boottime >= until:
            raise TimedOut(
                f"the supervisor (pid {found.pid}) was told to leave and is still there",
                hint="it may be ending something; ask again with `stackctl supervise --status`",
            )
        clock.sleep(_LOOK)
    return found.pid
