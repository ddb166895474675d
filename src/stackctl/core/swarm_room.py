"""How much room a Swarm has: on each node, what others leave of it; together, the budget of a batch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackctl.core.admission import Budget, Demand
from stackctl.core.labels import PREFIX
from stackctl.core.names import shorten
from stackctl.core.swarm_facts import LIVE_TASKS

if TYPE_CHECKING:
    from stackctl.core.swarm_facts import Node, SwarmTask

_NANO = 1_000_000_000
_ENDING = ("shutdown", "remove")


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What one node has left: bytes of memory, billionths of a processor; never below nothing."""

    node: str
    memory: int
    nano_cpus: int

    def holds(self, demand: Demand) -> bool:
        """Whether so much fits on it."""
        return demand.memory <= self.memory and demand.nano_cpus <= self.nano_cpus

    @property
    def words(self) -> str:
        """For messages."""
        return Demand(memory=self.memory, nano_cpus=self.nano_cpus).words


def rooms(nodes: Iterable[Node], tasks: Sequence[SwarmTask], own: Collection[str] = ()) -> tuple[Room, ...]:
    """The room on each node that takes work, by host name.

    Args:
        tasks: All that there are on the Swarm, whosoever they are.
        own: Projects whose tasks count for the batch itself and take nothing of its budget.
    """
    return tuple(_room(node, tasks, own) for node in nodes if node.takes_work)


def _room(node: Node, tasks: Sequence[SwarmTask], own: Collection[str]) -> Room:
    there = [task for task in tasks if task.node == node.id and _claims(task, own)]
    return Room(
        node=node.hostname,
        memory=max(0, node.memory - sum(task.memory for task in there)),
        nano_cpus=max(0, round(node.cpus * _NANO) - sum(task.nano_cpus for task in there)),
    )


def _claims(task: SwarmTask, own: Collection[str]) -> bool:
    living = task.state in LIVE_TASKS and task.desired not in _ENDING
    return living and task.stamp.get(f"{PREFIX}project", "") not in own


def cluster_budget(found: Iterable[Room], tasks: int) -> Budget:
    """What all tasks of a batch may use together, so many of them at once."""
    every = tuple(found)
    return Budget(
        memory=sum(room.memory for room in every),
        nano_cpus=sum(room.nano_cpus for room in every),
        tasks=tasks,
    )


def node_misfit(task: str, demand: Demand, found: Sequence[Room]) -> tuple[str, str]:
    """Why a task fits on no single node, and what to do about it; two empty texts where one holds it."""
    if any(room.holds(demand) for room in found):
        return "", ""
    if not found:
        return "no node of the Swarm takes work", "`docker node ls` shows how they stand"
    most = max(found, key=lambda room: (room.memory, room.nano_cpus))
    widest = max(found, key=lambda room: (room.nano_cpus, room.memory))
    where = f"node {most.node} has most, {most.words}"
    if widest.nano_cpus > most.nano_cpus:
        where += f", and node {widest.node} most processors, {widest.words}"
    message = f"task `{shorten(task)}` may use {demand.words}, which is free on no single node: {where}"
    return message, "lower its limits (`limits: {memory: 512m}`), or wait until others have ended"
