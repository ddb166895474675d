"""Every number that the supervisor works by, each with the sentence that says what it bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

HostPressure = Literal["report", "act"]
_ENDING = 15.0


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
    oom_again: float = _number(30.0, "until a further end of a process for memory is reported")
    busy_again: float = _number(2.0, "until an environment that another command works on is tried again")
    longest_blind: float = _number(30.0, "until an engine that could not be asked is asked again, at most")
    peaks: float = _number(10.0, "between two writings of what services used at most")
    report_again: float = _number(300.0, "until the same report is written again")
    restarts: int = _number(3, "restarts of one service within `restart_period`, then it has failed")
    restart_period: float = _number(600.0, "within which restarts are counted")
    restart_delay: float = _number(5.0, "from one restart until the next; four times as long for the third")
    grace: float = _number(180.0, "that an object may be without its record before it is a leftover")
    retry: float = _number(5.0, "until a failed ending is tried again; doubled each time")
    longest_retry: float = _number(300.0, "between two tries at most")
    host_warn: float = _number(0.10, "of the host's memory available below which is warned")
    host_act: float = _number(0.04, "of the host's memory available below which is reported or acted")
    host_pressure: HostPressure = _number("report", "what is done when the host runs out of memory")
    sweep: float = _number(10.0, "between two readings of a guarded container's processes, and two sweeps")
    tables: int = _number(8, "containers whose processes are read in one look")
    many_orphans: int = _number(50, "orphans swept at once that are reported as an incident")
    acts: int = _number(16, "environments that are acted upon at once")
    reports: int = _number(8, "reports that are written at once; further ones wait for the next look")
    leave: float = _number(600.0, "without anything to watch until a supervisor in the background leaves")
    beat: float = _number(1.0, "between two signs of life at least")
    stale: float = _number(15.0, "without a good look after which a supervisor counts as hung, at least")
    stale_looks: float = _number(
        3.0, "looks that may be missing before a supervisor with long pauses is hung"
    )
    second_look: float = _number(3.0, "that one which seems hung gets to show that it lives")
    ending: float = _number(_ENDING, "that acts under way get when the supervisor is told to leave")
    handover: float = _number(
        _ENDING + 5.0, "that one which was told to leave gets; longer than its `ending`"
    )
    once: float = _number(120.0, "that a single look waits for the acts that it began")
    reopen: float = _number(5.0, "until an event stream that ended is opened again")
    lead: float = _number(5.0, "between two looks of a Swarm's manager at what has outlived its time")
    lead_share: float = _number(
        0.05, "of the time that it looks at most: a large Swarm is looked at less often"
    )
    lead_worker: float = _number(30.0, "until a node that is no manager asks again whether it is one")
    hook: float = _number(10.0, "that an `on_incident` command may take")
    answer: float = _number(10.0, "that an engine gets to answer; readings go on, and nobody is ended")

    def restart_after(self, restarts: int) -> float:
        """Seconds from the last restart until one more, after so many within the period."""
        return self.restart_delay * 4.0 ** (restarts - 1) if restarts else 0.0

    def retry_after(self, attempts: int) -> float:
        """Seconds until an ending that failed so often is tried again."""
        return min(self.retry * 2.0 ** min(max(attempts - 1, 0), 16), self.longest_retry)

    def stale_after(self, interval: float) -> float:
        """Seconds without a good look after which one that looks every so many seconds counts as hung."""
        return max(self.stale, self.stale_looks * interval)


DEFAULT_SUPERVISION = Supervision()
