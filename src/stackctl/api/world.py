"""What one client works with: its state directory, its settings, and an engine for each thread that calls."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args
from weakref import WeakSet

from stackctl.core.errors import UsageError

if TYPE_CHECKING:
    from stackctl.core.composefiles import Reader
    from stackctl.engine.docker import DockerEngine
    from stackctl.ops.context import Context
    from stackctl.ops.preparing import Prepared, Request
    from stackctl.ops.task_preparing import Kitchen

Supervision = Literal["auto", "manual"]
WATCH = 1.0
"""Seconds for which a supervisor that was just seen, or begun, is believed to be there."""
NAME = "the Python API"
"""What locks and leases say that works on something."""


class World:
    """The outside world of one client; of several in one process, none knows of another.

    Args:
        home: State directory, None for `STACKCTL_HOME` or the user's data directory.
        engine: Address of the engine, None for the one that the environment chooses.
        supervisor: Whether one is started where none watches; None as the environment and configuration say.
        folder: Where stacks, templates and relative paths are looked for.
        warn: Called with each warning.

    Raises:
        UsageError: There is no such word for `supervisor`.
        StateError: The state directory cannot be used or trusted.
        StackFileError: The user's configuration, or the machine's policy, cannot be read.
    """

    def __init__(
        self,
        *,
        home: str | Path | None,
        engine: str | None,
        supervisor: Supervision | None,
        folder: str | Path | None,
        warn: Callable[[str], None] | None,
    ) -> None:
        from stackctl.ops.keeping_watch import is_automatic
        from stackctl.ops.surroundings import find_places, read_configuration, read_machine_policy
        from stackctl.state.clock import SystemClock
        from stackctl.state.home import open_home
        from stackctl.state.layout import home_path
        from stackctl.state.store import FileStore

        if supervisor not in (None, *get_args(Supervision)):
            raise UsageError(
                f"supervisor is {supervisor!r}", hint="it is `auto`, `manual`, or None for what is configured"
            )
        self.environ = {**os.environ, **({"DOCKER_HOST": engine} if engine else {})}
        path = home_path(os.fspath(home) if home is not None else None, self.environ)
        self.store, self.clock = FileStore(open_home(path)), SystemClock()
        self.folder = Path(folder).resolve() if folder is not None else Path.cwd().resolve()
        self.places = find_places(self.folder, path)
        self.configuration, self.machine = read_configuration(), read_machine_policy(self.environ)
        self.automatic = (
            supervisor == "auto" if supervisor else is_automatic(self.environ, self.configuration)
        )
        self.warn = warn if warn is not None else _ignore
        self.kitchen: Kitchen = self._kitchen()
        self._own = threading.local()
        self._engines: WeakSet[DockerEngine] = WeakSet()
        self._guard, self._watching = threading.Lock(), threading.Lock()
        self._watched = float("-inf")
        self._closed = False

    def engine(self) -> DockerEngine:
        """The engine of the thread that asks; nothing is asked of it yet.

        Raises:
            UsageError: The client was closed.
        """
        found: DockerEngine | None = getattr(self._own, "engine", None)
        with self._guard:
            if self._closed:
                raise UsageError("this client was closed", hint="make another")
        if found is None:
            found = self._own.engine = self._new_engine()
            with self._guard:
                self._engines.add(found)
        return found

    def context(self) -> Context:
        """What the use cases take, for the thread that asks.

        Raises:
            UsageError: The client was closed.
        """
        return self._context(self.engine())

    def compose(self) -> Reader:
        """Has Compose read people's own files, with the variables of this process."""
        from stackctl.ops.reading_compose import reader

        return reader(self.engine, self.environ)

    def new_context(self) -> Context:
        """One with an engine of its own, which whoever uses it closes."""
        return self._context(self._new_engine())

    def watch(self) -> None:
        """See to it that a supervisor watches, where that is wanted."""
        if not self.automatic:
            return
        from stackctl.ops.keeping_watch import ensure_watched

        with self._watching:
            if self.clock.now().boottime - self._watched >= WATCH:
                ensure_watched(self.store, self.clock, self.environ, warn=self.warn)
                self._watched = self.clock.now().boottime

    def close(self) -> None:
        """Close every connection; nothing can be asked afterwards."""
        with self._guard:
            self._closed = True
            engines = list(self._engines)
        for engine in engines:
            engine.close()

    def _context(self, engine: DockerEngine) -> Context:
        from stackctl.ops.context import Context

        return Context(
            engine=engine,
            store=self.store,
            clock=self.clock,
            user=os.getuid(),
            group=os.getgid(),
            configuration=self.configuration,
            machine=self.machine,
            progress=_Warnings(self.warn),
        )

    def _new_engine(self) -> DockerEngine:
        from stackctl.engine.docker import DockerEngine

        return DockerEngine(self.environ)

    def _kitchen(self) -> Kitchen:
        from stackctl.ops.task_preparing import Kitchen

        return Kitchen(
            places=self.places,
            configuration=self.configuration,
            machine=self.machine,
            root=self.folder,
        )


class _Warnings:
    """A `Progress` that hands on warnings, and is silent otherwise."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self.warn = warn

    def step(self, text: str) -> None:
        """Say nothing."""

    def services(self, states: object) -> None:
        """Say nothing."""


def _ignore(text: str) -> None:
    """Tell nobody."""


def prepared_stack(world: World, request: Request, frozen: bool) -> Prepared:
    """A stack ready for `up`; a stale lock is warned of, with `frozen` refused, and so is a missing one.

    Raises:
        StackctlError: As `ops.preparing.prepare` and, with `frozen`, `ops.locking.heed`.
    """
    from stackctl.ops.preparing import prepare

    prepared = prepare(
        request,
        places=world.places,
        configuration=world.configuration,
        machine=world.machine,
        compose=world.compose(),
    )
    if prepared.lock is not None or frozen:
        _heed_lock(world, prepared, frozen)
    return prepared


def _heed_lock(world: World, prepared: Prepared, frozen: bool) -> None:
    from stackctl import __version__
    from stackctl.ops.locking import heed

    heed(
        prepared,
        frozen,
        progress=world.context().progress,
        configuration=world.configuration,
        compose=world.compose() if prepared.stack.compose else None,
        version=__version__,
        again=f"stackctl lock {prepared.stack.name}",
    )
