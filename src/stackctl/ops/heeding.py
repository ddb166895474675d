"""What makes the start of a task stop early: that somebody wishes its end, looked for as time passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stackctl.core.errors import Interrupted
from stackctl.core.tasks import CANCELLED

if TYPE_CHECKING:
    from stackctl.core.deployment import Instant
    from stackctl.ops.context import Context, Progress
    from stackctl.ops.protocols import Clock


def heeding(context: Context, project: str) -> Context:
    """The context in which every pause, and every line of progress, ends with an error once it was wished.

    Whoever wishes cannot have the lock, which the start holds for as long as images and sidecars take.
    """

    def check() -> None:
        if context.store.end_wished(project):
            raise Interrupted("the task was cancelled while it was started", exit_code=CANCELLED)

    return replace(context, clock=_Clock(context.clock, check), progress=_Progress(context.progress, check))


@dataclass(frozen=True, slots=True)
class _Clock:
    clock: Clock
    check: Callable[[], None]

    def now(self) -> Instant:
        return self.clock.now()

    def sleep(self, seconds: float) -> None:
        self.check()
        self.clock.sleep(seconds)


@dataclass(frozen=True, slots=True)
class _Progress:
    progress: Progress
    check: Callable[[], None]

    def step(self, text: str) -> None:
        self.check()
        self.progress.step(text)

    def services(self, states: Mapping[str, str]) -> None:
        self.progress.services(states)

    def warn(self, text: str) -> None:
        self.progress.warn(text)
