"""The supervisor's sign of life as data, and what its age says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from stackctl.core.supervision import DEFAULT_SUPERVISION
from stackctl.core.units import show_duration

if TYPE_CHECKING:
    from stackctl.core.deployment import Instant
    from stackctl.core.records import Lease

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Who watches, and when it last had a good look.

    Args:
        version: Of stackctl.
        since: When it began, seconds since the epoch.
        wall, boottime, boot: The clocks at its last good look.
        interval: Seconds until its next one.
        background: Started by `up`, leaves when nothing is left to watch.
        environments, containers: How many it watches.
        blind: Addresses of engines that cannot be asked now.
    """

    version: str
    pid: int
    since: float
    wall: float
    boottime: float
    boot: str
    interval: float = 1.0
    background: bool = False
    environments: int = 0
    containers: int = 0
    blind: tuple[str, ...] = ()
    schema: int = SCHEMA

    def plain(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return asdict(self)

    def age(self, now: Instant) -> float:
        """Seconds since its last good look, never negative."""
        passed = now.boottime - self.boottime if now.boot == self.boot else now.wall - self.wall
        return max(0.0, passed)


def from_plain(raw: Mapping[str, Any] | None) -> Heartbeat | None:
    """Read a heartbeat; None when there is none, or when a newer version wrote what this one cannot read."""
    if raw is None or raw.get("schema") != SCHEMA:
        return None
    try:
        known = {name: raw[name] for name in Heartbeat.__dataclass_fields__ if name in raw}
        return Heartbeat(**{**known, "blind": tuple(known.get("blind", ()))})
    except (TypeError, ValueError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the supervisor of a state directory stands.

    Args:
        holder: Who holds its lock, None when nobody does.
        beat: Its last heartbeat, None when there is none.
        age: Seconds since that.
    """

    holder: Lease | None
    beat: Heartbeat | None
    age: float = 0.0

    @property
    def alive(self) -> bool:
        """Whether a process holds the lock."""
        return self.holder is not None

    @property
    def stale(self) -> bool:
        """Whether it lives and has had no good look for too long, and not because an engine is silent.

        One that has only begun has none yet.
        """
        if self.beat is None or self.beat.blind:
            return False
        late = self.age > DEFAULT_SUPERVISION.stale_after(self.beat.interval)
        return self.alive and self._own_beat() and late

    @property
    def sound(self) -> bool:
        """Whether it watches: it lives, looks, and its engines answer."""
        blind = self.beat is not None and self._own_beat() and bool(self.beat.blind)
        return self.alive and not self.stale and not blind

    def _own_beat(self) -> bool:
        return self.holder is None or self.beat is None or self.holder.pid in (0, self.beat.pid)

    @property
    def words(self) -> str:
        """One phrase for people."""
        if self.holder is None:
            return "not running"
        who = f"pid {self.holder.pid}"
        if self.beat is None or not self._own_beat():
            return f"{who}, it has just begun"
        seen = f"last good look {show_duration(self.age) if self.age >= 1 else 'less than 1s'} ago"
        blind = f", it cannot ask {', '.join(self.beat.blind)}" if self.beat.blind else ""
        return f"{who}, {'HUNG: ' if self.stale else ''}{seen}{blind}"


def version_key(version: str) -> tuple[int, ...]:
    """A version as numbers that sort ("1.10.0" after "1.9.2"); what is no number counts as 0."""
    return tuple(int(part) if part.isdigit() else 0 for part in version.partition("+")[0].split("."))
