"""What the managers of a Swarm know of tasks of ours: one now, or all of them for who stays with many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from stackctl.core.errors import EngineRefused, StackctlError
from stackctl.core.labels import PREFIX, read_stamp
from stackctl.core.swarm_ends import newest, task_end
from stackctl.core.tasks import STACK
from stackctl.ops.looking import verified
from stackctl.ops.swarm_looking import manager

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.swarm_ends import TaskEnd
    from stackctl.core.swarm_facts import Node, SwarmService, SwarmTask
    from stackctl.ops.context import Context

PACE = 0.3
"""Seconds between two questions to the managers, however many tasks are stayed with."""
PATIENCE = 60.0
"""Seconds for managers that do not answer: they elect a leader, or the one that is asked is restarted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One task on a Swarm as it is now.

    Args:
        service: Its service, verified as its record's; None where there is none.
        task: Swarm's task of it, None where there is none.
        nodes: Every node by its id.
        away: As `core.swarm_ends.task_end` takes it.
    """

    service: SwarmService | None
    task: SwarmTask | None
    nodes: Mapping[str, Node]
    away: Mapping[str, float] = field(default_factory=dict)

    @property
    def node(self) -> Node | None:
        """The node that has it."""
        return self.nodes.get(self.task.node) if self.task else None

    @property
    def end(self) -> TaskEnd | None:
        """How it has ended; None while it has not."""
        return task_end(self.task, self.nodes, away=self.away, there=self.service is not None)


def sight_of(context: Context, record: EnvironmentRecord, away: Mapping[str, float] | None = None) -> Sight:
    """Look at one task.

    Raises:
        EngineUnavailable, TimedOut: The manager cannot be asked.
        EngineRefused: It is no manager, or one of another Swarm.
    """
    check_swarm(context, record)
    swarm, labels = context.engine.swarm(), {f"{PREFIX}project": record.project}
    services = [one for one in swarm.single_services(labels) if verified(record, read_stamp(one.labels))]
    tasks = [one for one in swarm.tasks(labels) if verified(record, read_stamp(one.stamp))]
    nodes = {node.id: node for node in swarm.nodes()}
    return Sight(service=next(iter(services), None), task=newest(tasks), nodes=nodes, away=away or {})


def check_swarm(context: Context, record: EnvironmentRecord) -> None:
    """Raise `EngineRefused` unless the engine manages the Swarm that a task was made on."""
    cluster = manager(context)
    if cluster.id != record.engine:
        raise EngineRefused(
            f"task {record.title} was made on the Swarm {record.engine}, asked at {record.engine_host}, "
            f"and the engine manages another one ({cluster.id})",
            hint="set DOCKER_HOST or the docker context back, and try again",
        )


class Lookout:
    """One look at all tasks of this home for everybody who stays with one, and which nodes are away how long.

    Any thread may ask; the managers are asked once in `PACE` seconds.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._asked = float("-inf")
        self._answered = float("-inf")
        self._tasks: dict[str, list[SwarmTask]] = {}
        self._services: dict[str, SwarmService] = {}
        self._nodes: dict[str, Node] = {}
        self._left: dict[str, float] = {}
        self._away: dict[str, float] = {}

    def sight(self, context: Context, record: EnvironmentRecord) -> Sight:
        """How a task stands, as it was `PACE` seconds ago at most.

        Raises:
            StackctlError: The managers have not answered for `PATIENCE` seconds.
        """
        with self._lock:
            now = context.clock.now().boottime
            if now - self._asked >= PACE:
                self._asked = now
                self._renew(context, now)
            service = self._services.get(record.project)
            ours = service is not None and verified(record, read_stamp(service.labels))
            tasks = [
                one for one in self._tasks.get(record.project, ()) if verified(record, read_stamp(one.stamp))
            ]
            return Sight(
                service=service if ours else None,
                task=newest(tasks),
                nodes=dict(self._nodes),
                away=dict(self._away),
            )

    def _renew(self, context: Context, now: float) -> None:
        if self._answered < 0:
            self._answered = now
        try:
            self._ask(context)
        except StackctlError:
            if now - self._answered >= PATIENCE:
                raise
            return
        self._answered = now
        left = {one.id: self._left.get(one.id, now) for one in self._nodes.values() if one.state != "ready"}
        there = [task for tasks in self._tasks.values() for task in tasks]
        seen = {task.id: now - left[task.node] for task in there if task.node in left}
        kept = {task.id: self._away[task.id] for task in there if task.id in self._away}
        self._left, self._away = left, {**{node: now - at for node, at in left.items()}, **kept, **seen}

    def _ask(self, context: Context) -> None:
        swarm = context.engine.swarm()
        labels = {f"{PREFIX}home": context.store.identity, f"{PREFIX}stack": STACK}
        # services first, so that one which is made in between is not taken for gone
        services, tasks = swarm.single_services(labels), swarm.tasks(labels)
        self._nodes = {node.id: node for node in swarm.nodes()}
        self._services = {one.labels.get(f"{PREFIX}project", ""): one for one in services}
        self._tasks = {}
        for task in tasks:
            self._tasks.setdefault(task.stamp.get(f"{PREFIX}project", ""), []).append(task)
