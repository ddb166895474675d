"""Frozen snapshots of a Swarm: its nodes, services, tasks, and what else is ours there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stackctl.core.facts import AppliedLimits, PublishedPort

LIVE_TASKS = frozenset(
    (
        *("new", "allocated", "pending", "assigned", "accepted", "preparing", "ready", "starting"),
        "running",
    )
)
NAMESPACE = "com.docker.stack.namespace"
"""Docker's own label of what belongs to one stack."""
ATTEMPTS = 5
"""Times that a task is started anew within two minutes; then its service stays down and `status` says so.

The return of a lost node takes up to three (seen with Engine 20.10): its dead container counts, and each task
that it refuses while it starts, "cannot create a swarm scoped network when swarm is not active".
"""
BROKEN_TASKS = frozenset({"failed", "rejected"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The Swarm that an engine belongs to.

    Args:
        id: Its identity, the same from each of its managers; empty where the engine is in none.
        node: Id of the engine's own node.
        manager: Whether the engine is a manager, which alone can be asked to deploy.
    """

    id: str
    node: str = ""
    manager: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an engine's node is to its Swarm.

    Args:
        hostname: The node's.
        leader: Whether it leads the managers now.
    """

    cluster: Cluster
    hostname: str = ""
    leader: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node.

    Args:
        state: ready, down, unknown or disconnected.
        availability: active, pause or drain.
        cpus: Processors.
        memory: Bytes.
    """

    id: str
    hostname: str
    role: str = "worker"
    state: str = "ready"
    availability: str = "active"
    address: str = ""
    leader: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    cpus: float = 0.0
    memory: int = 0

    @property
    def takes_work(self) -> bool:
        """Whether tasks are put on it."""
        return self.state == "ready" and self.availability == "active"

    @property
    def words(self) -> str:
        """How it stands, for people."""
        return self.state if self.availability == "active" else f"{self.state}, {self.availability}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmService:
    """One service of ours, as Swarm was told it.

    Args:
        name: As in the document.
        replicas: How many tasks it is to have.
        update: State of its last update, empty where there was none.
        updated: When that began, as Swarm writes it.
        ports: What is open on every node.
        node_ports: What is open on the nodes of its tasks.
    """

    id: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    replicas: int = 1
    limits: AppliedLimits = field(default_factory=AppliedLimits)
    update: str = ""
    updated: str = ""
    ports: tuple[PublishedPort, ...] = ()
    node_ports: tuple[PublishedPort, ...] = ()
    image: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmTask:
    """One task of a service of ours: a container, or the wish for one.

    Args:
        node: Id of its node, empty while it has none.
        desired: What Swarm wants it to be: ready, running, shutdown, remove.
        error: Why it is not, in Swarm's words.
        container: Full id, empty while there is none.
        created: When it was made, as Swarm writes it; sorts as text.
        current: Whether it was made from what its service says now.
        stamp: Our labels, as its service had them when it was made.
        at: When it came into its state, seconds since the epoch by its node's clock; 0 when it is not known.
        memory, nano_cpus: What it reserves, or may use where that is more; bytes, billionths of a processor.
    """

    id: str
    service: str
    slot: int = 0
    node: str = ""
    state: str = "new"
    desired: str = "running"
    error: str = ""
    exit_code: int | None = None
    container: str = ""
    created: str = ""
    current: bool = True
    stamp: Mapping[str, str] = field(default_factory=dict)
    at: float = 0.0
    memory: int = 0
    nano_cpus: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmThing:
    """A network, config or secret with our labels.

    Args:
        created: Seconds since the epoch, 0 where that was not asked.
    """

    kind: str
    id: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    created: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmScene:
    """What there is of one environment on a Swarm; only what its record vouches for.

    Args:
        strangers: Names of services that claim the project and are not verified as this environment's.
    """

    cluster: Cluster
    nodes: tuple[Node, ...] = ()
    services: tuple[SwarmService, ...] = ()
    tasks: tuple[SwarmTask, ...] = ()
    things: tuple[SwarmThing, ...] = ()
    strangers: tuple[str, ...] = ()

    def node(self, node: str) -> Node | None:
        """A node by its id."""
        return next((one for one in self.nodes if one.id == node), None)

    def tasks_of(self, service: SwarmService) -> tuple[SwarmTask, ...]:
        """The tasks of a service, the newest first."""
        found = [task for task in self.tasks if task.service == service.id]
        return tuple(sorted(found, key=lambda task: task.created, reverse=True))
