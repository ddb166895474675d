"""Waiting until an environment's services stand as they should, with a deadline and early failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from stackctl.core.convergence import ServiceState, standings
from stackctl.core.errors import NotReady, ServiceFailed
from stackctl.core.labels import PREFIX
from stackctl.core.units import show_duration
from stackctl.ops.hearing import heard_out

if TYPE_CHECKING:
    from stackctl.core.facts import Container
    from stackctl.core.records import ServiceRecord
    from stackctl.ops.context import Context

FIRST_LOOK = 0.02
SLOWEST_LOOK = 0.25
"""Seconds between looks: a listing over the socket costs milliseconds, `up --wait` ticks at 500 ms."""


def wait_until_ready(
    context: Context, project: str, generation: str, services: Mapping[str, ServiceRecord], *, timeout: float
) -> tuple[Container, ...]:
    """Look until every service is ready; returns the containers as last seen.

    Args:
        timeout: Seconds.

    Raises:
        ServiceFailed: A service ended with an error or is unhealthy.
        NotReady: The time is over; the message names what was waited for.
    """
    end = context.clock.now().boottime + timeout
    pause = FIRST_LOOK
    while True:
        containers = generation_of(context, project, generation)
        states = standings(services, containers)
        context.progress.services({state.service: state.words for state in states})
        if all(state.standing == "ready" for state in states):
            return containers
        if any(state.standing == "failed" for state in states):
            raise failure(context, services, containers)
        if context.clock.now().boottime >= end:
            raise _late(states, timeout)
        context.clock.sleep(pause)
        pause = min(SLOWEST_LOOK, pause * 1.5)


def generation_of(context: Context, project: str, generation: str) -> tuple[Container, ...]:
    """The containers of one generation of an environment."""
    return context.engine.containers({f"{PREFIX}project": project, f"{PREFIX}generation": generation})


def failure(
    context: Context, services: Mapping[str, ServiceRecord], containers: tuple[Container, ...]
) -> ServiceFailed:
    """The error that says of every failed service why it failed, as docker and the kernel tell it."""
    culprits = {state.culprit for state in standings(services, containers) if state.culprit}
    heard = [heard_out(context, one) if one.id in culprits else one for one in containers]
    return ServiceFailed("; ".join(state.reason for state in standings(services, heard) if state.reason))


def _late(states: tuple[ServiceState, ...], timeout: float) -> NotReady:
    left = ", ".join(f"`{s.service}` is {s.words}" for s in states if s.standing != "ready")
    return NotReady(
        f"not every service was ready within {show_duration(timeout)}: {left}",
        hint="give it more time with `--wait-timeout`, or `--no-wait`",
    )
