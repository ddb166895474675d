"""Why a container was killed, where docker says so only after it has said that it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackctl.core.tasks import KILLED
from stackctl.ops.watch import stopped_by_hand

if TYPE_CHECKING:
    from stackctl.core.facts import Container
    from stackctl.ops.context import Context

LATE = 1.0
"""Seconds within which docker tells why it is that a container was killed, after it has told that it was."""


def heard_out(context: Context, container: Container) -> Container:
    """A container that was killed, once docker has said whether somebody asked for it or the kernel did it.

    For what dies at once docker's word of the kernel comes after its word of the end. Any other container is
    returned as it is, without a wait.
    """
    end = context.clock.now().boottime + LATE
    found = container
    while found.exit_code == KILLED and not found.oom_killed and context.clock.now().boottime < end:
        if stopped_by_hand(context, found):
            break
        context.clock.sleep(0.05)
        found = next(iter(context.engine.inspect([container.id])), found)
    return found
