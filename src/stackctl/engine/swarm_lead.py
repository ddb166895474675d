"""What an agent may ask of a Swarm and do to it: a narrow door to the managers' API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackctl.core.swarm_facts import SwarmService, SwarmThing
    from stackctl.engine.swarm_api import SwarmApi


class Lead:
    """What little of the API ends lifetimes; it makes nothing, and removes no data.

    Args:
        api: All of it, which says what each call raises; nobody else uses this one.
    """

    def __init__(self, api: SwarmApi) -> None:
        self._api = api
        self.standing = api.standing
        self.take_away = api.take_away
        self.label_service = api.label_service
        self.close = api.close

    def services(self, labels: Mapping[str, str]) -> tuple[SwarmService, ...]:
        """Every service with all the labels, under its whole name; an empty value asks for mere presence."""
        return self._api.single_services(labels)

    def things(self, labels: Mapping[str, str]) -> tuple[SwarmThing, ...]:
        """Networks of the Swarm, configs and secrets with all the labels."""
        return self._api.loose_things(labels)
