"""The supervisor: look, decide, act, beat, again and again, until there is nothing left to watch.

It remembers nothing that matters: labels and records are the memory, so that one which is killed, replaced or
started a day later goes on as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

from stackctl.core.actions import Plan
from stackctl.core.errors import StackctlError, TimedOut
from stackctl.core.pace import next_look
from stackctl.core.records import LIVE
from stackctl.core.verdicts import decide
from stackctl.ops.acting import Outcome, act, tell
from stackctl.ops.evidence import keep, new_incident, with_evidence
from stackctl.ops.watch import Watch

if TYPE_CHECKING:
    from stackctl.core.actions import Action
    from stackctl.core.supervision import Supervision
    from stackctl.core.world import World
    from stackctl.ops.context import Context

BUSY_QUIET = 2.0
"""Seconds until an environment that another command works on is tried again."""
LONGEST_BLIND = 30.0
"""Seconds at most until an engine that could not be asked is asked again."""
PEAKS_EVERY = 10.0
ENDING = 15.0
"""Seconds that acts which are under way get when the supervisor is told to leave."""


class Log(Protocol):
    """Who is told of each decision."""

    def write(self, event: str, /, **fields: Any) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Blindness:
    """How often an engine could not be asked in a row, and until when it is not asked again."""

    times: int
    until: float
    frozen: bool


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
    _watches: dict[str, Watch] = field(default_factory=dict)
    _quiet: dict[str, float] = field(default_factory=dict)
    _busy: dict[str, Action] = field(default_factory=dict)
    _blind: dict[str, _Blindness] = field(default_factory=dict)
    _outcomes: SimpleQueue[Outcome] = field(default_factory=SimpleQueue)
    _peaks_at: float = 0.0

    def __post_init__(self) -> None:
        self._watches[""] = Watch(self.contexts(""), self.limits)

    @property
    def watches(self) -> Mapping[str, Watch]:
        """The engines that are watched, by address; "" is the usual one."""
        return self._watches

    @property
    def frozen(self) -> bool:
        """Whether an engine accepts questions and never answers: such a look is no good one."""
        return any(one.frozen for one in self._blind.values())

    @property
    def blind(self) -> tuple[str, ...]:
        """Addresses of the engines that could not be asked when they were last tried."""
        return tuple(self._blind)

    def tick(self) -> tuple[float, tuple[World, ...], Plan]:
        """One look at everything, and what follows from it.

        Returns:
            Seconds until the next look, the worlds that were seen, and what was decided.
        """
        self._collect()
        context = self._watches[""].context
        survey = context.store.recall()
        now = context.clock.now().boottime
        self._quiet = {key: until for key, until in self._quiet.items() if until > now}
        self._find_engines(survey.records)
        worlds, pauses, plans = [], [], []
        for host, watch in list(self._watches.items()):
            if host in self._blind and self._blind[host].until > now:
                continue
            try:
                world = watch.look(survey, busy=frozenset(self._busy), quiet=self._quiet)
            except StackctlError as error:
                self._cannot_see(host, error, now)
                continue
            self._sees(host)
            worlds.append(world)
            plans.append(decide(world, self.limits))
            self._carry_out(host, watch, plans[-1])
            self._alarm(world)
            pauses.append(next_look(world, self.limits))
        self._keep_peaks(now)
        plan = Plan(
            acts=tuple(act for one in plans for act in one.acts),
            reports=tuple(report for one in plans for report in one.reports),
        )
        return min(pauses, default=self.limits.interval), tuple(worlds), plan

    def finish(self, patience: float = ENDING) -> None:
        """Let what is being done come to its end, for so many seconds."""
        clock = self._watches[""].context.clock
        until = clock.now().boottime + patience
        while self._busy and clock.now().boottime < until:
            self._collect(wait=0.1)

    @property
    def acting(self) -> bool:
        """Whether something is being done now."""
        return bool(self._busy)

    def _find_engines(self, records: tuple[Any, ...]) -> None:
        """Watch also the engines that records name and that are not the usual one."""
        known = {watch.facts.id for watch in self._watches.values() if watch.facts is not None}
        for record in records:
            host = record.engine_host
            if record.phase in LIVE and record.engine not in known and host and host not in self._watches:
                usual = self._watches[""].facts
                if usual is None or usual.host == host:
                    continue
                self._watches[host] = Watch(self.contexts(host), self.limits)
                self.log.write("engine", host=host, words=f"`{record.project}` was made there")

    def _cannot_see(self, host: str, error: StackctlError, now: float) -> None:
        times = self._blind[host].times + 1 if host in self._blind else 1
        self._watches[host].forget_connection()
        until = now + min(2.0 ** min(times, 5), LONGEST_BLIND)
        self._blind[host] = _Blindness(times=times, until=until, frozen=isinstance(error, TimedOut))
        if times in (1, self.limits.blind_after):
            words = "nothing is deleted, and it is asked again"
            self.log.write("blind", host=host, reason=str(error), times=times, words=words)

    def _sees(self, host: str) -> None:
        if self._blind.pop(host, None) is not None:
            self.log.write("sees", host=host, words="the engine answers again")

    def _carry_out(self, host: str, watch: Watch, plan: Plan) -> None:
        for action in plan.acts:
            if self.dry:
                self._hush(action, self.limits.report_again)
                self.log.write("would", **_words(action))
            elif len(self._busy) < self.limits.acts:
                self._begin(host, watch, action)
        for action in plan.reports:
            self._hush(action, self.limits.report_again)
            self._report(watch, action)

    def _begin(self, host: str, watch: Watch, action: Action) -> None:
        watched = next(
            (one for one in watch.context.store.recall().records if one.project == action.project), None
        )
        self._busy[action.project] = action
        if action.rule == "squeezing_host":
            self._quiet["host"] = watch.context.clock.now().boottime + self.limits.cooldown
        self.log.write("acts", stack=watched.stack if watched else "", **_words(action))
        trails = watch.all_trails()
        Thread(target=self._act, args=(host, action, trails), daemon=True).start()

    def _act(self, host: str, action: Action, trails: Mapping[str, Any]) -> None:
        outcome = Outcome(action=action, result="failed", words="the act itself failed, which is a bug")
        try:
            context = self.contexts(host)
            try:
                outcome = act(context, action, self.limits, trails=trails, told=self.told)
            finally:
                context.engine.close()
        except StackctlError as error:
            outcome = Outcome(action=action, result="failed", words=str(error))
        finally:
            self._outcomes.put(outcome)

    def _collect(self, wait: float = 0.0) -> None:
        """Take the outcomes of what was done since."""
        while True:
            try:
                outcome = self._outcomes.get(timeout=wait) if wait else self._outcomes.get_nowait()
            except Empty:
                return
            action = outcome.action
            self._busy.pop(action.project, None)
            quiet = {"recovered": 0.0, "busy": BUSY_QUIET}.get(outcome.result, self.limits.cooldown)
            if outcome.result == "done" and action.kind != "halt":
                quiet = 0.0  # what is there now was made since, and may be in need of the next act
            self._hush(action, quiet)
            for watch in self._watches.values():
                watch.relist_soon()
            if outcome.result != "busy" or not self._told_busy(action):
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
        key, now = f"{action.project}//busy", self._watches[""].context.clock.now().boottime
        told = self._quiet.get(key, 0.0) > now
        self._quiet[key] = now + self.limits.report_again
        return told

    def _hush(self, action: Action, seconds: float) -> None:
        self._quiet[action.key] = self._watches[""].context.clock.now().boottime + seconds

    def _report(self, watch: Watch, action: Action) -> None:
        self.log.write("reports", **_words(action))
        if not action.incident or self.dry:
            return
        context = watch.context
        try:
            record = context.store.read(action.project) if action.project else None
            incident = new_incident(context, action, record)
            container = watch.container(action.container)
            incident = with_evidence(context, incident, container, watch.all_trails())
            keep(context, incident)
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
        if now - self._peaks_at < PEAKS_EVERY or self.dry:
            return
        self._peaks_at = now
        try:
            for watch in self._watches.values():
                watch.keep_peaks()
        except StackctlError as error:
            self.log.write("failed", words=f"peaks are not kept: {error}")


def _words(action: Action) -> dict[str, str]:
    """An action as the fields of a line of the log."""
    return {name: value for name, value in action.plain().items() if value}
