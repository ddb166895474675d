"""Where a command can be made to die, hang or fail: before and after each change of engine or state.

For tests only: a session wraps its engine and store when its environment asks for it, else this never loads.
A change is named for people, then counted, as in `record:running#1:before` or `remove-containers#2:after`.
"""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, NoReturn, ParamSpec, TypeVar

from stackctl.core.errors import StackctlError, UsageError
from stackctl.state.failures import state_error

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord
    from stackctl.ops.protocols import Engine, Lead, Store, Swarm

P = ParamSpec("P")
R = TypeVar("R")

SHARED_LOCKS = frozenset({"placement", "supervisor"})
"""Locks that are not an environment's; each is a step of its own name."""


class Points:
    """The points of one process: it counts each, writes it down where asked, and acts at one of them.

    Args:
        order: A point and what to do there, as `document#1:after:kill9`; empty for nothing. The deeds:
            kill9 (KILL to ourselves), killgroup (KILL to our process group), hang (until we are killed),
            raise (an error of ours), enospc (what a full disk raises).
        trace: A file to which each point that is reached is appended, a line each; empty for none.

    Raises:
        UsageError: There is no such deed.
    """

    def __init__(self, order: str = "", trace: str = "") -> None:
        self._point, _, deed = order.rpartition(":")
        if order and deed not in DEEDS:
            raise UsageError(f"`{deed}` is no deed of a fail-point", hint=f"one of {', '.join(DEEDS)}")
        self._deed = DEEDS.get(deed)
        self._trace = trace
        self._counts: Counter[str] = Counter()
        self._guard = Lock()

    def count(self, step: str) -> str:
        """A step's name with its number, which says the how-manieth of its name it is."""
        with self._guard:
            self._counts[step] += 1
            return f"{step}#{self._counts[step]}"

    def reach(self, point: str) -> None:
        """Write a point down, and do what was ordered there."""
        if self._trace:
            _append(self._trace, f"{point}\n")
        if self._deed is not None and point == self._point:
            self._deed(point)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One change, with a point before it and, when it went well, one after it."""
        counted = self.count(name)
        self.reach(f"{counted}:before")
        yield
        self.reach(f"{counted}:after")

    def around(self, name: str | Callable[..., str], call: Callable[P, R]) -> Callable[P, R]:
        """A call as a step.

        Args:
            name: The step's name, or what tells it from the call's arguments; an empty one is no step.
            call: What changes something.
        """

        @wraps(call)
        def stepped(*args: P.args, **kwargs: P.kwargs) -> R:
            title = name if isinstance(name, str) else name(*args, **kwargs)
            if not title:
                return call(*args, **kwargs)
            with self.step(title):
                return call(*args, **kwargs)

        return stepped


def _append(path: str, line: str) -> None:
    # One write to a file opened for appending: several processes may trace into one.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def _hang() -> None:
    while True:
        Event().wait(3600)


def _raise(point: str) -> NoReturn:
    raise StackctlError(f"the fail-point `{point}` was reached")


def _full_disk(point: str) -> NoReturn:
    raise state_error("write", Path(point), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


DEEDS: dict[str, Callable[[str], None]] = {
    "kill9": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "killgroup": lambda _: os.killpg(os.getpgrp(), signal.SIGKILL),
    "hang": lambda _: _hang(),
    "raise": _raise,
    "enospc": _full_disk,
}


def wrap_engine(engine: Engine, points: Points) -> Engine:
    """The engine with a step for each change; questions go straight through."""
    return SteppedEngine(engine, points)


def wrap_store(store: Store, points: Points) -> Store:
    """The store with a step for each change; questions go straight through."""
    return SteppedStore(store, points)


def _if_any(name: str) -> Callable[..., str]:
    """Names a call that takes ids first; with none of them it changes nothing and is no step."""

    def title(ids: Sequence[str], **_: object) -> str:
        return name if ids else ""

    return title


class SteppedEngine:
    """An `Engine` of which each change is a step; one line for each method says which it is."""

    def __init__(self, engine: Engine, points: Points) -> None:
        around = points.around
        self.pull = around("pull", engine.pull)
        self.build = around("build", engine.build)
        self.up = around("compose-up", engine.up)
        self.stop = around(_if_any("stop"), engine.stop)
        self.kill = around(_if_any("kill"), engine.kill)
        self.restart = around(_if_any("restart"), engine.restart)
        self.renew_limits = around(_if_any("renew-limits"), engine.renew_limits)
        self.forbid_restart = around(_if_any("forbid-restart"), engine.forbid_restart)
        self.remove_containers = around(_if_any("remove-containers"), engine.remove_containers)
        self.remove_networks = around(_if_any("remove-networks"), engine.remove_networks)
        self.delete_inside = around("delete-inside", engine.delete_inside)
        self.bring = around("bring", engine.bring)
        self.delete_remote = around("delete-remote", engine.delete_remote)
        self.execute = around("execute", engine.execute)
        self.end_processes = around("end-processes", engine.end_processes)
        self.create_container = around("create-container", engine.create_container)
        self.start_container = around("start-container", engine.start_container)
        self.join_network = around("join-network", engine.join_network)
        self.swarm = lambda: SteppedSwarm(engine.swarm(), points)
        self.lead = lambda: SteppedLead(engine.lead(), points)

        self._pass_questions(engine)

    def _pass_questions(self, engine: Engine) -> None:
        self.facts = engine.facts
        self.bare_facts = engine.bare_facts
        self.containers = engine.containers
        self.inspect = engine.inspect
        self.networks = engine.networks
        self.volumes = engine.volumes
        self.images = engine.images
        self.local_images = engine.local_images
        self.registry_digest = engine.registry_digest
        self.config = engine.config
        self.log_tail = engine.log_tail
        self.logs = engine.logs
        self.container_logs = engine.container_logs
        self.readings = engine.readings
        self.local = engine.local
        self.sample = engine.sample
        self.processes = engine.processes
        self.host_memory = engine.host_memory
        self.events = engine.events
        self.past_events = engine.past_events
        self.roster = engine.roster
        self.networks_brief = engine.networks_brief
        self.ports_in_use = engine.ports_in_use
        self.port_holder = engine.port_holder
        self.host_addresses = engine.host_addresses
        self.warm = engine.warm
        self.resize = engine.resize
        self.attach = engine.attach
        self.exit_wait = engine.exit_wait
        self.output = engine.output
        self.close = engine.close


class SteppedSwarm:
    """A `Swarm` of which each change is a step; one line for each method says which it is."""

    def __init__(self, swarm: Swarm, points: Points) -> None:
        around = points.around
        self.deploy = around("stack-deploy", swarm.deploy)
        self.scale_to_nothing = around(_if_any("scale-to-nothing"), swarm.scale_to_nothing)
        self.remove = around(lambda kind, ids: f"remove-{kind}s" if ids else "", swarm.remove)
        self.label_node = around("label-node", swarm.label_node)
        self.start_anew = around("start-anew", swarm.start_anew)
        self.roll_back = around("roll-back", swarm.roll_back)
        self.start_once = around("start-once", swarm.start_once)
        self.create_service = around("create-service", swarm.create_service)
        self.end_service = around("end-service", swarm.end_service)
        self.remove_service = around("remove-service", swarm.remove_service)

        self.cluster = swarm.cluster
        self.nodes = swarm.nodes
        self.services = swarm.services
        self.things = swarm.things
        self.service_called = swarm.service_called
        self.log_tail = swarm.log_tail
        self.log_lines = swarm.log_lines
        self.logs = swarm.logs
        self.engine_of = swarm.engine_of
        self.api = swarm.api
        self.tasks = swarm.tasks
        self.single_services = swarm.single_services
        self.service_output = swarm.service_output


class SteppedLead:
    """A `Lead` of which each change is a step."""

    def __init__(self, lead: Lead, points: Points) -> None:
        self.take_away = points.around(lambda kind, _: f"take-away-{kind}", lead.take_away)
        self.label_service = points.around("label-service", lead.label_service)

        self.standing = lead.standing
        self.services = lead.services
        self.things = lead.things
        self.close = lead.close


class SteppedStore:
    """A `Store` of which each change is a step; one line for each method says which it is."""

    def __init__(self, store: Store, points: Points) -> None:
        self._points, self._lock = points, store.lock
        around = points.around
        self.write = around(_phase, store.write)
        self.remove_record = around("remove-record", store.remove_record)
        self.write_document = around("document", store.write_document)
        self.write_swarm_document = around("swarm-document", store.write_swarm_document)
        self.write_files = around("files", store.write_files)
        self.ensure_secrets = around("secrets", store.ensure_secrets)
        self.write_secret_text = around("secret-text", store.write_secret_text)
        self.ensure_data = around("data", store.ensure_data)
        self.move_data = around("move-data", store.move_data)
        self.purge = around("purge", store.purge)
        self.write_log = around("log", store.write_log)
        self.write_incident = around("incident", store.write_incident)
        self.write_peaks = around("peaks", store.write_peaks)
        self.beat = around("beat", store.beat)
        self.copy_data = around("copy-data", store.copy_data)
        self.write_output = around("output", store.write_output)
        self.write_spec = around("spec", store.write_spec)
        self.write_past = around("past", store.write_past)
        self.wish_end = around("wish-end", store.wish_end)
        self.remove_spec = around("remove-spec", store.remove_spec)
        self.forget_task = around("forget-task", store.forget_task)
        self.tidy_tasks = around("tidy-tasks", store.tidy_tasks)

        self._pass_questions(store)

    def _pass_questions(self, store: Store) -> None:
        self.home = store.home
        self.identity = store.identity
        self.folder = store.folder
        self.read = store.read
        self.records = store.records
        self.recall = store.recall
        self.deployment = store.deployment
        self.unreadable = store.unreadable
        self.lease = store.lease
        self.lease_alive = store.lease_alive
        self.lock_holder = store.lock_holder
        self.owned_ports = store.owned_ports
        self.owned_subnets = store.owned_subnets
        self.secret = store.secret
        self.secret_stamp = store.secret_stamp
        self.parcel = store.parcel
        self.incidents = store.incidents
        self.heartbeat = store.heartbeat
        self.peaks = store.peaks
        self.has_data = store.has_data
        self.data_size = store.data_size
        self.trash_left = store.trash_left
        self.output_tail = store.output_tail
        self.past = store.past
        self.end_wished = store.end_wished
        self.read_spec = store.read_spec
        self.finished_tasks = store.finished_tasks
        self.task_ids = store.task_ids

    @contextmanager
    def lock(self, name: str, *, command: str, wait: float = 10.0) -> Iterator[None]:
        """Hold a lock: taking it is one step, letting it go another."""
        kind = name if name in SHARED_LOCKS else "holder" if name.startswith("holder-") else "environment"
        points, step = self._points, self._points.count(f"lock:{kind}")
        points.reach(f"{step}:before")
        with self._lock(name, command=command, wait=wait):
            points.reach(f"{step}:after")
            try:
                yield
            finally:
                points.reach(f"un{step}:before")
        points.reach(f"un{step}:after")


def _phase(record: EnvironmentRecord) -> str:
    return f"record:{record.phase}"
