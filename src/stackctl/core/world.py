"""The world as the supervisor judges it: records, containers, readings and clocks, frozen at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from stackctl.core.deployment import Instant
    from stackctl.core.facts import Container, HostMemory, Network, Process, Reading
    from stackctl.core.records import EnvironmentRecord

Owner = Literal["none", "alive", "dead", "unknown"]
"""Whether a record has a lease, and whether its process lives; `dead` only when it is proven."""


@dataclass(frozen=True, slots=True)
class Trail:
    """What was read of one container, the oldest first.

    Args:
        readings: Of the last minute.
        missed: Samples in a row that could not be had; no sample is never zero.
        peak_pids, peak_memory: The most that was ever read; bytes.
    """

    readings: tuple[Reading, ...] = ()
    missed: int = 0
    peak_pids: int = 0
    peak_memory: int = 0

    @property
    def last(self) -> Reading | None:
        """The last reading; None when the last sample could not be had."""
        return self.readings[-1] if self.readings and not self.missed else None

    def add(self, reading: Reading | None, *, keep: float) -> Trail:
        """This trail and one more sample; readings older than `keep` seconds before it are dropped."""
        if reading is None:
            return replace(self, missed=self.missed + 1)
        oldest = reading.at - keep
        first = next((n for n, one in enumerate(self.readings) if one.at >= oldest), len(self.readings))
        return Trail(
            (*self.readings[first:], reading),
            0,
            max(self.peak_pids, reading.pids or 0),
            max(self.peak_memory, reading.memory or 0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One environment as the supervisor sees it.

    Args:
        containers, networks: Those whose labels agree with the record.
        owner: Of the record's lease.
        busy: An act upon it is under way.
        trails: Container id -> what was read of it.
        by_hand: Ids of ended containers that somebody asked docker to stop or kill.
        here: False when the record belongs to another engine than the one that was looked at.
        orphans: Container id -> what its service's guard would sweep, as it was last looked for.
        loosened: Container id -> what of its limits the kernel enforces no more, as it was last looked for.
    """

    record: EnvironmentRecord
    containers: tuple[Container, ...] = ()
    networks: tuple[Network, ...] = ()
    owner: Owner = "none"
    busy: bool = False
    trails: Mapping[str, Trail] = field(default_factory=dict)
    by_hand: frozenset[str] = frozenset()
    here: bool = True
    orphans: Mapping[str, tuple[Process, ...]] = field(default_factory=dict)
    loosened: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """An object with this state directory's labels that no record vouches for; it is kept and reported.

    Args:
        kind: container or network.
        why: One sentence: no record, another generation, a record that cannot be read.
    """

    kind: Literal["container", "network"]
    id: str
    name: str
    project: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything the verdicts are about.

    Args:
        now: The host's clocks.
        engine_time: The engine's clock, seconds since the epoch; objects' ages count by it.
        sampled: The sampler's clock when it last looked, for readings' ages.
        environments: Every readable record of this state directory with what the engine has of it.
        host: None where the engine's host is not this one.
        quiet: Key -> until when (boottime) nothing is said or done again: `<project>` after an act,
            `<project>/<service>/<rule>` after a report, `host` after an act for the host's sake.
    """

    now: Instant
    engine_time: float
    sampled: float = 0.0
    environments: tuple[Watched, ...] = ()
    strays: tuple[Stray, ...] = ()
    host: HostMemory | None = None
    quiet: Mapping[str, float] = field(default_factory=dict)

    def silent(self, key: str) -> bool:
        """Whether nothing is to be said or done for this key now."""
        return self.quiet.get(key, 0.0) > self.now.boottime

    def only(self, project: str) -> Watched | None:
        """The environment of a project."""
        return next((one for one in self.environments if one.record.project == project), None)


def readable(environments: Sequence[Watched]) -> Iterator[Watched]:
    """Those that may be judged: on this engine, and nobody acts on them."""
    return (one for one in environments if one.here and not one.busy)
