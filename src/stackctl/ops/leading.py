"""What the agent on the node that leads a Swarm's managers does: end lifetimes, and remove what nobody needs.

Swarm's own election says who leads; there is no lock of ours. Two that believed it at once would do no harm:
what is removed is removed by id, once, and both would write the same incident.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from threading import Event, Thread
from typing import TYPE_CHECKING

from stackctl.core.errors import EngineRefused, StackctlError
from stackctl.core.labels import PREFIX
from stackctl.core.pace import leaders_pause
from stackctl.core.swarm_lead import Overdue, belonging, lifetime_incident, overdue, unclaimed
from stackctl.ops.evidence import ID_TIME

if TYPE_CHECKING:
    from stackctl.core.incidents import Incident
    from stackctl.core.labels import Stamp
    from stackctl.core.supervision import Supervision
    from stackctl.core.swarm_facts import Standing, SwarmService, SwarmThing
    from stackctl.ops.context import Context
    from stackctl.ops.protocols import Lead, Log

OURS = {f"{PREFIX}generation": ""}


@dataclass(kw_only=True)
class Leading:
    """Looks at the Swarm again and again, in a thread of its own: a manager may take its time to answer.

    Args:
        contexts: Makes a context whose engine belongs to this thread.
        told: Gets each incident, before something is ended and after it.
        now: Seconds since the epoch.
        dry: Say what would be done, and do nothing.
    """

    contexts: Callable[[], Context]
    limits: Supervision
    log: Log
    told: Callable[[Incident], None]
    now: Callable[[], float]
    dry: bool = False
    _stopped: Event = field(default_factory=Event)
    _thread: Thread | None = None
    _led: bool = False
    _blind: bool = False
    _dead: set[Stamp] = field(default_factory=set)
    _begun: set[Stamp] = field(default_factory=set)

    def begin(self) -> None:
        """Begin to look."""
        self._thread = Thread(target=self._run, daemon=True, name="leading")
        self._thread.start()

    def end(self, patience: float) -> None:
        """Look no more; what is being done gets so many seconds."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(patience)

    def look_once(self) -> tuple[str, ...] | None:
        """Look once, in this thread.

        Returns:
            The projects that were ended; None where the managers could not be asked.
        """
        with closing(self.contexts().engine) as engine, closing(engine.lead()) as lead:
            _, ended = self._look(lead)
        return None if self._blind else ended

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._look_on()

    def _look_on(self) -> None:
        """Look until it is enough; lifetimes go on being ended, whatever goes wrong here."""
        try:
            with closing(self.contexts().engine) as engine, closing(engine.lead()) as lead:
                while not self._stopped.wait(self._look(lead)[0]):
                    pass
        except Exception:
            self._tell_bug()
            self._stopped.wait(self.limits.lead)

    def _look(self, lead: Lead) -> tuple[float, tuple[str, ...]]:
        """One look; seconds until the next, and the projects that were ended."""
        began = time.monotonic()
        try:
            standing = lead.standing()
            self._tell_change(standing)
            ended = self.see_to(lead, standing.hostname) if standing.leader else ()
            self._blind = False
        except StackctlError as error:
            if not self._blind:
                self.log.write("blind", host="the managers", reason=str(error), words="it is asked again")
            self._blind = True
            return self.limits.lead, ()
        if not standing.cluster.manager:
            return self.limits.lead_worker, ended
        return leaders_pause(time.monotonic() - began, self.limits), ended

    def _tell_bug(self) -> None:
        import traceback

        self.log.write("bug", trace=traceback.format_exc())

    def _tell_change(self, standing: Standing) -> None:
        if standing.leader != self._led:
            words = "ends lifetimes from now on" if standing.leader else "another manager leads"
            self.log.write("leads" if standing.leader else "follows", node=standing.hostname, words=words)
        self._led = standing.leader

    def see_to(self, lead: Lead, node: str) -> tuple[str, ...]:
        """End what has outlived its time, and remove what is left over.

        Args:
            node: Host name of this node.

        Returns:
            The projects that were ended.

        Raises:
            EngineUnavailable, TimedOut, EngineRefused: The managers cannot be asked.
        """
        services = lead.services(OURS)
        late = overdue(services, self.now())
        ended = tuple(one.stamp.project for one in late if self._end_alone(lead, one, node))
        things = lead.things(OURS)
        self._dead = {stamp for stamp in self._dead if not self._removed(lead, belonging(things, stamp))}
        kept = unclaimed(services, things, self.now(), self.limits.grace)
        self._sweep(lead, [one for one in kept if not any(belonging((one,), stamp) for stamp in self._dead)])
        return ended

    def _end_alone(self, lead: Lead, found: Overdue, node: str) -> bool:
        """End a generation; what is odd about it, or refused, keeps the others from nothing."""
        try:
            return self._end(lead, found, node)
        except (EngineRefused, ValueError, ArithmeticError) as error:
            self._say(found, "failed", str(error))
            return False

    def _end(self, lead: Lead, found: Overdue, node: str) -> bool:
        """End a generation, if it was given no more time meanwhile; whether that was done.

        It is told before as well as after, since this leader may be lost in between.
        """
        stamp = found.stamp
        if self.dry:
            self._say(found, "would", "its lifetime is over")
            return False
        mine = {f"{PREFIX}project": stamp.project, f"{PREFIX}generation": stamp.generation}
        again = overdue(lead.services(mine), self.now())
        if not again:
            self._begun.discard(stamp)
            return False
        at = time.strftime(ID_TIME, time.gmtime(again[0].deadline))
        incident = lifetime_incident(again[0], at, node, self.now())
        if stamp not in self._begun:
            self._say(found, "acts", incident.reason)
            self.told(incident)
            self._begun.add(stamp)
        taken = [lead.take_away("service", one.id) for one in again[0].services]
        if not all(taken):
            self._say(found, "stuck", "the managers did not let it be removed; it is tried again")
            return False
        done = f"{_count(again[0].services)} ended and removed, data kept"
        self._say(found, "done", done)
        self.told(replace(incident, done=(done,), result="done"))
        self._begun.discard(stamp)
        self._dead.add(stamp)
        return True

    def _say(self, found: Overdue, event: str, words: str) -> None:
        self.log.write(event, project=found.stamp.project, rule="expired", action="end", words=words)

    def _removed(self, lead: Lead, things: tuple[SwarmThing, ...]) -> bool:
        """Whether nothing of them is left; what a task that ends still uses is tried again next time."""
        removed = [lead.take_away(one.kind, one.id) for one in things]
        return all(removed)

    def _sweep(self, lead: Lead, things: list[SwarmThing]) -> None:
        for one in things:
            project = one.labels.get(f"{PREFIX}project", "")
            words = f"{one.kind} {one.name} belongs to no service"
            if self.dry:
                self.log.write("would", project=project, rule="leftover", action="remove", words=words)
            elif lead.take_away(one.kind, one.id):
                self.log.write("done", project=project, rule="leftover", words=f"{words}, and was removed")


def _count(services: tuple[SwarmService, ...]) -> str:
    return f"{len(services)} service{'' if len(services) == 1 else 's'}"
