"""The judgement of a task on a Swarm: whether it has ended, and how, by what the managers say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackctl.core.swarm_facts import LIVE_TASKS
from stackctl.core.tasks import KILLED
from stackctl.core.units import show_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackctl.core.records import Phase, ServiceRecord
    from stackctl.core.swarm_facts import Node, SwarmTask

LOST_AFTER = 20.0
"""Seconds for which a node is away, beyond those in which Swarm notices, until what it runs is lost."""
DIED_WITH_NODE = 255
"""Exit code that docker gives a container which it finds ended when it starts itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnd:
    """How a task has ended.

    Args:
        exit_code: None where it is not known.
        task: Swarm's own task, None where there is none.
    """

    phase: Phase
    reason: str
    exit_code: int | None = None
    task: SwarmTask | None = None

    @property
    def by_kill(self) -> bool:
        """Whether SIGKILL ended it, so that its node is to be asked who sent it."""
        return self.phase == "failed" and self.exit_code == KILLED


def newest(tasks: Sequence[SwarmTask]) -> SwarmTask | None:
    """The task that counts; a service of ours never has more than one, unless somebody changed it."""
    return max(tasks, key=lambda task: (task.created, task.id), default=None)


def task_end(
    task: SwarmTask | None,
    nodes: Mapping[str, Node],
    *,
    away: Mapping[str, float],
    there: bool = True,
) -> TaskEnd | None:
    """How a task has ended; None while it has not.

    Args:
        nodes: Every node by its id.
        away: Id of a node that is away -> seconds; id of a task that its node had meanwhile -> the same.
        there: Whether its service is.
    """
    if task is None:
        return None if there else TaskEnd(phase="lost", reason="its service is gone")
    node = nodes.get(task.node)
    name = node.hostname if node else task.node
    if task.state in LIVE_TASKS:
        return _on_its_way(task, node, name, away.get(task.node, 0.0))
    if task.state == "complete":
        return TaskEnd(
            phase="succeeded", reason="it ended with exit code 0", exit_code=task.exit_code or 0, task=task
        )
    if task.state == "failed":
        return _failed(task, name, was_away=task.id in away)
    if task.state == "rejected":
        return TaskEnd(phase="failed", reason=f"node {name} refused it: {_words(task)}", task=task)
    why = f"Swarm has it as {task.state}, and nobody of ours asked for that"
    return TaskEnd(phase="lost", reason=why, exit_code=task.exit_code, task=task)


def _on_its_way(task: SwarmTask, node: Node | None, name: str, away: float) -> TaskEnd | None:
    if not task.node or (node is not None and (node.state == "ready" or away < LOST_AFTER)):
        return None
    state = node.state if node else "gone from the Swarm"
    return TaskEnd(phase="lost", reason=f"node {name}, which had it, is {state}", task=task)


def _failed(task: SwarmTask, name: str, *, was_away: bool) -> TaskEnd:
    code = task.exit_code
    if code == DIED_WITH_NODE and was_away:
        return TaskEnd(phase="lost", reason=f"node {name} was away and ended while it ran", task=task)
    if not code:
        return TaskEnd(phase="failed", reason=f"node {name} could not run it: {_words(task)}", task=task)
    return TaskEnd(phase="failed", reason=f"it ended with exit code {code}", exit_code=code, task=task)


def _words(task: SwarmTask) -> str:
    return task.error or "Swarm says no more"


def killed_words(asked: ServiceRecord, node: str, *, by_kernel: bool | None) -> tuple[Phase, str]:
    """Phase and reason of what SIGKILL ended.

    Args:
        by_kernel: Whether its node says that it was the kernel; None where the node cannot be asked.
    """
    limit = show_size(asked.memory)
    if by_kernel:
        return "killed", f"`task` hit its memory limit of {limit}: the kernel ended it"
    if by_kernel is None:
        return "killed", (
            f"SIGKILL ended it, most likely at its memory limit of {limit}; node {node} was not asked, "
            "since there is no docker context of its name"
        )
    return "failed", f"it ended with exit code {KILLED}"
