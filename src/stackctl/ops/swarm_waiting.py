"""Waiting until services on a Swarm stand as they should, which `docker stack deploy` does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from stackctl.core.errors import NotReady, ServiceFailed
from stackctl.core.swarm_standing import swarm_standings, why_pending
from stackctl.core.units import show_duration
from stackctl.ops.swarm_looking import look_at_swarm

if TYPE_CHECKING:
    from stackctl.core.convergence import ServiceState
    from stackctl.core.records import EnvironmentRecord, ServiceRecord
    from stackctl.core.swarm_facts import SwarmScene
    from stackctl.ops.context import Context

LOOK = 0.4
"""Seconds between looks: one costs a manager six questions."""
SETTLED = 1.0
"""Seconds after which a service without a health check is looked at once more."""


def wait_on_swarm(
    context: Context,
    record: EnvironmentRecord,
    services: Mapping[str, ServiceRecord],
    before: Mapping[str, str],
    *,
    timeout: float,
    settle: bool = True,
) -> SwarmScene:
    """Look until every service is ready, and once more a moment later; the scene as last seen.

    Args:
        services: Those that are waited for.
        before: As in `swarm_standings`.
        timeout: Seconds.
        settle: False does without the second look, where another wait follows.

    Raises:
        ServiceFailed: A service does not run; the message has its task's error.
        NotReady: The time is over; the message names what was waited for, and why it has no node.
    """
    end = context.clock.now().boottime + timeout
    settled = not settle
    while True:
        scene = look_at_swarm(context, record.project, record)
        states = swarm_standings(services, scene, before=before)
        context.progress.services({state.service: state.words for state in states})
        if any(state.standing == "failed" for state in states):
            reasons = "; ".join(state.reason for state in states if state.reason)
            raise ServiceFailed(reasons)
        ready = all(state.standing == "ready" for state in states)
        if ready and settled:
            return scene
        if context.clock.now().boottime >= end:
            raise _late(scene, states, timeout)
        context.clock.sleep(SETTLED if ready else LOOK)
        settled = ready or not settle


def _late(scene: SwarmScene, states: tuple[ServiceState, ...], timeout: float) -> NotReady:
    left = []
    for state in (one for one in states if one.standing != "ready"):
        why = why_pending(scene, state.service)
        left.append(f"`{state.service}` is {state.words}{f' ({why})' if why else ''}")
    return NotReady(
        f"not every service was ready within {show_duration(timeout)}: {', '.join(left)}",
        hint="give it more time with `--wait-timeout`, or `--no-wait`",
    )
