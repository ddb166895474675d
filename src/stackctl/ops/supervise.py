"""The supervisor: look, decide, act, beat, again and again, until there is nothing left to watch.

It remembers nothing that matters: labels and records are the memory, so that one which is killed, replaced or
started a day later goes on as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from stackctl.core.actions import Plan
from stackctl.core.errors import StackctlError, StateError
from stackctl.core.pace import next_look
from stackctl.core.verdicts import decide
from stackctl.ops.acting import Outcome, act, tell
from stackctl.ops.evidence import keep, new_incident, with_evidence
from stackctl.ops.watches import Watches

if TYPE_CHECKING:
    from stackctl.core.actions import Action
    from stackctl.core.facts import Container
    from stackctl.core.supervision import Supervision
    from stackctl.core.world import Trail, World
    from stackctl.ops.context import Context
    from stackctl.ops.protocols import Log
    from stackctl.ops.watch import Watch

HOST = "host"
"""Key of the quiet time after an act for the host's sake."""
FOREVER = float("inf")


@dataclass(kw_only=True)
class Supervisor:
    """One supervisor of one state directory.

    Args:
        contexts: Makes a context whose engine belongs to the thread that asks; "" for the usual engine, else
            its address.
        limits: The numbers that it works by.
        log: Gets one line for each decision, none for a look at which nothing happened.
        told: Gets each incident as JSON.
        dry: Say what would be done, and do nothing.
    """

    contexts: Callable[[str], Context]
    limits: Supervision
    log: Log
    told: Callable[[bytes], None] | None = None
    dry: bool = False
    _quiet: dict[str, float] = field(default_factory=dict)
    _busy: dict[str, Action] = field(default_factory=dict)
    _outcomes: SimpleQueue[Outcome] = field(default_factory=SimpleQueue)
    _reports: list[Thread] = field(default_factory=list)
    _unfinished: dict[str, str] = field(default_factory=dict)
    _peaks_at: float = 0.0
    _watches: Watches = field(init=False)

    def __post_init__(self) -> None:
        self._watches = Watches(self.contexts, self.limits, self.log)

    @property
    def watches(self) -> Mapping[str, Watch]:
        """The engines that are watched, by address; "" is the usual one."""
        return self._watches.by_host

    @property
    def frozen(self) -> bool:
        """Whether an engine accepts questions and never answers: such a look is no good one."""
        return self._watches.frozen

    @property
    def blind(self) -> tuple[str, ...]:
        """Addresses of the engines that could not be asked when they were last tried."""
        return self._watches.blind

    @property
    def acting(self) -> bool:
        """Whether something is being done now."""
        return bool(self._busy)

    @property
    def unfinished(self) -> tuple[str, ...]:
        """What failed or is stuck and was not put right since, a sentence each."""
        return tuple(self._unfinished.values())

    @property
    def _context(self) -> Context:
        return self._watches.by_host[""].context

    def tick(self) -> tuple[float, tuple[World, ...], Plan]:
        """One look at everything, and what follows from it.

        Returns:
            Seconds until the next look, the worlds that were seen, and what was decided.
        """
        self._collect()
        survey = self._context.store.recall()
        now = self._now()
        self._quiet = {key: until for key, until in self._quiet.items() if until > now}
        self._watches.choose(survey.records)
        worlds, pauses, plans = [], [], []
        for host, world in self._watches.look(survey, frozenset(self._busy), self._quiet):
            plan = decide(world, self.limits)
            self._carry_out(host, plan)
            self._alarm(world)
            worlds.append(world)
            plans.append(plan)
            pauses.append(next_look(world, self.limits))
        self._keep_peaks(now)
        plan = Plan(
            acts=tuple(act for one in plans for act in one.acts),
            reports=tuple(report for one in plans for report in one.reports),
        )
        return min(pauses, default=self.limits.interval), tuple(worlds), plan

    def finish(self, patience: float) -> None:
        """Let what is being done and told come to its end, for so many seconds."""
        until = self._now() + patience
        while self._busy and self._now() < until:
            self._collect(wait=0.1)
        for one in self._reports:
            one.join(max(0.0, until - self._now()))

    def _now(self) -> float:
        return self._context.clock.now().boottime

    # Acts

    def _carry_out(self, host: str, plan: Plan) -> None:
        for action in plan.acts:
            if self.dry:
                self._hush(action, self.limits.report_again)
                self.log.write("would", **_words(action))
            elif action.project not in self._busy and len(self._busy) < self.limits.acts:
                self._begin(host, action)
        for action in plan.reports:
            if len(self._reports) >= self.limits.reports:
                self._reports = [one for one in self._reports if one.is_alive()]
            if len(self._reports) < self.limits.reports:
                self._report(host, action)

    def _begin(self, host: str, action: Action) -> None:
        self._busy[action.project] = action
        if action.rule == "squeezing_host":
            self._quiet[HOST] = FOREVER  # until it has ended: one at a time
        if self._quiet.get(_busy_key(action), 0.0) <= self._now():
            self.log.write("acts", **_words(action))
        trails = self._watches.by_host[host].all_trails()
        try:
            Thread(target=self._act, args=(host, action, trails), daemon=True).start()
        except RuntimeError as error:  # no more threads to be had
            self._outcomes.put(Outcome(action=action, result="failed", words=str(error)))

    def _act(self, host: str, action: Action, trails: Mapping[str, Trail]) -> None:
        try:
            context = self.contexts(host)
            try:
                outcome = act(context, action, self.limits, trails=trails, told=self.told)
            finally:
                context.engine.close()
        except StackctlError as error:
            outcome = Outcome(action=action, result="failed", words=str(error))
        except Exception as error:
            import traceback

            self.log.write("bug", project=action.project, trace=traceback.format_exc())
            outcome = Outcome(action=action, result="failed", words=f"a bug: {error!r}")
        self._outcomes.put(outcome)

    def _collect(self, wait: float = 0.0) -> None:
        """Take the outcomes of what was done since."""
        while True:
            try:
                outcome = self._outcomes.get(timeout=wait) if wait else self._outcomes.get_nowait()
            except Empty:
                return
            self._busy.pop(outcome.action.project, None)
            self._hush(outcome.action, self._pause_after(outcome))
            if outcome.action.rule == "squeezing_host":
                self._quiet[HOST] = self._now() + self.limits.cooldown
            if outcome.action.rule == "over_pids":  # its incident tells of the refused forks already
                refused = f"{outcome.action.project}/{outcome.action.service}/fork_refused"
                self._quiet[refused] = self._now() + self.limits.report_again
            self._watches.relist_soon()
            self._note(outcome)

    def _pause_after(self, outcome: Outcome) -> float:
        """Seconds for which the environment is left alone; what was ended leaves nothing to cool down."""
        if outcome.result == "busy":
            return self.limits.busy_again
        if outcome.action.kind == "sweep":  # what was seen before it is not to ask for another one
            swept = outcome.result in ("done", "recovered")
            return self.limits.sweep if swept else self.limits.report_again
        if outcome.action.kind == "renew":  # what was read before it stands until all is read again
            renewed = outcome.result in ("done", "recovered")
            return self.limits.full_relist if renewed else self.limits.report_again
        if outcome.result == "recovered":
            return 0.0
        whole = outcome.result == "done" and outcome.action.kind != "halt"
        return 0.0 if whole else self.limits.cooldown

    def _note(self, outcome: Outcome) -> None:
        action = outcome.action
        if outcome.result in ("stuck", "failed") and action.kind != "sweep":
            self._unfinished[action.project] = f"`{action.project}`: {outcome.words}"
        else:
            self._unfinished.pop(action.project, None)
        if outcome.result == "busy" and self._told_busy(action):
            return
        about = {"incident": outcome.incident} if outcome.incident else {}
        self.log.write(
            outcome.result,
            project=action.project,
            rule=action.rule,
            words=outcome.words,
            seconds=round(outcome.took, 2),
            **about,
        )

    def _told_busy(self, action: Action) -> bool:
        """Whether it was said lately that somebody else works on it; from now on it was."""
        key = _busy_key(action)
        told = self._quiet.get(key, 0.0) > self._now()
        self._quiet[key] = self._now() + self.limits.report_again
        return told

    def _hush(self, action: Action, seconds: float) -> None:
        self._quiet[action.key] = self._now() + seconds

    # Reports

    def _report(self, host: str, action: Action) -> None:
        """Write a report and tell of it, beside the watch: evidence and hooks may take their time."""
        self._hush(action, FOREVER if action.mark else self.limits.report_again)
        if action.rule == "oom":
            self._quiet[f"{action.project}/{action.service}/oom"] = self._now() + self.limits.oom_again
        if action.rule == "fork_refused":  # once for each end, and of many ends not each
            again = self._now() + self.limits.report_again
            self._quiet[f"{action.project}/{action.service}/fork_refused"] = again
        self.log.write("reports", **_words(action))
        if not action.incident or self.dry:
            return
        watch = self._watches.by_host[host]
        found, trails = watch.container(action.container), watch.all_trails()
        report = Thread(target=self._write_report, args=(host, action, found, trails), daemon=True)
        with suppress(RuntimeError):
            report.start()
            self._reports.append(report)

    def _write_report(
        self, host: str, action: Action, container: Container | None, trails: Mapping[str, Trail]
    ) -> None:
        try:
            context = self.contexts(host)
            try:
                record = context.store.read(action.project) if action.project else None
                incident = new_incident(context, action, record)
                incident = with_evidence(context, incident, container, trails)
                keep(context, incident)
            finally:
                context.engine.close()
            tell(self.told, incident)
        except StackctlError as error:
            self.log.write("failed", project=action.project, rule=action.rule, words=str(error))

    def _alarm(self, world: World) -> None:
        """Say once for a while that a container that runs gives no samples."""
        for one in world.environments:
            for container in one.containers:
                trail = one.trails.get(container.id)
                key = f"{one.record.project}/{container.service}/no_sample"
                if trail is None or trail.missed < self.limits.blind_after or world.silent(key):
                    continue
                if container.state == "running" and not one.busy:
                    self._quiet[key] = world.now.boottime + self.limits.report_again
                    words = f"{trail.missed} samples in a row could not be had"
                    self.log.write(
                        "no_sample", project=one.record.project, service=container.service, words=words
                    )

    def _keep_peaks(self, now: float) -> None:
        if now - self._peaks_at < self.limits.peaks or self.dry:
            return
        self._peaks_at = now
        with suppress(StateError):  # a full disk: the peaks are in memory, and are written with the next ones
            for watch in self._watches.by_host.values():
                watch.keep_peaks()


def _busy_key(action: Action) -> str:
    return f"{action.project}//busy"


def _words(action: Action) -> dict[str, str]:
    """An action as the fields of a line of the log."""
    return {name: value for name, value in action.plain().items() if value}
