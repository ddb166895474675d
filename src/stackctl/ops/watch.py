"""What the supervisor remembers from look to look at one engine, and the world that it makes of it.

Polling is the truth: events only bring the next listing forward. What was seen is never more than a hint for
an act, which looks again for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from stackctl.core.facts import ENDED
from stackctl.core.labels import PREFIX, read_stamp
from stackctl.core.records import LIVE
from stackctl.core.recovery import RESTARTABLE, asked_to_end
from stackctl.core.world import Owner, Stray, Trail, Watched, World
from stackctl.ops.hearing import HAND, serving_since, stopped_by_hand
from stackctl.ops.looking import verified
from stackctl.ops.loosening import find_loosened
from stackctl.ops.sweeping import OrphanWatch

if TYPE_CHECKING:
    from stackctl.core.facts import Container, EngineFacts, Event, Network, Reading
    from stackctl.core.records import EnvironmentRecord, Lease
    from stackctl.core.supervision import Supervision
    from stackctl.ops.context import Context
    from stackctl.ops.protocols import Survey


class Watch:
    """One engine, watched.

    Args:
        context: Its engine is used by this object's thread alone.
        limits: The supervisor's numbers.
    """

    def __init__(self, context: Context, limits: Supervision) -> None:
        self.context, self._limits = context, limits
        self.facts: EngineFacts | None = None
        self._containers: tuple[Container, ...] = ()
        self._networks: tuple[Network, ...] = ()
        self._trails: dict[str, Trail] = {}
        self._hands: dict[tuple[str, float], bool] = {}
        self._dirty: set[str] = set()
        self._mine = context.store.lease("stackctl supervise")
        self._asked: dict[str, float] = {}
        self._listed = self._listed_all = self._sampled = float("-inf")
        self._known: tuple[EnvironmentRecord, ...] = ()
        self._groups: dict[str, tuple[list[Container], list[Network]]] = {}
        self._strays: tuple[Stray, ...] = ()
        self._peaks: dict[str, dict[str, Mapping[str, int]]] = {}
        self._ahead = 0.0
        self._orphans = OrphanWatch(context, limits)
        self._loosened: dict[str, dict[str, tuple[str, ...]]] = {}

    def hint(self, events: Iterable[Event]) -> None:
        """Take what the engine said as a reason to list sooner, and to inspect anew what it was about."""
        for event in events:
            # bound anew and not changed: the look may be in another thread's hands
            self._dirty = self._dirty | {event.id}
            self._listed = float("-inf")
            if asked_to_end(event, ""):
                self._asked = {**self._asked, event.id: event.at}

    def relist_soon(self) -> None:
        """Forget when the last listing was."""
        self._listed = float("-inf")

    def forget_connection(self) -> None:
        """After the engine could not be asked: everything is inspected anew when it answers again."""
        self._listed = self._listed_all = float("-inf")
        self.facts = None

    def look(
        self, survey: Survey, *, busy: frozenset[str] = frozenset(), quiet: Mapping[str, float] | None = None
    ) -> World:
        """Look once: list when it is due, sample what runs.

        Args:
            survey: What is remembered.
            busy: Projects that are acted upon now.
            quiet: As in `World`.

        Raises:
            EngineUnavailable, TimedOut, EngineRefused: The engine could not be asked; no world is better than
                a wrong one.
        """
        now = self.context.clock.now()
        self._list(now.boottime, survey)
        self._sample(now.boottime, survey.records)
        self._look_for_orphans(now.boottime, survey.records)
        return World(
            now=now,
            engine_time=now.wall + self._ahead,
            environments=tuple(self._watched(record, record.project in busy) for record in survey.records),
            strays=self._strays,
            host=self.context.engine.host_memory(),
            quiet=quiet or {},
        )

    def trails(self, containers: Iterable[Container]) -> dict[str, Trail]:
        """What was read of some containers, by id."""
        return {one.id: self._trails[one.id] for one in containers if one.id in self._trails}

    def all_trails(self) -> dict[str, Trail]:
        """Every trail there is, by container id, as it is now."""
        return dict(self._trails)

    def container(self, one: str) -> Container | None:
        """A container by id, as it was last listed."""
        return next((container for container in self._containers if container.id == one), None)

    def keep_peaks(self) -> None:
        """Write down the most that each service used, where it grew.

        Raises:
            StateError: The file system refused.
        """
        self._peaks = {name: peaks for name, peaks in self._peaks.items() if name in self._groups}
        for project, (containers, _) in self._groups.items():
            if project not in self._peaks:  # what another supervisor saw, or nothing after a purge
                self._peaks[project] = dict(self.context.store.peaks(project))
            before = self._peaks[project]
            found = higher(
                before, [(c.service, self._trails[c.id]) for c in containers if c.id in self._trails]
            )
            if found != before:
                self._peaks[project] = found
                self.context.store.write_peaks(project, found)

    def _list(self, now: float, survey: Survey) -> None:
        records = survey.records
        changed = records != self._known
        if now - self._listed < self._limits.relist and not changed and self.facts is not None:
            return
        engine = self.context.engine
        full = now - self._listed_all >= self._limits.full_relist
        if full or self.facts is None:
            self.facts = engine.facts()
            self._ahead = self.facts.system_time - self.context.clock.now().wall
        ours = {f"{PREFIX}home": self.context.store.identity}
        self._containers = engine.roster(ours, dirty=frozenset(self._dirty), full=full)
        self._networks = engine.networks_brief(ours)
        self._dirty = set()
        self._known, self._listed = records, now
        self._listed_all = now if full else self._listed_all
        self._trails = self.trails(self._containers)
        self._group(survey)
        self._learn_hands(records)
        if full:
            self._look_for_lost_limits(records)

    def _look_for_lost_limits(self, records: tuple[EnvironmentRecord, ...]) -> None:
        found = {
            one.project: find_loosened(self.context, one, self._groups.get(one.project, ((), ()))[0])
            for one in records
            if self.facts is not None and one.engine == self.facts.id
        }
        self._loosened = {project: lost for project, lost in found.items() if lost}

    def _learn_hands(self, records: tuple[EnvironmentRecord, ...]) -> None:
        """Ask of each ended container that wants a restart whether somebody ended it; once each."""
        by_project = {record.project: record for record in records}
        before, self._hands = self._hands, {}
        for one in self._containers:
            record = by_project.get(one.labels.get(f"{PREFIX}project", ""))
            if record is None or record.phase != "running" or one.state not in ENDED:
                continue
            asked = record.services.get(one.service)
            if asked is None or asked.restart.partition(":")[0] not in RESTARTABLE:
                continue
            key = (one.id, one.finished)
            self._hands[key] = before[key] if key in before else self._by_hand(one)
        there = {one.id for one in self._containers}
        self._asked = {one: at for one, at in self._asked.items() if one in there}

    def _by_hand(self, container: Container) -> bool:
        """Whether somebody ended a container: as was heard when it happened, else as docker remembers."""
        heard = self._asked.get(container.id, 0.0)
        if container.started <= heard <= container.finished + HAND:
            return heard >= serving_since(self.context)
        return stopped_by_hand(self.context, container)

    def _sample(self, now: float, records: tuple[EnvironmentRecord, ...]) -> None:
        interval = 0.0 if self.facts and self.facts.local else self._limits.remote_interval
        if now - self._sampled < interval:
            return
        live = {record.project for record in records if record.phase in LIVE}
        running = [
            one
            for one in self._containers
            if one.state in ("running", "paused") and one.labels.get(f"{PREFIX}project") in live
        ]
        readings = self.context.engine.sample(running)
        self._sampled = now
        for one in running:
            before = self._trails.get(one.id, Trail())
            self._trails[one.id] = before.add(readings.get(one.id), keep=self._limits.trail)
            missed = self._trails[one.id].missed
            if 0 < missed <= self._limits.blind_after:  # it may have ended, or run again as another process
                self._dirty.add(one.id)
                self._listed = float("-inf")

    def _look_for_orphans(self, now: float, records: tuple[EnvironmentRecord, ...]) -> None:
        if self.facts is not None and self.facts.local:
            here = [one for one in records if one.engine == self.facts.id]
            self._orphans.look(now, [(one, self._groups.get(one.project, ((), ()))[0]) for one in here])

    def _group(self, survey: Survey) -> None:
        """Sort what was listed by environment, and what no record vouches for aside."""
        records = {record.project: record for record in survey.records}
        unreadable = dict(survey.unreadable)
        self._groups, strays = {name: ([], []) for name in records}, []
        for one in self._containers:
            if why := why_stray(records, unreadable, one.labels):
                strays.append(_stray("container", one, why))
            else:
                self._groups[_project(one.labels)][0].append(one)
        for network in self._networks:
            if why := why_stray(records, unreadable, network.labels):
                strays.append(_stray("network", network, why))
            else:
                self._groups[_project(network.labels)][1].append(network)
        self._strays = tuple(strays)

    def _watched(self, record: EnvironmentRecord, busy: bool) -> Watched:
        containers, networks = self._groups.get(record.project, ((), ()))
        return Watched(
            record=record,
            containers=tuple(containers),
            networks=tuple(networks),
            owner=owner(self.context, record, self._mine),
            busy=busy,
            trails=self.trails(containers),
            by_hand=frozenset(c.id for c in containers if self._hands.get((c.id, c.finished))),
            here=self.facts is not None and record.engine == self.facts.id,
            orphans=self._orphans.of(containers),
            loosened=self._loosened.get(record.project, {}),
        )


def _stray(kind: Literal["container", "network"], thing: Container | Network, why: str) -> Stray:
    return Stray(kind=kind, id=thing.id, name=thing.name, project=_project(thing.labels), why=why)


def higher(
    before: Mapping[str, Mapping[str, int]], trails: Iterable[tuple[str, Trail]]
) -> dict[str, Mapping[str, int]]:
    """The peaks of an environment's services (pids, memory in bytes), raised to what their trails have."""
    found = dict(before)
    for service, trail in trails:
        known = found.get(service, {})
        pids = max(known.get("pids", 0), trail.peak_pids)
        found[service] = {"pids": pids, "memory": max(known.get("memory", 0), trail.peak_memory)}
    return found


def _project(labels: Mapping[str, str]) -> str:
    return labels.get(f"{PREFIX}project", "")


def why_stray(
    records: Mapping[str, EnvironmentRecord], unreadable: Mapping[str, str], labels: Mapping[str, str]
) -> str:
    """Why nothing vouches for an object with our label; empty when its record does."""
    project = _project(labels)
    record = records.get(project)
    if record is not None:
        stamp = read_stamp(labels)
        return "" if verified(record, stamp) else f"its labels are not those of the record of `{project}`"
    if project in unreadable:
        return f"the record of `{project}` cannot be read: {unreadable[project]}"
    return f"nothing is remembered of `{project}`"


def owner(context: Context, record: EnvironmentRecord, mine: Lease) -> Owner:
    """Whether a record has a lease, and whether its process lives.

    Args:
        mine: A lease of this process. A record with such a lease that nobody of us acts upon is left over
            from an act that failed, so that its owner counts as dead.
    """
    if record.lease is None:
        return "none"
    if (record.lease.boot, record.lease.pid, record.lease.started) == (mine.boot, mine.pid, mine.started):
        return "dead"
    alive = context.store.lease_alive(record.lease)
    return "unknown" if alive is None else "alive" if alive else "dead"


def with_reading(trail: Trail | None, reading: Reading | None, keep: float) -> Trail:
    """A trail with one fresh sample, for an act that looks again."""
    return replace(trail or Trail(), missed=0).add(reading, keep=keep)
