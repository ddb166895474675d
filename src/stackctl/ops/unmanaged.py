"""Objects of ours that no record speaks of: taken on with `adopt`, or ended when somebody says so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.dotenv import read_dotenv
from stackctl.core.errors import EngineRefused, StateError, UnknownName
from stackctl.core.labels import PREFIX, Stamp, read_stamp
from stackctl.core.limits import DEFAULT, DEFAULT_WATCHDOG
from stackctl.core.records import LIVE, EnvironmentRecord, ServiceRecord
from stackctl.ops.looking import verified
from stackctl.ops.recording import deadline, ended, ids_by_service, thresholds
from stackctl.ops.taking_down import take_down

if TYPE_CHECKING:
    from stackctl.core.facts import Container, EngineFacts, Network
    from stackctl.ops.context import Context

ADOPTED = "it was adopted: its record was lost and made anew from what runs"


def unmanaged(context: Context, project: str) -> tuple[EngineFacts, list[Container], list[Network]]:
    """What carries this user's and state directory's labels for a project, on this engine, without a record.

    Raises:
        UnknownName: There is nothing of it.
        StateError: It has a record that vouches for all of it.
    """
    facts = context.engine.facts()
    labels = {f"{PREFIX}project": project, f"{PREFIX}home": context.store.identity}
    record = _record(context, project)

    def ours(thing: Container | Network) -> bool:
        stamp = read_stamp(thing.labels)
        mine = stamp is not None and stamp.user == context.user and stamp.engine == facts.id
        return mine and not verified(record, stamp)

    containers = [one for one in context.engine.containers(labels) if ours(one)]
    networks = [one for one in context.engine.networks(labels) if ours(one)]
    if not containers and not networks:
        if record is not None:
            raise StateError(f"`{project}` has its record", hint=f"`stackctl down {project}` ends it")
        raise UnknownName(
            f"nothing of this user on this engine is labelled `{project}`",
            hint="`stackctl reap --dry-run` lists what is unmanaged",
        )
    return facts, containers, networks


def _record(context: Context, project: str) -> EnvironmentRecord | None:
    try:
        return context.store.read(project)
    except StateError:
        return None  # what cannot be read vouches for nothing


def end_unmanaged(context: Context, project: str, *, command: str) -> tuple[int, int]:
    """End what `unmanaged` finds: how many containers and networks were removed; its data stays.

    Raises:
        UnknownName, StateError: As `unmanaged`.
        EngineRefused: Something cannot be removed.
    """
    with context.store.lock(project, command=command):
        _, containers, networks = unmanaged(context, project)
        take_down(context, containers, networks)
    return len(containers), len(networks)


def made_elsewhere(context: Context, project: str) -> bool:
    """Whether an environment is recorded as up on another engine than the one that answers."""
    record = _record(context, project)
    return record is not None and record.phase in LIVE and record.engine != context.engine.facts().id


def lose_elsewhere(context: Context, project: str, *, command: str) -> EnvironmentRecord:
    """Record as lost what was made on an engine that is gone for good; its data stays.

    Raises:
        UnknownName: There is no such environment.
        StateError: It is this engine's, so that it can be ended as usual.
    """
    with context.store.lock(project, command=command):
        record = context.store.read(project)
        if record is None:
            raise UnknownName(f"nothing is remembered of `{project}`")
        if not made_elsewhere(context, project):
            raise StateError(f"`{project}` is this engine's", hint=f"`stackctl down {project}` ends it")
        return ended(
            context, record, "lost", f"its engine at {record.engine_host} is gone, as was said by hand"
        )


def adopt(context: Context, project: str, *, lifetime: float, root: str, command: str) -> EnvironmentRecord:
    """Make the record of an environment anew from what runs of it.

    Args:
        lifetime: Seconds that it is given from now.
        root: Real path of the folder that holds `stacks/`, empty when it is not known.

    Raises:
        UnknownName, StateError: As `unmanaged`, or a record is there already.
        EngineRefused: What is there is of more than one generation.
    """
    with context.store.lock(project, command=command):
        facts, containers, networks = unmanaged(context, project)
        if context.store.read(project) is not None:
            raise StateError(
                f"`{project}` has a record, and these are of another generation",
                hint=f"`stackctl reap --force {project}` ends them, `stackctl up` starts anew",
            )
        record = _observed(context, facts, containers, networks)
        now = context.clock.now()
        record = replace(
            record, lifetime=lifetime, deadline=deadline(context, lifetime), root=root, updated=now.wall
        )
        context.store.write(record)
        return record


def _observed(
    context: Context, facts: EngineFacts, containers: list[Container], networks: list[Network]
) -> EnvironmentRecord:
    stamp = _one_stamp([*containers, *networks])
    times = [one.created for one in containers] + [one.created for one in networks]
    created = min((at for at in times if at), default=0.0)
    return EnvironmentRecord(
        project=stamp.project,
        stack=stamp.stack,
        instance=stamp.instance,
        generation=stamp.generation,
        phase="running",
        root="",
        engine=facts.id,
        engine_host=facts.host,
        home=stamp.home,
        user=stamp.user,
        created=created,
        lifetime=0.0,
        deadline=deadline(context, 0.0),
        placement=_placement(context, stamp.project),
        services={one.service: _service(one, containers) for one in containers if one.service},
        containers=ids_by_service(tuple(containers)),
        networks={network.name: network.id for network in networks},
        warnings=(ADOPTED,),
    )


def _one_stamp(things: list[Container | Network]) -> Stamp:
    stamps = {stamp.generation: stamp for thing in things if (stamp := read_stamp(thing.labels)) is not None}
    if len(stamps) != 1:
        raise EngineRefused(
            f"what is there is of {len(stamps)} generations, and one record can have one",
            hint="`stackctl reap --force` ends them all; their data stays",
        )
    return next(iter(stamps.values()))


def _placement(context: Context, project: str) -> dict[str, str]:
    """The holes' values, where the file that fills them is still there."""
    deployment = context.store.deployment(project)
    return read_dotenv(deployment.placement.read_text()) if deployment else {}


def _service(container: Container, every: list[Container]) -> ServiceRecord:
    """What one service is allowed, as the engine has it; where it has no limit, the default."""
    applied = container.limits
    asked = ServiceRecord(
        pids=_positive(applied.pids, DEFAULT.pids),
        memory=_positive(applied.memory, DEFAULT.memory),
        swap=_positive(applied.swap, DEFAULT.swap),
        cpus=applied.cpus if applied.cpus and applied.cpus > 0 else DEFAULT.cpus,
        replicas=sum(one.service == container.service for one in every),
    )
    return replace(asked, watchdog=thresholds(DEFAULT_WATCHDOG, asked))


def _positive(value: int | None, default: int) -> int:
    return value if value is not None and value > 0 else default
