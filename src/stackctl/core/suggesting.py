"""Limits proposed from what the services of an environment were seen to use at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stackctl.core.limits import Layer
    from stackctl.core.records import ServiceRecord

MEMORY_ROOM = 1.5
"""Limit over peak working set: the peak is then at 67 % of it at most, and the watchdog acts at 80 %."""
LEAST_MEMORY = 64 << 20
"""Bytes: below it, page cache and one `exec` more decide whether a service lives."""
PIDS_ROOM = 2
"""Limit over peak of processes: the peak is then at half of the limit, and the watchdog acts at 78 % (200 of
256); processes come in bursts, memory less so."""
LEAST_PIDS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Memory in bytes and processes of one container; 0 for what is not known."""

    memory: int
    pids: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What one service might be limited to.

    Args:
        peak: The most that was measured.
        now: What holds.
        limits: What is proposed; what holds where nothing was measured.
    """

    service: str
    peak: Measure
    now: Measure
    limits: Measure

    @property
    def measured(self) -> bool:
        """Whether anything of it was measured at all."""
        return bool(self.peak.memory or self.peak.pids)

    @property
    def changes(self) -> dict[str, int]:
        """Limit name -> number, as far as it differs from what holds."""
        pairs = {"memory": (self.now.memory, self.limits.memory), "pids": (self.now.pids, self.limits.pids)}
        return {name: after for name, (before, after) in pairs.items() if before != after}


def suggest(
    services: Mapping[str, ServiceRecord], peaks: Mapping[str, Any], ceilings: Layer
) -> tuple[Suggestion, ...]:
    """A proposal for each service, in the order of their names.

    Memory is the peak working set times `MEMORY_ROOM`, rounded up to a neat size, at least `LEAST_MEMORY`;
    processes are the peak times `PIDS_ROOM`, at least `LEAST_PIDS`; neither is above the machine's ceiling.
    The peaks are the supervisor's samples, about one a second, so a shorter spike is not in them.

    Args:
        services: What holds for each.
        peaks: Service -> `memory` in bytes and `pids`, of its largest container.
    """
    return tuple(_suggest(name, services[name], peaks.get(name), ceilings) for name in sorted(services))


def _suggest(name: str, service: ServiceRecord, peak: Any, ceilings: Layer) -> Suggestion:
    known = peak if isinstance(peak, dict) else {}
    seen = Measure(memory=int(known.get("memory", 0)), pids=int(known.get("pids", 0)))
    memory = max(neat_size(int(seen.memory * MEMORY_ROOM)), LEAST_MEMORY) if seen.memory else service.memory
    pids = max(seen.pids * PIDS_ROOM, LEAST_PIDS) if seen.pids else service.pids
    return Suggestion(
        service=name,
        peak=seen,
        now=Measure(memory=service.memory, pids=service.pids),
        limits=Measure(memory=_below(memory, "memory", ceilings), pids=_below(pids, "pids", ceilings)),
    )


def _below(value: int, name: str, ceilings: Layer) -> int:
    return min(value, int(ceilings[name].value)) if name in ceilings else value


def neat_size(size: int) -> int:
    """The smallest of 64m, 96m, 128m, 192m, 256m, 384m … that is not below; at most a half above it."""
    power = 1 << max(size - 1, 1).bit_length()
    return power * 3 // 4 if power * 3 // 4 >= size else power
