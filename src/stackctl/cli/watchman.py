"""The supervisor as a process: signals, waiting, heartbeat, and what it needs of the command line."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Protocol

from stackctl import __version__
from stackctl.core.errors import Busy, StackctlError
from stackctl.core.heartbeat import Heartbeat
from stackctl.core.labels import PREFIX
from stackctl.core.records import LIVE
from stackctl.core.supervision import DEFAULT_SUPERVISION
from stackctl.ops.keeping_watch import ensure_watched, is_automatic
from stackctl.ops.standing import LOCK

if TYPE_CHECKING:
    from types import FrameType

    from stackctl.cli.session import Session
    from stackctl.core.actions import Plan
    from stackctl.core.deployment import Instant
    from stackctl.core.facts import EngineFacts, Event
    from stackctl.core.supervision import Supervision
    from stackctl.core.world import World
    from stackctl.ops.context import Context
    from stackctl.ops.protocols import Events, Log
    from stackctl.state.notify import Notifier


class Watched(Protocol):
    """One engine that is watched."""

    @property
    def context(self) -> Context: ...

    @property
    def facts(self) -> EngineFacts | None: ...

    def hint(self, events: Iterable[Event]) -> None: ...

    def relist_soon(self) -> None: ...


class Watching(Protocol):
    """What is run: the supervisor of a state directory, or the agent of a node."""

    @property
    def limits(self) -> Supervision: ...

    @property
    def dry(self) -> bool: ...

    @property
    def watches(self) -> Mapping[str, Watched]: ...

    @property
    def blind(self) -> tuple[str, ...]: ...

    @property
    def frozen(self) -> bool: ...

    @property
    def acting(self) -> bool: ...

    def tick(self) -> tuple[float, tuple[World, ...], Plan]: ...

    def finish(self, patience: float) -> None: ...


@dataclass(kw_only=True)
class Watchman:
    """Runs a supervisor until it is told to leave.

    Args:
        interval: Seconds between two looks, 0 for the adaptive one.
        ours: The labels of what it watches; None for those of the state directory.
        begin: Called once it is the only one, before the first look.
        background: Leaves when nothing was left to watch for a while.
    """

    session: Session
    supervisor: Watching
    log: Log
    notifier: Notifier
    interval: float = 0.0
    background: bool = False
    ours: Mapping[str, str] | None = None
    begin: Callable[[], object] = bool
    _told: list[int] = field(default_factory=list)
    _streams: dict[str, Events] = field(default_factory=dict)
    _reopen: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.time)
    _idle_since: float | None = None
    _beaten: float = float("-inf")
    _seen: Instant = field(init=False)

    def __post_init__(self) -> None:
        self._seen = self.session.clock.now()

    def watch(self) -> int:
        """Hold the supervisor's lock and watch; the exit code.

        One that does nothing needs no lock: it may look on beside one that acts.

        Raises:
            Busy: Another supervisor holds it.
        """
        from stackctl.cli.preloading import preload

        preload()
        reader = self._catch_signals()
        if self.supervisor.dry:
            self._watch_on(reader)
            return 0
        self._hold(reader)
        with suppress(Busy):  # then another one watches
            while not self._told and self._is_needed():
                self._hold(reader)
        self.notifier.stopping()
        return 0

    def _hold(self, reader: int) -> None:
        session = self.session
        with session.store.lock(LOCK, command=session.command("supervise"), wait=1.0):
            self._watch_on(reader)

    def _watch_on(self, reader: int) -> None:
        self.log.write("began", pid=os.getpid(), version=__version__, home=str(self.session.store.home))
        try:
            self.begin()
            self._loop(reader)
        finally:
            if self._told:
                self.notifier.stopping()
            self.supervisor.finish(self.supervisor.limits.ending)
            self.log.write("left", words="what it watched runs on", signal=self._signal())

    def _is_needed(self) -> bool:
        """Whether something came up while it left: `up` saw the lock held then, and began none."""
        return any(record.phase in LIVE for record in self.session.store.records())

    def _signal(self) -> str:
        return signal.Signals(self._told[0]).name if self._told else ""

    def _loop(self, reader: int) -> None:
        ready = False
        while not self._told:
            pause, worlds = self._tick()
            if worlds is not None:
                if not ready:
                    self.notifier.ready()
                    ready = True
                self._beat(worlds, self.interval or pause)
                if self._has_nothing_to_do(worlds):
                    self.log.write("leaves", words="nothing has been left to watch for a while")
                    return
            self._wait(reader, self.interval or pause)

    def _tick(self) -> tuple[float, tuple[World, ...] | None]:
        """One look; a bug in it is logged, leaves no sign of life, and does not end the watch."""
        try:
            pause, worlds, _ = self.supervisor.tick()
        except StackctlError as error:
            self.log.write("failed", reason=str(error), words="this look is lost")
            return 1.0, None
        except Exception as error:
            import traceback

            self.log.write("bug", reason=repr(error), trace=traceback.format_exc())
            return 1.0, None
        return (0.1 if self.supervisor.acting and pause > 0.1 else pause), worlds

    def _beat(self, worlds: tuple[World, ...], pause: float) -> None:
        now = self.session.clock.now()
        if now.boottime - self._beaten < self.supervisor.limits.beat:
            return
        self._beaten = now.boottime
        good = not self.supervisor.frozen
        self._seen = now if good else self._seen
        live = [one for world in worlds for one in world.environments if one.record.phase in LIVE]
        beat = Heartbeat(
            version=__version__,
            pid=os.getpid(),
            since=self._since,
            wall=self._seen.wall,
            boottime=self._seen.boottime,
            boot=self._seen.boot,
            interval=pause,
            background=self.background,
            environments=len(live),
            containers=sum(len(one.containers) for one in live),
            blind=tuple(host or "the engine" for host in self.supervisor.blind),
        )
        if not self.supervisor.dry:
            with suppress(StackctlError):  # what cannot be written must not end the watch
                self.session.store.beat(beat.plain())
        self.notifier.status(f"watches {len(live)} environments, {beat.containers} containers")
        if good:
            self.notifier.beat()

    def _has_nothing_to_do(self, worlds: tuple[World, ...]) -> bool:
        """Whether one in the background may leave; never while an engine cannot be asked."""
        live = any(one.record.phase in LIVE for world in worlds for one in world.environments)
        if not self.background or live or self.supervisor.blind or self.supervisor.acting:
            self._idle_since = None
            return False
        now = self.session.clock.now().boottime
        self._idle_since = now if self._idle_since is None else self._idle_since
        return now - self._idle_since >= self.supervisor.limits.leave

    def _wait(self, reader: int, seconds: float) -> None:
        """Let time pass until the next look, a signal, or an event of ours."""
        self._open_streams()
        streams = {stream.fileno(): host for host, stream in self._streams.items()}
        waiting = select.poll()  # unlike select it takes descriptors of any number
        for descriptor in (reader, *streams):
            waiting.register(descriptor, select.POLLIN)
        for descriptor, _ in waiting.poll(ceil(max(0.0, seconds) * 1000)):
            if descriptor == reader:
                with suppress(BlockingIOError):
                    os.read(reader, 64)
            else:
                self._take_events(streams[descriptor])

    def _take_events(self, host: str) -> None:
        stream, watch = self._streams[host], self.supervisor.watches[host]
        watch.hint(stream.read())
        if stream.closed:
            watch.relist_soon()
            stream.close()
            del self._streams[host]
            self._reopen[host] = time.monotonic() + self.supervisor.limits.reopen

    def _open_streams(self) -> None:
        ours = self.ours or {f"{PREFIX}home": self.session.store.identity}
        for host in self._streams.keys() - self.supervisor.watches.keys():  # watched no more
            self._streams.pop(host).close()
        for host, watch in self.supervisor.watches.items():
            if host in self._streams or self._reopen.get(host, 0.0) > time.monotonic() or watch.facts is None:
                continue
            self._reopen[host] = time.monotonic() + self.supervisor.limits.reopen
            with suppress(StackctlError):
                stream = watch.context.engine.events(ours)
                if stream is not None:
                    self._streams[host] = stream
                    watch.relist_soon()

    def _catch_signals(self) -> int:
        """Let TERM, INT and HUP end the wait; the descriptor that becomes readable then."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

        def told(number: int, frame: FrameType | None) -> None:
            self._told.append(number)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, told)
        return reader


def automatic(session: Session) -> bool:
    """Whether `up` starts a supervisor when there is none.

    Raises:
        StackFileError: The configuration cannot be read.
    """
    return is_automatic(os.environ, session.configuration)


def ensure(session: Session) -> None:
    """Start a supervisor in the background where that is wanted and none watches, as `ensure_watched`."""
    if automatic(session):
        ensure_watched(session.store, session.clock, os.environ, warn=session.output.warn)


def hook(session: Session, log: Log) -> Callable[[bytes], None] | None:
    """What hands an incident to the user's `on_incident` command, None when there is none."""
    words = session.configuration.on_incident
    if not words:
        return None

    def tell(incident: bytes) -> None:
        from stackctl.engine.process import run

        try:
            done = run(words, timeout=DEFAULT_SUPERVISION.hook, env=os.environ, input=incident, cwd="/")
        except (StackctlError, OSError) as error:
            log.write("hook", command=words[0], result="failed", reason=str(error))
            return
        result = "done" if done.code == 0 else f"exit code {done.code}"
        log.write("hook", command=words[0], result=result, reason=done.stderr[-500:].strip())

    return tell


def contexts(session: Session) -> Callable[[str], Context]:
    """Makes contexts whose engine belongs to the thread that asks; "" for the usual engine."""
    from dataclasses import replace

    from stackctl.ops.context import Silence

    def make(host: str) -> Context:
        engine = session.engine_at(host, patience=DEFAULT_SUPERVISION.answer)
        return replace(session.context, engine=engine, progress=Silence())

    return make
