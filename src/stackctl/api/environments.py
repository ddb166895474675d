"""Environments as a program holds them: what runs, where it is reached, what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stackctl.api.world import NAME
from stackctl.core.errors import StateError

if TYPE_CHECKING:
    from stackctl.api.asking import Command
    from stackctl.api.outcomes import Completed
    from stackctl.api.services import Service
    from stackctl.api.world import World
    from stackctl.core.facts import Container
    from stackctl.core.records import EnvironmentRecord
    from stackctl.ops.status import EnvironmentView, ServiceView

EXEC_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """How one service stands.

    Args:
        state: In one or two words, as `stackctl status` has it.
        ready: Whether it stands as it should.
        memory, memory_limit: Working set, and its limit, in bytes; None where it could not be read.
        pids, pids_limit: Processes and threads, and their limit; None likewise.
        cpus, cpus_limit: Processors' worth of time, and their limit; None likewise.
    """

    state: str
    ready: bool
    memory: int | None
    memory_limit: int
    pids: int | None
    pids_limit: int
    cpus: float | None
    cpus_limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How an environment stands.

    Args:
        phase: `starting`, `running`, `stopping`, `stopped`, `failed`, `expired`, `killed` or `lost`.
        healthy: It runs, and every service stands as it should.
        left: Seconds of its lifetime that are left; negative when it is over.
        services: By name.
        reason: Why it ended, empty while it has not.
    """

    phase: str
    healthy: bool
    left: float
    services: Mapping[str, ServiceStatus] = field(default_factory=dict)
    reason: str = ""


class Environment:
    """One environment, whoever brought it up; any thread may call any method.

    Attributes:
        project: Its project's name, unique on this machine.
        stack: The stack that it is made from.
        instance: Name of the instance, empty for the first.
    """

    def __init__(self, world: World, record: EnvironmentRecord) -> None:
        self._world = world
        self.project, self.stack, self.instance = record.project, record.stack, record.instance

    def __repr__(self) -> str:
        return f"<Environment {self.project}>"

    @property
    def phase(self) -> str:
        """Where it stands, as it was last written down.

        Raises:
            StateError: Nothing is remembered of it any more.
        """
        return self._record().phase

    @property
    def services(self) -> Mapping[str, Service]:
        """Its services by name, sidecars too; those that do not run have no URL.

        Raises:
            EngineUnavailable, TimedOut: The engine cannot be asked.
        """
        from stackctl.api.services import services_of
        from stackctl.ops.reaching import addresses, secret_values

        record = self._record()
        where = addresses(record, self._containers(), secret_values(self._world.context(), record))
        return services_of(record, where, self._world.store.folder(self.project))

    @property
    def urls(self) -> dict[str, str]:
        """Service -> its URL as seen from this host, passwords included; without those not published."""
        return {name: one.urls["host"] for name, one in self.services.items() if "host" in one.urls}

    @property
    def variables(self) -> dict[str, str]:
        """What `stackctl env` prints, passwords included: `DB_URL`, `DB_HOST`, `DB_PORT`, `DATABASE_URL`."""
        from stackctl.ops.reaching import addresses, secret_values, variables

        record = self._record()
        secrets = secret_values(self._world.context(), record)
        return variables(record, addresses(record, self._containers(), secrets))

    def status(self) -> Status:
        """How it stands: services, usage against limits, lifetime left. Takes 0.15 s to measure cpus.

        Raises:
            EngineUnavailable, TimedOut: The engine cannot be asked.
        """
        from stackctl.ops.status import status

        return _status(status(self._world.context(), self.project))

    def exec(
        self,
        service: str,
        command: Command,
        *,
        user: str = "",
        workdir: str = "",
        env: Mapping[str, str] | None = None,
        timeout: float = EXEC_SECONDS,
    ) -> Completed:
        """Run a command in a running service, to its end; as `Task.exec`.

        Raises:
            UnknownName: It has no such service.
            ServiceFailed: That does not run.
            TimedOut: It did not end in time; it goes on in the container.
            EngineRefused: The command could not be run, or wrote more than 64 MiB.
        """
        from stackctl.api.executing import How, execute

        how = How(user=user, workdir=workdir, env=env or {}, seconds=timeout)
        return execute(self._world, self._record(), service, command, how)

    def logs(self, service: str) -> str:
        """What a service wrote, as far as its log has it; of several containers, one after the other.

        Raises:
            UnknownName: It has no such service.
            EngineUnavailable, TimedOut: The engine cannot be asked.
        """
        from stackctl.ops.naming import known_service

        known_service(self._record(), service)
        engine = self._world.engine()
        found = [engine.output(one.id) for one in self._containers() if one.service == service]
        return b"".join(found).decode(errors="replace")

    def down(self) -> None:
        """End it: its containers and networks are removed, its data stays. One that is down stays so.

        Raises:
            Busy: Another command is working on it.
            EngineRefused: Something of it cannot be removed.
        """
        from stackctl.ops.down import down

        down(self._world.context(), self.project, command=NAME)

    def _record(self) -> EnvironmentRecord:
        record = self._world.store.read(self.project)
        if record is None:
            raise StateError(f"nothing is remembered of `{self.project}`", hint="bring it up again")
        return record

    def _containers(self) -> tuple[Container, ...]:
        from stackctl.ops.looking import look

        return look(self._world.context(), self.project).containers


def _status(view: EnvironmentView) -> Status:
    ending = view.record.ending
    return Status(
        phase=view.record.phase,
        healthy=view.healthy,
        left=view.left,
        services={one.name: _service(one) for one in view.services},
        reason=ending.reason if ending is not None else "",
    )


def _service(view: ServiceView) -> ServiceStatus:
    asked, usage = view.asked, view.usage
    return ServiceStatus(
        state=view.words,
        ready=view.standing == "ready",
        memory=usage.memory,
        memory_limit=asked.memory,
        pids=usage.pids,
        pids_limit=asked.pids,
        cpus=usage.cpu,
        cpus_limit=asked.cpus,
    )
