"""What the supervisor may do, and why: the actions that a plan is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from stackctl.core.records import Phase

ActionKind = Literal["end", "adopt", "lose", "restart", "spare", "halt", "remove", "sweep", "renew", "report"]
"""end: stop and remove everything of an environment, data kept, and record its `phase`.
adopt: call a `starting` environment running; what is half made of it is removed.
lose: record that nothing of it runs any more; nothing is removed.
restart: start one service's container again.
spare: record that somebody stopped a service by hand, so that it is not restarted.
halt: end one service, the rest lives on.
remove: remove what is left of an environment that has ended.
sweep: end the orphans in guarded services; everything else lives on.
renew: have limits written into the kernel again; everything lives on.
report: write an incident, and do nothing.
"""

Level = Literal["threshold", "urgent", "kernel"]
Measure = Literal["pids", "memory", "host memory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """Which mark was passed; pids in processes, memory in bytes.

    Args:
        level: threshold (it held for `held` seconds), urgent (at once), kernel (the limit itself was hit).
        reading: What was read.
        mark: Where the watchdog acts.
        limit: What the kernel enforces; the host's total for the host, 0 where there is none.
        held: Seconds that it was over the mark.
    """

    measure: Measure
    level: Level
    reading: int
    mark: int
    limit: int = 0
    held: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing to do.

    Args:
        rule: The rule that asks for it.
        project: The environment; empty for the host.
        service, container: What it is about; empty for the whole environment.
        phase: What the record ends as, for `end`.
        reason: One sentence for people.
        violation: Set by the watchdog's rules.
        incident: Whether it is written down as an enforcement.
        mark: What tells this occasion of a report from the next one, which is then told as well.
    """

    rule: str
    kind: ActionKind
    project: str = ""
    service: str = ""
    container: str = ""
    phase: Phase = "stopped"
    reason: str
    violation: Violation | None = None
    incident: bool = False
    mark: str = ""

    @property
    def key(self) -> str:
        """What is quiet for a while once this was done: the environment, or what ends nothing of it."""
        if self.kind in ("sweep", "renew"):
            return f"{self.project}//{self.rule}"
        if self.kind == "report" or not self.project:
            return f"{self.project}/{self.service}/{self.rule}" + (f"/{self.mark}" if self.mark else "")
        return self.project

    def plain(self) -> dict[str, str]:
        """As plain data, for JSON and the log."""
        return {
            "project": self.project,
            "service": self.service,
            "rule": self.rule,
            "action": self.kind,
            "phase": self.phase if self.kind == "end" else "",
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done now: at most one act for each environment, and reports."""

    acts: tuple[Action, ...] = ()
    reports: tuple[Action, ...] = ()

    def for_project(self, project: str) -> Action | None:
        """The act upon one environment."""
        return next((act for act in self.acts if act.project == project), None)
