"""What a stack asks for that nobody can do where it runs: `up` says it, so that it is not counted upon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stackctl.ops.recording import budget, guard_of

if TYPE_CHECKING:
    from stackctl.ops.preparing import Prepared


def unheeded_afar(prepared: Prepared) -> Iterator[str]:
    """Sentences about what needs the processes of the engine's host, where that is another machine."""
    if guarded := _guarded(prepared):
        yield f"nobody sweeps by the guard of {guarded}: its processes are on another machine"


def unheeded_on_swarm(prepared: Prepared) -> Iterator[str]:
    """Sentences about what needs all services, or the processes, on one machine."""
    if guarded := _guarded(prepared):
        yield f"nobody sweeps by the guard of {guarded}: an agent ends whole containers"
    if budget(prepared):
        yield "nobody keeps the stack's budget, since no agent sees all nodes: each service has its own marks"


def _guarded(prepared: Prepared) -> str:
    names = (name for name in sorted(prepared.bounded.services) if guard_of(prepared, name))
    return ", ".join(f"`{name}`" for name in names)
