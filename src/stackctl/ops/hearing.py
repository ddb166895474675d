"""Why a container ended, as docker tells it: which it does late, and not for long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackctl.core.recovery import asked_to_end
from stackctl.core.tasks import KILLED

if TYPE_CHECKING:
    from stackctl.core.facts import Container
    from stackctl.ops.context import Context

HAND = 2.0
"""Seconds before and after its end within which a container's `kill` event counts as the cause of it."""
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


def stopped_by_hand(context: Context, container: Container) -> bool:
    """Whether somebody asked docker to stop or kill a container that has ended, as far as docker remembers.

    Docker says `kill` before `die` for what it was asked to do, and `die` alone for what ended by itself. Its
    memory is short, so that what was heard when it happened counts first. A daemon says it too of what it
    ends because itself goes, or finds running from before its crash: that is nobody's wish.
    """
    events = context.engine.past_events(container.id, container.finished - 60.0, container.finished + HAND)
    ended = [event.at for event in events if event.action == "die"]
    last = max(ended, default=container.finished)
    start = max((event.at for event in events if event.action == "start"), default=0.0)
    asked = [event.at for event in events if asked_to_end(event, container.stop_signal)]
    mine = [at for at in asked if start <= at <= last + HAND]
    return bool(mine) and max(mine) >= serving_since(context)


def serving_since(context: Context) -> float:
    """When the daemon began to serve, 0 where it cannot be told: it makes its own bridge anew just before."""
    networks = context.engine.networks_brief({})
    return next((network.created for network in networks if network.name == "bridge"), 0.0)
