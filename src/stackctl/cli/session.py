"""What one command works with, made when it is first needed: settings, state, engine, and whom to tell."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stackctl.cli.output import Output
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.stack import Configuration, MachinePolicy
    from stackctl.engine.driving import Driver
    from stackctl.ops.context import Context
    from stackctl.ops.failpoints import Points
    from stackctl.ops.finding import Places
    from stackctl.ops.protocols import Clock, Engine, Store


class Session:
    """The outside world of one command line."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self._driver: Driver | None = None

    @cached_property
    def store(self) -> Store:
        """The state directory.

        Raises:
            StateError: It cannot be used or trusted.
        """
        from stackctl.state.home import open_home
        from stackctl.state.layout import home_path
        from stackctl.state.store import FileStore

        store = FileStore(open_home(home_path(self.output.home, os.environ)))
        if self._points is None:
            return store
        from stackctl.ops.failpoints import wrap_store

        return wrap_store(store, self._points)

    @cached_property
    def engine(self) -> Engine:
        """The engine; nothing is asked of it yet."""
        return self.engine_at("", driver=self._driver)

    def begin_driver(self, stack: str) -> None:
        """Begin what drives Compose before all else, where no environment of such a name seems to run."""
        from stackctl.engine.driving import begin
        from stackctl.state.glance import seems_to_run
        from stackctl.state.layout import home_path

        if not seems_to_run(home_path(self.output.home, os.environ), stack):
            self._driver = begin(os.environ)

    def engine_at(self, host: str, *, patience: float = 0.0, driver: Driver | None = None) -> Engine:
        """An engine of its own for one thread; nothing is asked of it yet.

        Args:
            host: Its address, empty for the one that the environment chooses.
            patience: Seconds within which it must answer a question, 0 for the usual ones.
            driver: What was begun to drive Compose for it.
        """
        from stackctl.engine.connection import PATIENCE
        from stackctl.engine.docker import DockerEngine
        from stackctl.engine.endpoint import endpoint_at

        at = endpoint_at(host, os.environ) if host else None
        engine = DockerEngine(os.environ, patience=patience or PATIENCE, endpoint=at)
        if driver is not None:
            engine.warm(driver)
        if self._points is None:
            return engine
        from stackctl.ops.failpoints import wrap_engine

        return wrap_engine(engine, self._points)

    @cached_property
    def _points(self) -> Points | None:
        """Where tests make this command die or fail; None for everybody else."""
        order, trace = (
            os.environ.get("STACKCTL_FAILPOINT", ""),
            os.environ.get("STACKCTL_FAILPOINT_TRACE", ""),
        )
        if os.environ.get("STACKCTL_TEST") != "1" or not (order or trace):
            return None
        from stackctl.ops.failpoints import Points

        return Points(order, trace)

    @cached_property
    def clock(self) -> Clock:
        """The clocks of this host."""
        from stackctl.state.clock import SystemClock

        return SystemClock()

    @cached_property
    def places(self) -> Places:
        """Where stacks and templates are looked for."""
        from stackctl.ops.surroundings import find_places
        from stackctl.state.layout import home_path

        return find_places(Path.cwd(), home_path(self.output.home, os.environ))

    @cached_property
    def configuration(self) -> Configuration:
        """The user's `config.yaml`, or the defaults."""
        from stackctl.ops.surroundings import read_configuration

        return read_configuration()

    @cached_property
    def machine(self) -> MachinePolicy:
        """The machine's policy, or none."""
        from stackctl.ops.surroundings import read_machine_policy

        return read_machine_policy(os.environ)

    @cached_property
    def context(self) -> Context:
        """What the use cases take."""
        from stackctl.cli.progress import progress_for
        from stackctl.ops.context import Context

        return Context(
            engine=self.engine,
            store=self.store,
            clock=self.clock,
            user=os.getuid(),
            group=os.getgid(),
            configuration=self.configuration,
            machine=self.machine,
            progress=progress_for(self.output),
        )

    def close(self) -> None:
        """Let go of what was begun in the background, before the process ends."""
        if "engine" in vars(self):
            self.engine.close()
        elif self._driver is not None:
            self._driver.close()

    def environment(self, name: str | None, instance: str = "") -> EnvironmentRecord:
        """The environment that a word means; without one, that of this folder's compose file.

        Raises:
            UnknownName: It means none, or more than one.
        """
        from stackctl.ops.naming import environment, environment_of_folder

        if name is None:
            return environment_of_folder(self.places, instance, self.store)
        return environment(name, instance, self.places, self.store)

    def aimed(
        self,
        name: str | None,
        words: Sequence[str],
        instance: str = "",
        belongs: Callable[[EnvironmentRecord, str], bool] | None = None,
    ) -> tuple[EnvironmentRecord, tuple[str, ...]]:
        """The environment of `[NAME] [SERVICE]...`, and the words without its name.

        Args:
            belongs: Whether a word is something of an environment; a service unless given.

        Raises:
            UnknownName: The first word means none, or more than one.
        """
        from stackctl.ops.naming import aimed, has_service

        every = (*(() if name is None else (name,)), *words)
        return aimed(every, instance, self.places, self.store, belongs=belongs or has_service)

    def command(self, *words: str) -> str:
        """What this command is called in locks, leases and messages; never a value of `--set`."""
        return " ".join(("stackctl", *(word for word in words if word)))
