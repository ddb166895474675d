"""Until when what is on a Swarm may live: told to the Swarm itself, so that its agents need no record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackctl.core.swarm_stages import deadline_labels

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.swarm_facts import SwarmScene
    from stackctl.ops.context import Context


def tell_deadline(context: Context, record: EnvironmentRecord, scene: SwarmScene) -> None:
    """Write a record's deadline on each of its services; no task is touched by it.

    Raises:
        EngineUnavailable, TimedOut, EngineRefused: The manager cannot be asked.
    """
    labels = deadline_labels(record.deadline.wall, record.lifetime)
    lead = context.engine.lead()
    try:
        for service in scene.services:
            lead.label_service(service.id, labels)
    finally:
        lead.close()
