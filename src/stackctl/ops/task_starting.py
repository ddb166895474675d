"""How a task begins: its record, its sidecars, its own container, the proof of its limits."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import uuid4

from stackctl.core.documents import dump
from stackctl.core.errors import EngineRefused, StackctlError, StateError, UnknownName, UsageError
from stackctl.core.placement import PlacementWorld
from stackctl.core.records import TASK_SERVICE, EnvironmentRecord, TaskPart
from stackctl.core.tasks import NO_NETWORK, STACK
from stackctl.ops.down import Aim, end
from stackctl.ops.heeding import heeding
from stackctl.ops.looking import Scene, look
from stackctl.ops.placing import Placed, place_environment, place_in, write_folder
from stackctl.ops.preflight import check_controllers, fetch_images, host_warnings
from stackctl.ops.recording import budget, deadline, ids_by_service, service_records, sidecar_records
from stackctl.ops.remote_files import settled
from stackctl.ops.task_data import check_source, copy_data
from stackctl.ops.task_orders import BRIDGE, order_for
from stackctl.ops.task_outcome import undone_as
from stackctl.ops.verifying import verify
from stackctl.ops.waiting import wait_until_ready

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stackctl.core.facts import Container, EngineFacts
    from stackctl.core.records import Phase
    from stackctl.ops.context import Context
    from stackctl.ops.preparing import Prepared
    from stackctl.ops.protocols import Exit, Streams
    from stackctl.ops.task_preparing import PreparedTask

SIDECAR_SECONDS = 120.0
COMPOSE_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """How a task is to begin.

    Args:
        command: What holds its lock and lease, for messages.
        tied: It ends with the process that began it.
        wait_timeout: Seconds until every sidecar must be ready.
        inside: Project of the environment whose network it joins, empty for none.
        data_from: Folder of the task or environment whose data its sidecars begin with.
        pull: Ask the registry for newer images even where the engine has one.
    """

    command: str = "stackctl run"
    tied: bool = True
    wait_timeout: float = SIDECAR_SECONDS
    inside: str = ""
    data_from: Path | None = None
    pull: bool = False
    allow_unenforced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A task that runs, or has ended already.

    Args:
        container: Its own container, as it was just after the start.
        exit: What tells of its end; opened before it was started.
        streams: Its streams where they were asked for.
    """

    record: EnvironmentRecord
    container: Container
    exit: Exit
    streams: Streams | None = None

    def let_go(self) -> None:
        """Hang up; the task runs on."""
        self.exit.close()


def new_task_id(context: Context) -> str:
    """An id that no task has: 12 hex digits."""
    taken = context.store.task_ids()
    while (found := uuid4().hex[:12]) in taken:
        continue
    return found


def start_task(
    context: Context,
    prepared: PreparedTask,
    options: StartOptions,
    *,
    streams: bool = False,
    announced: Callable[[EnvironmentRecord], None] | None = None,
) -> Started:
    """Bring a task's sidecars up, then start its own container, and prove its limits.

    The record is on disk before docker hears of anything; what fails is undone, its data kept.

    Args:
        streams: Attach to its streams.
        announced: Called with the record once it is on disk.

    Raises:
        UsageError: What it is asked to be goes not together.
        UnknownName: It is to join an environment that is not up.
        StackctlError: It could not be started; nothing of it is left but its record and its data.
    """
    _check(prepared, options)
    with context.store.lock(prepared.project, command=options.command, wait=10.0):
        try:
            return _started(
                heeding(context, prepared.project),
                context,
                prepared,
                options,
                streams=streams,
                announced=announced,
            )
        except BaseException:
            with suppress(StateError):  # of what docker never heard of nothing is remembered
                if context.store.read(prepared.project) is None:
                    context.store.forget_task(prepared.id)
            raise


def _started(
    heedful: Context,
    context: Context,
    prepared: PreparedTask,
    options: StartOptions,
    *,
    streams: bool,
    announced: Callable[[EnvironmentRecord], None] | None,
) -> Started:
    facts = context.engine.facts()
    check_controllers(facts)
    prepared = replace(prepared, prepared=settled(facts, prepared.prepared))
    check_source(options.data_from, facts)
    record = begun_record(context, prepared, options, facts)
    networks = _networks(context, prepared, options)
    fetch_images(heedful, prepared.prepared.bounded.document, pull=options.pull)
    try:
        placed = _placed(context, prepared, record, facts)
        if announced is not None:
            announced(placed.record)
        _sidecars(heedful, prepared, placed, options)
        return _start(context, prepared, placed, options, facts, networks, streams=streams)
    except BaseException as error:
        _undo(context, record, options, error)
        raise


def _check(prepared: PreparedTask, options: StartOptions) -> None:
    """Say what would else be left out in silence."""
    spec = prepared.spec
    if options.inside and spec.network:
        raise UsageError(
            f"{spec.source}: a task in an environment is on its network, and on no other",
            hint="leave out the network, or the environment",
        )
    if spec.network == BRIDGE and prepared.has_sidecars:
        raise UsageError(
            f"{spec.source}: on `{BRIDGE}` no sidecar is found by its name", hint="leave out the network"
        )
    if options.data_from is not None and not prepared.has_sidecars:
        raise UsageError(
            f"{spec.source}: there is no sidecar that could take the data of {options.data_from}",
            hint="name one, as in --sidecar postgres",
        )


def pending_record(
    context: Context, prepared: PreparedTask, options: StartOptions, facts: EngineFacts
) -> EnvironmentRecord:
    """The record of a task that waits to be started; not yet written."""
    return _record(context, prepared, options, facts, phase="pending")


def begun_record(
    context: Context, prepared: PreparedTask, options: StartOptions, facts: EngineFacts
) -> EnvironmentRecord:
    """The record of a task that starts; one that was pending keeps when it was asked for."""
    record = _record(context, prepared, options, facts, phase="starting")
    waited = context.store.read(prepared.project)
    if waited is None:
        return record
    if waited.phase != "pending":
        raise StateError(f"the task `{prepared.id}` was {waited.phase} before it was started")
    return replace(record, created=waited.created, generation=waited.generation)


def _record(
    context: Context, prepared: PreparedTask, options: StartOptions, facts: EngineFacts, *, phase: Phase
) -> EnvironmentRecord:
    now, whole, spec = context.clock.now(), prepared.prepared, prepared.spec
    lifetime = whole.effective[TASK_SERVICE].limits.lifetime
    return EnvironmentRecord(
        project=prepared.project,
        stack=STACK,
        generation=str(uuid4()),
        phase=phase,
        root=whole.found.root,
        stack_file=spec.source,
        engine=facts.id,
        engine_host=facts.host,
        home=context.store.identity,
        user=context.user,
        created=now.wall,
        updated=now.wall,
        lifetime=lifetime,
        deadline=deadline(context, lifetime),
        services=service_records(whole),
        sidecars=sidecar_records(whole),
        secrets=tuple(one.name for one in whole.rendered.secrets),
        tied=options.tied,
        lease=context.store.lease(options.command),
        began=facts.system_time or now.wall,
        budget=budget(whole),
        task=TaskPart(
            id=prepared.id,
            name=spec.name,
            image=spec.image,
            command=spec.command,
            inside=options.inside,
            holder=spec.holder,
            key=spec.key,
            variables=tuple(sorted(spec.environment)),
            mounts=tuple(mount.words for mount in spec.mounts),
            keep=spec.keep,
        ),
    )


def _networks(context: Context, prepared: PreparedTask, options: StartOptions) -> list[str]:
    """What it is attached to before its own network: a network by name, or an environment's by id.

    Raises:
        EngineRefused: The environment is a Swarm's.
        UnknownName: There is no such network, or the environment is not up.
    """
    if options.inside:
        record = context.store.read(options.inside)
        if record is not None and record.on_swarm:
            raise EngineRefused(
                f"`{options.inside}` is a Swarm's, and no task can run in it yet",
                hint="`stackctl exec` runs a command in a service of it, "
                "`stackctl batch --engine swarm` tasks beside it",
            )
        if record is None or record.phase != "running" or not record.networks:
            raise UnknownName(
                f"`{options.inside}` is not up, so no task can run in it",
                hint="start it with `stackctl up`; `stackctl list` shows what runs",
            )
        return list(record.networks.values())
    name = prepared.spec.network
    if not name or name in (NO_NETWORK, BRIDGE):
        return []
    found = [network.id for network in context.engine.networks() if network.name == name]
    if not found:
        raise UnknownName(
            f"the engine has no network `{name}`", hint="`docker network ls` shows those that there are"
        )
    return found


def _placed(
    context: Context, prepared: PreparedTask, record: EnvironmentRecord, facts: EngineFacts
) -> Placed:
    """A place for what it needs: ports and a subnet only where it has sidecars."""
    whole = prepared.prepared
    for sentence in host_warnings(facts, whole.bounded.services, _lower("SIDECAR"), _lower):
        context.progress.warn(sentence)
    if prepared.has_sidecars:
        scene = Scene(project=record.project, facts=facts, record=record, containers=(), networks=())
        return place_environment(context, scene, whole, record)
    world = PlacementWorld(
        ports=context.configuration.ports, subnets=context.configuration.subnets, cpus=facts.cpus
    )
    return place_in(context, world, whole, record)


def _lower(service: str) -> str:
    owner = "" if service == TASK_SERVICE else f"{service}."
    return f"set its memory lower, as in --limit {owner}memory=512m"


def _sidecars(context: Context, prepared: PreparedTask, placed: Placed, options: StartOptions) -> None:
    if not prepared.has_sidecars:
        return
    if options.data_from is not None:
        context.progress.step(f"copying the data of {options.data_from}")
        copy_data(context, options.data_from, prepared, options.command)
    deployment = write_folder(context, _beside(prepared.prepared), placed)
    record = placed.record
    beside = {name: one for name, one in record.services.items() if name != TASK_SERVICE}
    context.progress.step(f"starting {', '.join(sorted(beside))}")
    context.engine.up(deployment, timeout=COMPOSE_SECONDS, services=sorted(beside))
    wait_until_ready(context, record.project, record.generation, beside, timeout=options.wait_timeout)


def _beside(whole: Prepared) -> Prepared:
    """What Compose is given: the sidecars alone, so that no file holds the values of the task's variables."""
    document = whole.bounded.document
    services = {name: one for name, one in document["services"].items() if name != TASK_SERVICE}
    return replace(whole, text=dump({**document, "services": services}))


def _start(
    context: Context,
    prepared: PreparedTask,
    placed: Placed,
    options: StartOptions,
    facts: EngineFacts,
    networks: list[str],
    *,
    streams: bool,
) -> Started:
    record, engine = placed.record, context.engine
    scene = look(context, record.project) if prepared.has_sidecars else None
    joined = [network.id for network in scene.networks] if scene else []
    joined += networks
    container = engine.create_container(record.project, order_for(context, prepared, placed, joined))
    for network in joined[1:]:
        engine.join_network(container, network)
    spec = prepared.spec
    attached = engine.attach(container, stdin=spec.stdin, terminal=spec.terminal) if streams else None
    waits = engine.exit_wait(container)
    try:
        engine.start_container(container)
        (made,) = engine.inspect([container])
        everything = (*(scene.containers if scene else ()), made)
        running = [one for one in everything if one.state == "running"]
        unenforced = options.allow_unenforced
        proof = verify(context, facts, record.services, running, allow_unenforced=unenforced)
        record = _running(context, record, everything, scene, made, proof)
    except BaseException:
        waits.close()
        if attached is not None:
            attached.close()
        raise
    return Started(record=record, container=made, exit=waits, streams=attached)


def _running(
    context: Context,
    record: EnvironmentRecord,
    everything: tuple[Container, ...],
    scene: Scene | None,
    made: Container,
    proof: str,
) -> EnvironmentRecord:
    task = record.task
    record = replace(
        record,
        phase="running",
        updated=context.clock.now().wall,
        deadline=deadline(context, record.lifetime),  # fetching images and sidecars took nothing of it
        containers=ids_by_service(everything),
        networks={network.name: network.id for network in scene.networks} if scene else {},
        lease=record.lease if record.tied else None,
        verified=proof,
        task=replace(task, started=made.started) if task else None,
    )
    context.store.write(record)
    return record


def _undo(context: Context, record: EnvironmentRecord, options: StartOptions, error: BaseException) -> None:
    """End what was begun, and say in its record why."""
    phase, reason = undone_as(context, record, error)
    try:
        scene = look(context, record.project)
        if scene.record is not None:
            end(context, scene, options.command, Aim(phase=phase, reason=reason))
    except StackctlError as problem:
        context.progress.warn(f"not everything of the task could be undone: {problem}")
