"""The rule that asks for a sweep where a guarded service has orphans; it never ends an environment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stackctl.core.actions import Action
from stackctl.core.world import World, readable

if TYPE_CHECKING:
    from stackctl.core.supervision import Supervision


def littered(world: World, limits: Supervision) -> Iterator[Action]:
    """Environments in whose guarded services there are orphans: one sweep for all of them."""
    for one in readable(world.environments):
        counts = [
            (len(one.orphans[container.id]), container)
            for container in one.containers
            if container.state == "running" and one.orphans.get(container.id)
        ]
        if one.record.phase != "running" or not counts:
            continue
        total = sum(count for count, _ in counts)
        worst = max(counts, key=lambda pair: pair[0])[1]
        services = " and ".join(sorted({f"`{container.service}`" for _, container in counts}))
        yield Action(
            rule="littered",
            kind="sweep",
            project=one.record.project,
            service=worst.service,
            container=worst.id,
            reason=f"{services} had {total} {'orphan' if total == 1 else 'orphans'}",
            incident=total >= limits.many_orphans,
        )
