"""The rule for limits that the kernel had and has no more; it ends nothing, it has them written again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from stackctl.core.actions import Action
from stackctl.core.enforcement import unenforced
from stackctl.core.world import World, readable

if TYPE_CHECKING:
    from stackctl.core.facts import AppliedLimits, Container
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.supervision import Supervision

PROVEN = "kernel"
"""What a record's `verified` says when every limit was seen in the kernel."""


def lost_limits(
    record: EnvironmentRecord, container: Container, kernel: AppliedLimits | None
) -> tuple[str, ...]:
    """What the kernel does not enforce any more of what the engine holds for one container.

    A limit that somebody changed through the engine is that person's wish, and one that was never proven is
    nothing lost.

    Args:
        kernel: What its cgroup says; None where it could not be read.
    """
    asked = record.services.get(container.service)
    if asked is None or kernel is None or record.verified != PROVEN or unenforced(asked, container.limits):
        return ()
    return unenforced(asked, container.limits, kernel)


def loosened(world: World, limits: Supervision) -> Iterator[Action]:
    """Environments with a running container whose limits do not all stand in the kernel any more."""
    for one in readable(world.environments):
        lost = {
            container.service: one.loosened[container.id]
            for container in one.containers
            if container.state in ("running", "paused") and one.loosened.get(container.id)
        }
        if one.record.phase == "running" and lost:
            yield Action(
                rule="loosened",
                kind="renew",
                project=one.record.project,
                service=min(lost),
                reason=said(lost),
            )


def said(lost: Mapping[str, tuple[str, ...]]) -> str:
    """Service -> sentences, as one sentence."""
    return "; ".join(f"`{name}`: {', '.join(sentences)}" for name, sentences in sorted(lost.items()))
