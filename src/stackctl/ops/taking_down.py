"""How containers and networks of an environment are ended: by id, verified by looking, never by force."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from stackctl.core.changes import removal_order
from stackctl.core.errors import EngineRefused, TimedOut

if TYPE_CHECKING:
    from stackctl.core.facts import Container, Network
    from stackctl.ops.context import Context

LOOKS = 3
"""How often what is left is looked at again; a container may have been made while we listed."""


def take_down(
    context: Context, containers: Sequence[Container], networks: Sequence[Network], *, first: str = ""
) -> None:
    """Stop and remove the given containers, dependants first, then the networks; nothing else is touched.

    One that could not be stopped keeps none of the others: it is named when everything else is gone.

    The order is fixed: no restart policy, stop with the image's signal and grace, kill what stayed, then
    remove without force and without volumes. A container that is already gone is fine.

    Args:
        first: Id of a container that is stopped before all others, because it does harm.

    Raises:
        EngineRefused: Something is still there after several looks; the message names it.
    """
    if containers:
        context.engine.forbid_restart([c.id for c in containers if c.restart_policy != "no"])
        for batch in _batches(containers, first):
            running = [c.id for c in batch if c.state not in ("exited", "dead", "created")]
            # what it cannot stop is killed and named below, after all others were stopped
            with suppress(EngineRefused, TimedOut):
                context.engine.stop(running)
        _remove(context, [c.id for c in containers])
    context.engine.remove_networks([network.id for network in networks])


def _batches(containers: Sequence[Container], first: str) -> Iterator[Sequence[Container]]:
    harmful = [container for container in containers if container.id == first]
    if harmful:
        yield harmful
    yield from removal_order(tuple(c for c in containers if c.id != first))


def _remove(context: Context, ids: Sequence[str]) -> None:
    left = list(ids)
    for _ in range(LOOKS):
        context.engine.remove_containers(left)
        still = context.engine.inspect(left)
        if not still:
            return
        left = [container.id for container in still]
        with suppress(EngineRefused, TimedOut):
            context.engine.kill([c.id for c in still if c.state in ("running", "paused", "restarting")])
    names = ", ".join(sorted(container.name for container in still))
    raise EngineRefused(
        f"the engine could not remove {names}",
        hint="it may hang in the kernel (a frozen disk or network share); run `stackctl down` again later",
    )


def made_since(
    before: Iterable[Container | Network], after: Sequence[Container | Network]
) -> tuple[Container | Network, ...]:
    """What is there now and was not there before, by id."""
    known = {thing.id for thing in before}
    return tuple(thing for thing in after if thing.id not in known)
