"""Until when what is on a Swarm may live: told to the Swarm itself, so that its agents need no record."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from stackctl.core.swarm_stages import deadline_labels
from stackctl.core.swarm_tasks import last_moment

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.swarm_facts import SwarmScene
    from stackctl.ops.context import Context


def tell_deadline(context: Context, record: EnvironmentRecord, scene: SwarmScene) -> None:
    """Write a record's deadline on each of its services; no container is touched by it.

    A task of a batch gets the later moment after which nobody else can be expected to end it.

    Raises:
        EngineUnavailable, TimedOut, EngineRefused: The manager cannot be asked.
    """
    now = context.clock.now().wall
    until = last_moment(now, record.lifetime) if record.task else record.deadline.wall
    labels = deadline_labels(until, record.lifetime)
    with closing(context.engine.lead()) as lead:
        for service in scene.services:
            lead.label_service(service.id, labels)
