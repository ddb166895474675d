"""What the supervisor asks of an engine again and again: lean where this machine has its containers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.engine import parse
from stackctl.engine.connection import Connection

if TYPE_CHECKING:
    from stackctl.core.facts import Container, Event, HostMemory, Network, Process, Reading
    from stackctl.engine.events import EventStream
    from stackctl.engine.roster import Roster
    from stackctl.engine.sampler import Sampler
    from stackctl.engine.transport import Document

HOST_PROC = "STACKCTL_HOST_PROC"
"""Environment variable: where the process table of the engine's host is mounted, for one in a container."""
STATS = 30.0  # `docker stats` takes 2.6 s for 100 containers


class Sensors(Connection):
    """The engine as the supervisor's loop reads it."""

    _sampler: Sampler | None = None

    def local(self) -> bool:
        """Whether its containers' processes are this machine's; the engine is asked once.

        Raises:
            DaemonDown, EngineForbidden, DaemonFrozen: It cannot be asked, and never could.
        """
        return self._local

    @cached_property
    def _local(self) -> bool:
        return self._is_local(self._transport.info())

    def _is_local(self, info: Document) -> bool:
        return self._transport.local(info, outside=bool(self._environ.get(HOST_PROC)))

    @cached_property
    def proc(self) -> Path:
        """Where the process table of the engine's host is mounted."""
        return Path(self._environ.get(HOST_PROC) or "/proc")

    def sample(self, containers: Sequence[Container]) -> dict[str, Reading]:
        """What running containers use, by id: from their cgroups, or else from one batched `docker stats`.

        Those that cannot be sampled are left out. The daemon is not asked where the cgroups are at hand.

        Raises:
            DaemonDown, DaemonFrozen: The engine is remote and does not answer, see `stats.sample`.
        """
        if not self.local():
            from stackctl.engine import stats

            return stats.sample([one.id for one in containers], self.environment, STATS)
        if self._sampler is None:
            from stackctl.engine.sampler import Sampler

            self._sampler = Sampler(self.proc)
        return self._sampler.sample(containers)

    def processes(self, container: Container) -> tuple[Process, ...]:
        """A container's processes; empty when it does not run, or its engine cannot tell."""
        from stackctl.engine.processes import COLUMNS, parse_top, processes

        if self.local():
            return processes(container, self.proc, outside=bool(self._environ.get(HOST_PROC)))
        return parse_top(self._transport.top(container.id, COLUMNS), container.pid)

    def end_processes(
        self, container: Container, chosen: Sequence[Process], grace: float
    ) -> tuple[Process, ...]:
        """End processes of a container of this machine, as `strays.end_strays`; those that would not end."""
        from stackctl.engine.strays import end_strays

        return end_strays(container, chosen, grace, self.environment)

    def host_memory(self) -> HostMemory | None:
        """The memory of this host; None when the engine's containers are on another one."""
        from stackctl.engine import host

        return host.host_memory() if self.local() else None

    def events(self, labels: Mapping[str, str]) -> EventStream:
        """What happens from now on to containers with all the labels.

        Raises:
            DaemonDown, EngineForbidden, DaemonFrozen: The stream did not begin in time.
        """
        from stackctl.engine.events import EventStream

        return EventStream.open(self.line, labels, self._patience)

    def past_events(self, container_id: str, since: float, until: float) -> tuple[Event, ...]:
        """What the engine remembers of one container, as `events.past_events`."""
        return tuple(
            event
            for one in self._transport.past_events(container_id, since, until)
            if (event := parse.parse_event(one)) is not None
        )

    def roster(
        self, labels: Mapping[str, str], dirty: Collection[str] = frozenset(), full: bool = False
    ) -> tuple[Container, ...]:
        """Every container with all the labels, asking anew only of what changed, as `roster.Roster`."""
        return self._roster.containers(labels, dirty, full=full)

    @cached_property
    def _roster(self) -> Roster:
        from stackctl.engine.roster import Roster

        return Roster(self._transport)

    def networks_brief(self, labels: Mapping[str, str]) -> tuple[Network, ...]:
        """Networks with all the labels; without their members where one call gives them all."""
        return tuple(map(parse.parse_network, self._transport.brief("networks", labels)))

    def close(self) -> None:
        """Close what stays open between samples and questions."""
        super().close()
        if self._sampler is not None:
            self._sampler.close()
            self._sampler = None
