"""Every number that the supervisor works by, each with the sentence that says what it bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

HostPressure = Literal["report", "act"]


def _number(default: Any, sentence: str) -> Any:
    return field(default=default, metadata={"sentence": sentence})


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """How the supervisor looks and acts; times in seconds, shares of 1.

    Sources: restarts as in Erlang's supervisors (an intensity in a period, then it gives up); cool-down as in
    oomd and earlyoom; two levels as kubelet has them; the grace of minutes as Nomad's reconciliation has it.
    """

    interval: float = _number(1.0, "between two looks")
    least_interval: float = _number(0.2, "between two looks when something comes near its threshold")
    idle_interval: float = _number(5.0, "between two looks when there is nothing to watch")
    relist: float = _number(10.0, "between two listings of every object; events only make it sooner")
    full_relist: float = _number(60.0, "between two listings that inspect every object anew")
    remote_interval: float = _number(
        15.0, "between two batched `docker stats` where cgroups are out of reach"
    )
    trail: float = _number(60.0, "of readings that are kept for each container")
    blind_after: int = _number(3, "missing samples in a row that are an alarm")
    cooldown: float = _number(15.0, "after an act until the same environment is acted upon again")
    report_again: float = _number(300.0, "until the same report is written again")
    restarts: int = _number(3, "restarts of one service within `restart_period`, then it has failed")
    restart_period: float = _number(600.0, "within which restarts are counted")
    grace: float = _number(180.0, "that an object may be without its record before it is a leftover")
    retry: float = _number(5.0, "until a failed ending is tried again; doubled each time")
    longest_retry: float = _number(300.0, "between two tries at most")
    host_warn: float = _number(0.10, "of the host's memory available below which is warned")
    host_act: float = _number(0.04, "of the host's memory available below which is reported or acted")
    host_pressure: HostPressure = _number("report", "what is done when the host runs out of memory")
    acts: int = _number(16, "environments that are acted upon at once")
    leave: float = _number(600.0, "without anything to watch until a supervisor in the background leaves")

    def retry_after(self, attempts: int) -> float:
        """Seconds until an ending that failed so often is tried again."""
        return min(self.retry * 2.0 ** min(max(attempts - 1, 0), 16), self.longest_retry)


DEFAULT_SUPERVISION = Supervision()
