"""Where a batch runs, as its file is read: what a task may not ask for there, and how much room there is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.core.admission import Budget, Demand
    from stackctl.core.errors import Problem
    from stackctl.core.swarm_room import Room
    from stackctl.core.tasks import TaskSpec
    from stackctl.ops.grounds import Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the command line says of the budget: `-j` and `--budget`, None where it says nothing."""

    jobs: int | None
    budget: str | None

    def of(self, whole: Budget) -> Budget:
        """The budget, of what there is in all."""
        from stackctl.core.admission import parse_budget

        return parse_budget(self.budget, whole) if self.budget else whole


class Site(Protocol):
    """One engine, or a Swarm; `cpus` are the most that a container can have, 0 where that is not known."""

    cpus: int

    @property
    def ground(self) -> Ground: ...

    def refused(self, spec: TaskSpec) -> Iterable[Problem]: ...

    def budget(self, session: Session) -> Budget: ...

    def misfit(self, task: str, demand: Demand) -> tuple[str, str]: ...


@dataclass(slots=True)
class EngineSite:
    """The engine that is asked."""

    wishes: Wishes
    cpus: int = 0
    _budget: Budget | None = None

    @property
    def ground(self) -> Ground:
        """Where its tasks run."""
        from stackctl.ops.grounds import OneEngine

        return OneEngine()

    def refused(self, spec: TaskSpec) -> Iterable[Problem]:
        """Nothing."""
        return ()

    def budget(self, session: Session) -> Budget:
        """The host's memory and processors, or less.

        Raises:
            EngineUnavailable, TimedOut: The engine cannot be asked.
        """
        from stackctl.core.admission import host_budget

        facts = session.engine.facts()
        self.cpus = facts.cpus
        whole = host_budget(facts.memory, facts.cpus, self.wishes.jobs or max(1, facts.cpus))
        self._budget = self.wishes.of(whole)
        return self._budget

    def misfit(self, task: str, demand: Demand) -> tuple[str, str]:
        """Why a task never fits into the budget; two empty texts where it does."""
        from stackctl.core.admission import misfit

        return misfit(task, demand, self._budget) if self._budget else ("", "")


@dataclass(slots=True)
class SwarmSite:
    """The Swarm that the engine manages.

    Args:
        holder: Whose tasks the batch's are; those that run already take nothing of its budget.
    """

    wishes: Wishes
    holder: str
    cpus: int = 0
    _budget: Budget | None = None
    _rooms: tuple[Room, ...] = field(default=())

    @property
    def ground(self) -> Ground:
        """Where its tasks run."""
        from stackctl.ops.grounds import OnSwarm

        return OnSwarm()

    def refused(self, spec: TaskSpec) -> Iterable[Problem]:
        """What Swarm does not do."""
        from stackctl.core.swarm_tasks import refused

        return refused(spec)

    def budget(self, session: Session) -> Budget:
        """What others leave of the nodes that take work, or less.

        Raises:
            EngineUnavailable, TimedOut: The manager cannot be asked.
            EngineRefused: The engine manages no Swarm.
        """
        from stackctl.core.swarm_room import cluster_budget
        from stackctl.ops.swarm_room import room_on_swarm

        self._rooms, cpus = room_on_swarm(session.context, self.holder)
        self._budget = self.wishes.of(cluster_budget(self._rooms, self.wishes.jobs or max(1, cpus)))
        return self._budget

    def misfit(self, task: str, demand: Demand) -> tuple[str, str]:
        """Why a task fits on no single node, or never into the budget; two empty texts where it does."""
        from stackctl.core.admission import misfit
        from stackctl.core.swarm_room import node_misfit

        message, hint = misfit(task, demand, self._budget) if self._budget else ("", "")
        return (message, hint) if message else node_misfit(task, demand, self._rooms)


def site_of(session: Session, engine: str | None, holder: str, wishes: Wishes) -> Site:
    """Where a batch runs: as the command line says, else where an earlier run of it has tasks."""
    earlier = (one.on_swarm for one in session.store.records() if one.task and one.task.holder == holder)
    chosen = engine or ("swarm" if any(earlier) else "local")
    return SwarmSite(wishes, holder) if chosen == "swarm" else EngineSite(wishes)
