"""What the agent on the node that leads a Swarm's managers does: end lifetimes, and remove what nobody needs.

Swarm's own election says who leads; there is no lock of ours. Two that believed it at once would do no harm:
what is removed is removed by id, once, and both would write the same incident.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Protocol

from stackctl.core.errors import StackctlError
from stackctl.core.labels import PREFIX
from stackctl.core.swarm_lead import Overdue, belonging, lifetime_incident, overdue, unclaimed
from stackctl.ops.evidence import ID_TIME

if TYPE_CHECKING:
    from stackctl.core.incidents import Incident
    from stackctl.core.labels import Stamp
    from stackctl.core.supervision import Supervision
    from stackctl.core.swarm_facts import Standing, SwarmService, SwarmThing
    from stackctl.ops.context import Context
    from stackctl.ops.protocols import Lead

OURS = {f"{PREFIX}generation": ""}


class Log(Protocol):
    """Who is told of each decision."""

    def write(self, event: str, /, **fields: Any) -> None: ...


@dataclass(kw_only=True)
class Leading:
    """Looks at the Swarm again and again, in a thread of its own: a manager may take its time to answer.

    Args:
        contexts: Makes a context whose engine belongs to this thread.
        told: Gets each incident.
        dry: Say what would be done, and do nothing.
    """

    contexts: Callable[[], Context]
    limits: Supervision
    log: Log
    told: Callable[[Incident], None]
    dry: bool = False
    _stopped: Event = field(default_factory=Event)
    _thread: Thread | None = None
    _led: bool = False
    _blind: bool = False
    _dead: dict[Stamp, Overdue] = field(default_factory=dict)

    def begin(self) -> None:
        """Begin to look."""
        self._thread = Thread(target=self._run, daemon=True, name="leading")
        self._thread.start()

    def end(self, patience: float) -> None:
        """Look no more; what is being done gets so many seconds."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(patience)

    def look_once(self) -> None:
        """Look once, in this thread."""
        context = self.contexts()
        lead = context.engine.lead()
        try:
            self._look(context, lead)
        finally:
            lead.close()
            context.engine.close()

    def _run(self) -> None:
        context = self.contexts()
        lead = context.engine.lead()
        try:
            while not self._stopped.wait(self._look(context, lead)):
                pass
        finally:
            lead.close()
            context.engine.close()

    def _look(self, context: Context, lead: Lead) -> float:
        """One look; seconds until the next."""
        try:
            standing = lead.standing()
            self._tell_change(standing)
            if standing.leader:
                self.see_to(context, lead, standing.hostname)
            self._blind = False
        except StackctlError as error:
            if not self._blind:
                self.log.write("blind", host="the managers", reason=str(error), words="it is asked again")
            self._blind = True
            return self.limits.lead
        except Exception:
            import traceback

            self.log.write("bug", trace=traceback.format_exc())
        return self.limits.lead if standing.cluster.manager else self.limits.lead_worker

    def _tell_change(self, standing: Standing) -> None:
        if standing.leader != self._led:
            words = "ends lifetimes from now on" if standing.leader else "another manager leads"
            self.log.write("leads" if standing.leader else "follows", node=standing.hostname, words=words)
        self._led = standing.leader

    def see_to(self, context: Context, lead: Lead, node: str) -> None:
        """End what has outlived its time, and remove what is left over.

        Args:
            node: Host name of this node.

        Raises:
            EngineUnavailable, TimedOut, EngineRefused: The managers cannot be asked.
        """
        now = context.clock.now().wall
        services = lead.services(OURS)
        for found in overdue(services, now):
            self._end_services(context, lead, found, node)
        dead = dict(self._dead)
        things = lead.things(OURS) if dead or services or not self.dry else ()
        for stamp in dead:
            if self._removed(lead, belonging(things, stamp)):
                del self._dead[stamp]
        kept = [one for one in unclaimed(services, things, now, self.limits.grace) if not _of(one, dead)]
        self._sweep(lead, kept)

    def _end_services(self, context: Context, lead: Lead, found: Overdue, node: str) -> None:
        """End what is overdue; it is told before as well, since this leader may be lost meanwhile."""
        project, names = found.stamp.project, [one.name for one in found.services]
        event = "would" if self.dry else "acts"
        self.log.write(event, project=project, rule="expired", action="end", services=" ".join(names))
        if self.dry:
            return
        now = context.clock.now().wall
        at = time.strftime(ID_TIME, time.gmtime(found.deadline))
        incident = lifetime_incident(found, at, node, now)
        if found.whole:
            self.told(incident)
        for service in found.services:
            lead.take_away("service", service.id)
        done = f"{_count(found.services)} ended and removed, data kept"
        self.log.write("done", project=project, rule="expired", words=done)
        if found.whole:
            self.told(replace(incident, done=(done,), result="done"))
            self._dead[found.stamp] = found

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


def _of(thing: SwarmThing, dead: dict[Stamp, Overdue]) -> bool:
    return bool(dead) and any(belonging((thing,), stamp) for stamp in dead)


def _count(services: tuple[SwarmService, ...]) -> str:
    return f"{len(services)} service{'' if len(services) == 1 else 's'}"
