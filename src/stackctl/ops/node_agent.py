"""The agent on a node of a Swarm: the watchdog of the containers there, and of nothing else.

It remembers nothing that matters: labels say what was asked for, so that one which dies is replaced by
another that goes on. It ends single containers; Swarm starts them anew within their bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from stackctl.core.actions import Plan
from stackctl.core.agent_lines import incident_line, proof_line
from stackctl.core.errors import StackctlError, StateError
from stackctl.core.facts import ENDED
from stackctl.core.incidents import Incident, from_plain, to_plain
from stackctl.core.pace import next_look
from stackctl.core.swarm_watch import NODE_RULES, named, watched
from stackctl.core.verdicts import decide, still
from stackctl.core.world import Trail, World
from stackctl.ops.evidence import new_incident, with_evidence
from stackctl.ops.leading import Leading
from stackctl.ops.node_watch import NodeWatch
from stackctl.ops.watch import with_reading

if TYPE_CHECKING:
    from stackctl.core.actions import Action
    from stackctl.core.facts import Container
    from stackctl.core.supervision import Supervision
    from stackctl.core.world import Watched
    from stackctl.ops.context import Context
    from stackctl.ops.protocols import Log

OF_THE_NODE = ""
"""The agent's incidents are kept as the host's are: there is no environment of its own."""
BUG = "bug"
"""Key of the quiet time after a fault of our own."""
_REFUSED = "fork_refused"
ENDED_WORDS = "its container was ended; Swarm starts it anew within bounds"


@dataclass(kw_only=True)
class NodeAgent:
    """One agent on one node.

    Args:
        contexts: Makes a context whose engine belongs to the thread that asks.
        limits: The numbers that it works by.
        log: Gets one line for each decision.
        say: Gets each line that is to be read from a manager.
        told: Gets each incident as JSON.
        node: Host name of the node.
        alive: Called at each look.
        dry: Say what would be done, and do nothing.
    """

    contexts: Callable[[str], Context]
    limits: Supervision
    log: Log
    say: Callable[[str], None]
    told: Callable[[bytes], None] | None = None
    node: str = ""
    alive: Callable[[], object] = bool
    dry: bool = False
    _busy: dict[str, Action] = field(default_factory=dict)
    _quiet: dict[str, dict[str, float]] = field(default_factory=dict)
    _ended: SimpleQueue[tuple[str, bool]] = field(default_factory=SimpleQueue)
    _proven: set[str] = field(default_factory=set)
    _reported: set[tuple[str, str]] = field(init=False)
    _reports: list[Thread] = field(default_factory=list)
    _loose: set[str] = field(default_factory=set)
    _blind: bool = False
    _watch: NodeWatch = field(init=False)
    _leading: Leading = field(init=False)

    def __post_init__(self) -> None:
        self._watch = NodeWatch(self.contexts(""), self.limits, dry=self.dry)
        self._leading = Leading(
            contexts=lambda: self.contexts(""),
            limits=self.limits,
            log=self.log,
            told=self._keep,
            now=lambda: self._watch.context.clock.now().wall,
            dry=self.dry,
        )
        self._reported = {(one.container, one.rule) for one in self._kept()}

    @property
    def watches(self) -> Mapping[str, NodeWatch]:
        """The one engine that is watched."""
        return {"": self._watch}

    @property
    def blind(self) -> tuple[str, ...]:
        """The engine's address where it could not be asked."""
        return ("",) if self._blind else ()

    @property
    def frozen(self) -> bool:
        """Never so: a look that fails is no look, and gives no sign of life."""
        return False

    @property
    def acting(self) -> bool:
        """Whether something is being done now."""
        return bool(self._busy)

    def begin(self) -> None:
        """Tell what earlier agents of this node wrote, and look after the Swarm where this node leads it."""
        for incident in self._kept():
            self.say(incident_line(incident))
        self._leading.begin()

    def _kept(self) -> list[Incident]:
        """What agents of this node wrote, the oldest first."""
        found = map(from_plain, self._watch.context.store.incidents(OF_THE_NODE))
        return [one for one in found if one is not None]

    def look_after_swarm(self) -> tuple[str, ...] | None:
        """Look once at what has outlived its time, where this node leads.

        Returns:
            The projects that were ended; None where the managers could not be asked.
        """
        return self._leading.look_once()

    def finish(self, patience: float) -> None:
        """Let what is being done come to its end, for so many seconds."""
        self._leading.end(patience)
        until = self._now() + patience
        while self._busy and self._now() < until:
            self._collect(wait=0.1)
        for one in self._reports:
            one.join(max(0.0, until - self._now()))

    def tick(self) -> tuple[float, tuple[World, ...], Plan]:
        """One look at the node's containers, and what follows from it.

        Returns:
            Seconds until the next look, the world that was seen, and what was decided.

        Raises:
            EngineUnavailable, TimedOut, EngineRefused: The engine could not be asked.
        """
        self.alive()
        self._collect()
        try:
            seen = self._watch.look(frozenset(self._busy))
        except StackctlError:
            self._watch.forget_connection()
            self._blind = True
            raise
        self._blind = False
        now = self._watch.context.clock.now()
        there = {one.containers[0].id for one in seen}
        self._quiet = {one: quiet for one, quiet in self._quiet.items() if one in there}
        self._reported = {(one, rule) for one, rule in self._reported if one in there}
        plans = list(map(self._judge, seen))
        self._prove(seen)
        whole = World(now=now, engine_time=self._watch.engine_time, environments=seen)
        acts = tuple(act for plan in plans for act in plan.acts)
        reports = tuple(report for plan in plans for report in plan.reports)
        return next_look(whole, self.limits), (whole,), Plan(acts=acts, reports=reports)

    def _judge(self, one: Watched) -> Plan:
        """Decide about one container, and begin what follows; what is odd about it hides no other."""
        try:
            plan = decide(self._world((one,), one.containers[0].id), self.limits, NODE_RULES)
            self._carry_out(one, plan)
        except Exception as error:
            self._tell_bug(one.containers[0], error)
            return Plan(acts=(), reports=())
        return plan

    def _world(self, environments: tuple[Watched, ...], container: str) -> World:
        return World(
            now=self._watch.context.clock.now(),
            engine_time=self._watch.engine_time,
            environments=environments,
            quiet=self._quiet.get(container, {}),
        )

    def _now(self) -> float:
        return self._watch.context.clock.now().boottime

    # Acts

    def _carry_out(self, one: Watched, plan: Plan) -> None:
        for action in (*plan.acts, *plan.reports):
            if not self._has_room_for(action):
                continue  # it is decided again at the next look
            self._hush(action)
            if self._is_told(one.containers[0], action):
                continue
            event = "would" if self.dry else "reports" if action.kind == "report" else "acts"
            about = {name: word for name, word in action.plain().items() if word}
            self.log.write(event, node=self.node, **about)
            if not self.dry:
                self._start(one, action)

    def _has_room_for(self, action: Action) -> bool:
        if action.kind != "report":
            return len(self._busy) < self.limits.acts
        self._reports = [one for one in self._reports if one.is_alive()]
        return len(self._reports) < self.limits.reports

    def _start(self, one: Watched, action: Action) -> None:
        trails = self._watch.trails(action.container)
        thread = Thread(target=self._work, args=(one, action, trails), daemon=True)
        if action.kind != "report":
            self._busy[action.container] = action
        try:
            thread.start()
        except RuntimeError as error:  # no more threads to be had
            self._tell(action, "failed", str(error))
            self._reported.discard((action.container, action.rule))
            self._ended.put((action.container, False))
            return
        if action.kind == "report":
            self._reports.append(thread)

    def _hush(self, action: Action) -> None:
        """Say nothing of the same for a while."""
        quiet, now = self._quiet.setdefault(action.container, {}), self._now()
        about = f"{action.project}/{action.service}"
        quiet[action.key] = now + (
            self.limits.report_again if action.kind == "report" else self.limits.cooldown
        )
        if action.rule == "oom":
            quiet[f"{about}/oom"] = now + self.limits.oom_again
        if action.rule == "over_pids":  # until it is known whether its incident tells of the refused forks
            quiet[f"{about}/{_REFUSED}"] = now + self.limits.report_again

    def _is_told(self, container: Container, action: Action) -> bool:
        """Whether a container that has ended, and that Swarm keeps for a while, was reported before."""
        key = (action.container, action.rule)
        known = action.kind == "report" and container.state in ENDED and key in self._reported
        self._reported.add(key)
        return known

    def _work(self, one: Watched, action: Action, trails: Mapping[str, Trail]) -> None:
        """Carry one action out, in a thread of its own; what is not done is looked at again at once."""
        done = False
        try:
            with closing(self.contexts("").engine) as engine:
                context = replace(self._watch.context, engine=engine)
                if action.kind == "report":
                    self._report(context, one, action, trails)
                    done = True
                else:
                    done = self._end(context, action, trails.get(action.container))
        except StackctlError as error:
            self._tell(action, "failed", str(error))
        except Exception as error:
            self._tell_bug(one.containers[0], error)
        finally:
            if action.kind != "report":
                self._ended.put((action.container, done))

    def _report(self, context: Context, one: Watched, action: Action, trails: Mapping[str, Trail]) -> None:
        incident = new_incident(context, action, one.record)
        self._keep(with_evidence(context, incident, one.containers[0], trails))

    def _end(self, context: Context, action: Action, trail: Trail | None) -> bool:
        """End one container, after it was looked at and judged again; False when that was not needed."""
        container = _only(context, action.container)
        sample = context.engine.sample([container]) if container is not None else {}
        if container is None or container.state not in ("running", "paused"):
            self._tell(action, "recovered", "it has ended by itself")
            return False
        trail = with_reading(trail, sample.get(container.id), self.limits.trail)
        fresh = watched(container, trail, engine=self._watch.facts.id if self._watch.facts else "")
        confirmed = still(action, self._world((fresh,), ""), self.limits, NODE_RULES) if fresh else None
        if fresh is None or confirmed is None:
            self._tell(action, "recovered", "it is not so any more")
            return False
        incident = with_evidence(
            context, new_incident(context, confirmed, fresh.record), container, {container.id: trail}
        )
        began = self._now()
        self._keep(incident, tell=False)
        context.engine.stop([container.id])
        after = _only(context, action.container)
        stuck = after is not None and after.state in ("running", "paused")
        result, words = ("stuck", "it could not be ended") if stuck else ("done", ENDED_WORDS)
        self._tell(action, result, words)
        took = round(self._now() - began, 3)
        self._keep(replace(incident, done=() if stuck else (words,), result=result, took=took))
        return True

    def _tell_bug(self, container: Container, error: Exception) -> None:
        """Log a fault of our own about a container, once for a while."""
        import traceback

        quiet = self._quiet.setdefault(container.id, {})
        if quiet.get(BUG, 0.0) <= self._now():
            quiet[BUG] = self._now() + self.limits.report_again
            trace = "".join(traceback.format_exception(error))
            self.log.write("bug", project=container.project, container=container.id, trace=trace)

    def _tell(self, action: Action, event: str, words: str) -> None:
        self.log.write(event, project=action.project, service=action.service, rule=action.rule, words=words)

    def _collect(self, wait: float = 0.0) -> None:
        while True:
            try:
                container, done = self._ended.get(timeout=wait) if wait else self._ended.get_nowait()
            except Empty:
                return
            action = self._busy.pop(container, None)
            if not done:
                self._quiet.pop(container, None)
            elif action is not None and action.rule == "over_pids":
                self._reported.add((container, _REFUSED))  # its incident tells of the refused forks already
            self._watch.relist_soon()

    def _keep(self, incident: Incident, *, tell: bool = True) -> None:
        """Write an incident on this node, and say it to who reads from a manager; a hook is told the end."""
        import json

        incident = replace(incident, node=self.node)
        try:
            self._watch.context.store.write_incident(OF_THE_NODE, incident.id, to_plain(incident))
        except StateError as error:  # a full disk keeps nobody alive who must be ended
            self.log.write("failed", project=incident.project, rule=incident.rule, words=str(error))
        if tell:
            self.say(incident_line(incident))
            if self.told is not None and (incident.result or incident.action == "report"):
                self.told(json.dumps(to_plain(incident)).encode(errors="backslashreplace"))

    # Proof

    def _prove(self, seen: tuple[Watched, ...]) -> None:
        """Say once of each container which limits the kernel enforces for it."""
        running = [one.containers[0] for one in seen if one.containers[0].state == "running"]
        for one in running:
            if one.id in self._watch.unbounded - self._loose:
                words = "the kernel took no swap limit for it; it is tried again"
                self.log.write("unbounded", project=one.project, service=one.service, words=words)
        self._loose = set(self._watch.unbounded)
        settled = [one for one in running if one.id not in self._proven and self._watch.is_settled(one)]
        if settled:
            readings = self._watch.context.engine.readings(settled)
            for one in settled:
                reading = readings.get(one.id)
                if reading is not None:
                    self._proven.add(one.id)
                    self.say(proof_line(one.id, reading.limits))
        self._proven &= {one.id for one in running}


def _only(context: Context, container: str) -> Container | None:
    return next((named(one) for one in context.engine.inspect([container])), None)
