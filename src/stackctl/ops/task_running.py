"""A task from its start to its end, for whoever stays with it: its streams, its lifetime, its peaks."""

from __future__ import annotations

import select
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil
from threading import Thread
from typing import TYPE_CHECKING, Protocol

from stackctl.core.actions import Action
from stackctl.core.errors import EngineUnavailable, StackctlError, TimedOut
from stackctl.core.facts import ENDED
from stackctl.core.records import TASK_SERVICE
from stackctl.core.supervision import DEFAULT_SUPERVISION
from stackctl.core.units import show_duration
from stackctl.core.verdicts import expired
from stackctl.core.world import Trail
from stackctl.ops.acting import act
from stackctl.ops.task_ending import end_task, finish_task

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord, Phase
    from stackctl.ops.context import Context
    from stackctl.ops.protocols import Exit
    from stackctl.ops.task_starting import Started

TICK = 1.0
"""Seconds between two samples of a task that somebody stays with."""
BY_HAND = "by hand"
DRAIN = 5.0
"""Seconds of silence after which a task's streams are over, once it has ended."""


class Terminal(Protocol):
    """Where a task's streams go, and where its input and the wish to end it come from."""

    def fileno(self) -> int:
        """What becomes readable when there is input; -1 for none, or none any more."""

    def read(self) -> bytes:
        """What was typed; empty at its end."""

    def write(self, stream: int, data: bytes) -> None:
        """Show bytes of its standard output (1) or standard error (2)."""

    def wishes(self) -> int:
        """A descriptor that becomes readable when somebody wants it to end; -1 for none."""

    def heard(self) -> int:
        """How often that was wished so far: once is a request, twice an order."""

    def interrupted(self) -> bool:
        """Whether the last that was typed into a task's own terminal is a Ctrl-C, a moment ago."""

    def resized(self) -> tuple[int, int] | None:
        """The terminal's new columns and rows when they changed since the last call."""


class NoTerminal:
    """A `Terminal` of a task that nobody looks at."""

    def fileno(self) -> int:
        """Nothing is typed."""
        return -1

    def read(self) -> bytes:
        """Nothing is typed."""
        return b""

    def write(self, stream: int, data: bytes) -> None:
        """Show nothing; what it wrote is kept when it ends."""

    def wishes(self) -> int:
        """Nobody wishes."""
        return -1

    def heard(self) -> int:
        """Nobody wishes."""
        return 0

    def interrupted(self) -> bool:
        """Nothing is typed."""
        return False

    def resized(self) -> tuple[int, int] | None:
        """There is no terminal."""
        return None


@dataclass(kw_only=True)
class Attendance:
    """Stays with one task until it has ended.

    Args:
        context: Its engine belongs to the thread that attends.
        contexts: Makes a context of its own for the thread that stops the task while its streams go on.
        command: What holds its lock at the end, for messages.
        cancelled: Asked every second whether it is to be ended; the reason, or empty.
    """

    context: Context
    started: Started
    terminal: Terminal = field(default_factory=NoTerminal)
    contexts: Callable[[], Context] | None = None
    command: str = "stackctl run"
    cancelled: Callable[[], str] | None = None
    _trail: Trail = field(default_factory=Trail)
    _sampled: float = float("-inf")
    _done: int = 0
    _reason: str = ""
    _waits: Exit = field(init=False)

    def __post_init__(self) -> None:
        self._waits = self.started.exit

    @property
    def _project(self) -> str:
        return self.started.record.project

    @property
    def trails(self) -> Mapping[str, Trail]:
        """What was read of its own container, by id."""
        return {self.started.container.id: self._trail}

    def attend(self) -> EnvironmentRecord:
        """Stay until it has ended, and write down how it went; its record as it is then.

        Raises:
            Busy: Another command does not let go of it.
            EngineUnavailable, TimedOut: The engine does not answer any more; the supervisor ends the task.
            EngineRefused: Something of it cannot be removed.
            BrokenPipeError: Nobody reads what it writes any more; it was ended for that.
        """
        try:
            self.stay()
        except BrokenPipeError:
            self._end("cancelled", "nobody reads what it writes any more")
            raise
        finally:
            self.let_go()
        return self.conclude()

    def stay(self, until: float = float("inf")) -> bool:
        """Stay until it has ended, or until then; whether it has ended.

        Args:
            until: When to give up, by the clock that counts suspended time.

        Raises:
            EngineUnavailable, TimedOut: The engine does not answer any more; the supervisor ends the task.
        """
        while not self._ended():
            left = until - self.context.clock.now().boottime
            if left <= 0:
                return False
            self._listen(left)
            self._tick()
        self._drain()
        return True

    def let_go(self) -> None:
        """Hang up; the task runs on if it has not ended."""
        self._waits.close()
        if self.started.streams is not None:
            self.started.streams.close()

    def conclude(self) -> EnvironmentRecord:
        """Write down how one that has ended went, and remove what is left of it.

        Raises:
            Busy: Another command does not let go of it.
            EngineRefused: Something of it cannot be removed.
        """
        if self._done or self.terminal.interrupted():
            return self._end("cancelled", self._reason or BY_HAND, asked=True)
        return finish_task(self.context, self._project, command=self.command, trails=self.trails)

    def _end(self, phase: Phase, reason: str, *, asked: bool = False) -> EnvironmentRecord:
        command, trails = self.command, self.trails
        return end_task(
            self.context, self._project, phase, reason, command=command, trails=trails, asked=asked
        )

    def _ended(self) -> bool:
        waits = self._waits
        if waits.code is None and waits.closed:  # the daemon hung up: it went, or was restarted
            return self._look()
        return waits.code is not None

    def _look(self) -> bool:
        """Whether it has ended, as docker lists it; waits anew when it has not."""
        engine, container = self.context.engine, self.started.container.id
        until = self.context.clock.now().boottime + DEFAULT_SUPERVISION.answer
        while True:
            with suppress(EngineUnavailable, TimedOut):
                if self.is_over():
                    return True
                self._waits = engine.exit_wait(container)
                return self.is_over()  # it may have ended between the two
            if self.context.clock.now().boottime >= until:
                engine.inspect([container])
            self.context.clock.sleep(0.2)

    def is_over(self) -> bool:
        """Whether it has ended, as the engine lists it now.

        Raises:
            EngineUnavailable, TimedOut: The engine cannot be asked.
        """
        found = self.context.engine.inspect([self.started.container.id])
        return not found or found[0].state in ENDED

    def _listen(self, most: float) -> None:
        streams, terminal = self.started.streams, self.terminal
        sources = [self._waits.fileno(), terminal.wishes()]
        sources += [streams.fileno(), terminal.fileno()] if streams is not None else []
        ready = _readable(sources, min(most, self._pause()))
        if streams is not None and streams.fileno() in ready:
            self._show()
        if streams is not None and terminal.fileno() in ready:
            self._type()
        if self._waits.fileno() in ready:
            self._waits.read()

    def _pause(self) -> float:
        return min(TICK, max(0.05, self._left()))

    def _left(self) -> float:
        now = self.context.clock.now()
        return self.started.record.deadline.left(wall=now.wall, boottime=now.boottime, boot=now.boot)

    def _show(self) -> None:
        streams = self.started.streams
        for stream, data in streams.read() if streams is not None else ():
            self.terminal.write(stream, data)

    def _type(self) -> None:
        data, streams = self.terminal.read(), self.started.streams
        if streams is None:
            return
        if data:
            streams.write(data)
        else:
            streams.end_input()

    def _tick(self) -> None:
        now = self.context.clock.now().boottime
        self._heed()
        if size := self.terminal.resized():
            with suppress(StackctlError):
                self.context.engine.resize(self.started.container.id, *size)
        if now - self._sampled < TICK:
            return
        self._sampled = now
        with suppress(StackctlError):
            reading = self.context.engine.sample([self.started.container]).get(self.started.container.id)
            self._trail = self._trail.add(reading, keep=DEFAULT_SUPERVISION.trail)
        if self.cancelled is not None and not self._done and (reason := self.cancelled()):
            self._stop(reason)
        if self._left() <= 0:
            self._expire()

    def _heed(self) -> None:
        """Stop it politely when that was wished once, and at once when it was wished again."""
        heard = self.terminal.heard()
        if heard and not self._done:
            self._stop(BY_HAND)
        elif heard > 1 and self._done == 1:
            self._done = 2
            self._beside(lambda context: context.engine.kill([self.started.container.id]))

    def _stop(self, reason: str) -> None:
        self._done, self._reason = 1, reason
        self._beside(lambda context: context.engine.stop([self.started.container.id]))

    def _beside(self, work: Callable[[Context], None]) -> None:
        """Do something in a thread, so that the streams go on meanwhile."""

        def run() -> None:
            context = self.contexts() if self.contexts is not None else self.context
            with suppress(StackctlError):  # it is ended again, and verified, at the end
                work(context)
            if context is not self.context:
                context.engine.close()

        if self.contexts is None:
            run()
        else:
            Thread(target=run, daemon=True).start()

    def _expire(self) -> None:
        """End it for its lifetime, as the supervisor would."""
        record = self.started.record
        action = Action(
            rule="expired",
            kind="end",
            project=record.project,
            phase="expired",
            reason=f"its lifetime of {show_duration(record.lifetime)} is over",
            incident=True,
        )
        with suppress(StackctlError):
            peaks = {"pids": self._trail.peak_pids, "memory": self._trail.peak_memory}
            self.context.store.write_peaks(record.project, {TASK_SERVICE: peaks})
        act(
            self.context,
            action,
            DEFAULT_SUPERVISION,
            trails=self.trails,
            rules=(expired,),
            command=self.command,
        )

    def _drain(self) -> None:
        """Show the last of its streams: they end with it."""
        streams = self.started.streams
        until = self.context.clock.now().boottime + DRAIN
        while streams is not None and not streams.closed and self.context.clock.now().boottime < until:
            if _readable([streams.fileno()], 0.2):
                self._show()
                until = self.context.clock.now().boottime + DRAIN  # whoever reads slowly loses nothing


def _readable(descriptors: Sequence[int], seconds: float) -> frozenset[int]:
    """Those that can be read within so many seconds, or have hung up; -1 stands for none."""
    waiting = (
        select.poll()
    )  # unlike select it takes descriptors of any number, and hundreds of tasks have them
    for descriptor in {one for one in descriptors if one >= 0}:
        waiting.register(descriptor, select.POLLIN)
    return frozenset(found for found, _ in waiting.poll(ceil(max(0.0, seconds) * 1000)))
