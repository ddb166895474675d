"""Who is the holder of a batch's or an orchestrator's tasks: one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from stackctl.core.errors import Busy

if TYPE_CHECKING:
    from stackctl.ops.protocols import Store

WAIT = 0.5
"""Seconds for a holder that was just killed to be gone."""


@contextmanager
def held(store: Store, holder: str, command: str) -> Iterator[None]:
    """Be the holder.

    Raises:
        Busy: Another process is, or this one already; it says who.
    """
    name = f"holder-{holder}"
    known, mine = store.lock_holder(name), store.lease(command)
    if known is not None and (known.pid, known.started) == (mine.pid, mine.started):
        raise Busy(
            f"`{holder}` is at work in this process already, pid {known.pid} (`{known.command}`)",
            hint="hand it over or close it first",
        )
    with ExitStack() as stack:
        try:
            stack.enter_context(store.lock(name, command=command, wait=WAIT))
        except Busy as error:
            raise Busy(
                f"`{holder}` is at work in another process: {error.message.partition(': ')[2]}",
                hint="wait for it to end, or end it: what it runs is found again afterwards",
            ) from None
        yield
