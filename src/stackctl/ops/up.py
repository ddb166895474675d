"""`up`: from a prepared stack to a running environment whose limits are proven, or to what was before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stackctl.core.changes import ServiceChange, as_done, changes
from stackctl.core.convergence import standings, unsettled
from stackctl.core.documents import load
from stackctl.core.errors import Busy, EngineRefused, ServiceFailed, StackctlError
from stackctl.core.records import SWARM
from stackctl.ops.looking import Scene, look, look_again
from stackctl.ops.placing import Placed, place_environment, write_folder
from stackctl.ops.preflight import preflight
from stackctl.ops.recording import begin, finish, with_thresholds
from stackctl.ops.recovering import recover
from stackctl.ops.remote_files import check_data_is_here, settled
from stackctl.ops.rotating import restart_holders, secret_stamps
from stackctl.ops.taking_down import take_down
from stackctl.ops.undoing import undo
from stackctl.ops.unheeded import unheeded_afar
from stackctl.ops.verifying import verify
from stackctl.ops.volumes import settle_volumes
from stackctl.ops.waiting import failure, generation_of, wait_until_ready

if TYPE_CHECKING:
    from stackctl.core.deployment import Deployment
    from stackctl.core.facts import Container
    from stackctl.core.records import EnvironmentRecord
    from stackctl.ops.context import Context
    from stackctl.ops.preparing import Prepared

COMPOSE_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """How `up` is to go about it.

    Args:
        wait: False returns as soon as everything was started.
        wait_timeout: Seconds until every service must be ready.
        lifetime: Seconds from now; None keeps the deadline of an environment that runs.
        pull: Ask the registry for newer images even where the engine has one.
        tied: The environment ends with its lease (`with`), unless it stood before without one.
        plain_name: What the caller's environment has plain Compose call the project (`COMPOSE_PROJECT_NAME`).
        volumes_of: The project of Compose's whose volumes it is to use; empty for those that it used last.
        lock_wait: Seconds to wait for another command that works on it.
        engine: local or swarm; empty for what the stack file says.
    """

    command: str = "stackctl up"
    wait: bool = True
    wait_timeout: float = 120.0
    lifetime: float | None = None
    build: bool = False
    pull: bool = False
    tied: bool = False
    allow_unenforced: bool = False
    plain_name: str = ""
    volumes_of: str = ""
    lock_wait: float = 10.0
    engine: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpResult:
    """What `up` did.

    Args:
        changes: What was done to each service; all `keep` when nothing was to do.
        containers: As last seen.
    """

    record: EnvironmentRecord
    changes: tuple[ServiceChange, ...]
    containers: tuple[Container, ...]

    @property
    def unchanged(self) -> bool:
        """True when it was up already and nothing had to be done."""
        return all(change.kind == "keep" for change in self.changes)


def up(
    context: Context,
    prepared: Prepared,
    options: UpOptions,
    *,
    announced: Callable[[EnvironmentRecord], None] | None = None,
) -> UpResult:
    """Bring an environment up, or make it what its stack file now says.

    Args:
        announced: Called with the record once it is on disk and before docker hears of anything; not when
            nothing is to do, except for one that is tied to this command from now on.

    Raises:
        Busy: Another command is working on it, or it is to be tied and belongs to another command.
        EngineRefused: It is a stack for Swarm.
        StackctlError: What this call made is undone again; the message says why.
    """
    if (options.engine or prepared.stack.engine) == SWARM:
        raise EngineRefused(
            f"{prepared.stack.source} says `engine: swarm`, and this starts stacks on one engine",
            hint=f"`stackctl up {prepared.stack.name}` brings it up on Swarm, with `--engine local` here",
        )
    with context.store.lock(prepared.project, command=options.command, wait=options.lock_wait):
        scene = recover(context, look(context, prepared.project))
        if options.tied:
            _check_owner(context, scene.record)
        check_data_is_here(context, scene.record, scene.facts)
        prepared = settle_volumes(context, scene, prepared, options.volumes_of, options.plain_name)
        prepared = settled(scene.facts, prepared)
        for sentence in unheeded_afar(prepared) if scene.facts.remote else ():
            context.progress.warn(sentence)
        planned = plan(context, scene, prepared)
        if scene.record and _nothing_to_do(scene, prepared, planned, options):
            result = _kept(context, scene, scene.record, prepared, planned, options, announced)
        else:
            result = _bring_up(context, scene, prepared, planned, options, announced)
    if scene.record and scene.record.tied and not result.record.tied:
        owner = _owner_of(scene.record)
        context.progress.warn(f"`{prepared.project}` belonged to {owner}, and stays up from now on")
    return result


def _check_owner(context: Context, record: EnvironmentRecord | None) -> None:
    if record is None or record.phase != "running" or not record.tied or record.lease is None:
        return
    if context.store.lease_alive(record.lease) is not False:
        raise Busy(
            f"`{record.project}` belongs to {_owner_of(record)}, and ends with it",
            hint="`--instance NAME` makes another environment of the same stack",
        )


def _owner_of(record: EnvironmentRecord) -> str:
    return f"`{record.lease.command}` (pid {record.lease.pid})" if record.lease else "a command"


def plan(context: Context, scene: Scene, prepared: Prepared) -> tuple[ServiceChange, ...]:
    """What `up` would do to each service of an environment."""
    path = context.store.folder(prepared.project) / "compose.yaml"
    before: Mapping[str, object] = {}
    if scene.containers and path.is_file():
        before = load(path.read_text(), source=str(path)).data
    return changes(before, prepared.bounded.document, scene.containers, prepared.bounded.services)


def _nothing_to_do(
    scene: Scene, prepared: Prepared, planned: tuple[ServiceChange, ...], options: UpOptions
) -> bool:
    record = scene.record
    if record is None or record.phase != "running" or record.document != prepared.digest:
        return False
    if options.build or options.pull or any(change.kind != "keep" for change in planned):
        return False
    if record.variables != dict(prepared.given) or any(s.from_file for s in prepared.rendered.secrets):
        return False
    states = standings(record.services, scene.containers)
    return all(state.standing == "ready" for state in states) or not options.wait


def _kept(
    context: Context,
    scene: Scene,
    record: EnvironmentRecord,
    prepared: Prepared,
    planned: tuple[ServiceChange, ...],
    options: UpOptions,
    announced: Callable[[EnvironmentRecord], None] | None,
) -> UpResult:
    verify(
        context,
        scene.facts,
        record.services,
        scene.containers,
        allow_unenforced=options.allow_unenforced,
    )
    watched = with_thresholds(record, prepared)
    if record.tied:
        watched = replace(watched, tied=options.tied, lease=context.store.lease(options.command))
    if options.lifetime is not None or watched != record:
        record = finish(context, watched, scene, lifetime=options.lifetime)
    if record.tied and announced is not None:
        announced(record)
    return UpResult(record=record, changes=planned, containers=scene.containers)


def _bring_up(
    context: Context,
    scene: Scene,
    prepared: Prepared,
    planned: tuple[ServiceChange, ...],
    options: UpOptions,
    announced: Callable[[EnvironmentRecord], None] | None,
) -> UpResult:
    context.engine.warm()
    for change in planned if scene.containers else ():
        if change.kind != "keep":
            context.progress.step(f"will {change}")
    preflight(context, scene, prepared, pull=options.pull)
    placed = place_environment(context, scene, prepared, begin(context, scene, prepared, options))
    try:
        if announced is not None:
            announced(placed.record)
        before = secret_stamps(context, prepared.project, prepared.bounded.document)
        deployment = write_folder(context, prepared, placed)
        after = secret_stamps(context, prepared.project, prepared.bounded.document)
        replaced = {name for name in after if before[name] and before[name] != after[name]}
        seen, verified = _drive(context, scene, prepared, placed, deployment, replaced, options)
    except BaseException as error:
        undo(context, scene, placed.record, error)
        raise
    _remove_orphans(context, planned, seen)
    planned = as_done(planned, scene.containers, seen)
    scene = look_again(context, scene, placed.record)
    record = replace(placed.record, document=prepared.digest, verified=verified)
    record = finish(context, record, scene, lifetime=options.lifetime)
    return UpResult(record=record, changes=planned, containers=_as_judged(scene, seen))


def _as_judged(scene: Scene, seen: tuple[Container, ...]) -> tuple[Container, ...]:
    """The containers of an environment, those that were judged as they were then.

    What ends later is for `status` and the supervisor to tell: an `up` that took a service for ready does not
    show it as failed.
    """
    judged = {container.id: container for container in seen}
    return tuple(judged.get(container.id, container) for container in scene.containers)


def _drive(
    context: Context,
    scene: Scene,
    prepared: Prepared,
    placed: Placed,
    deployment: Deployment,
    replaced: set[str],
    options: UpOptions,
) -> tuple[tuple[Container, ...], str]:
    record = placed.record
    context.progress.step(f"starting {', '.join(sorted(record.services))}")
    try:
        context.engine.up(deployment, build=options.build, timeout=COMPOSE_SECONDS)
    except StackctlError as error:
        raise _explained(context, record, error) from error
    if replaced:
        there = generation_of(context, record.project, record.generation)
        kept = {container.id for container in scene.containers}
        still = [container for container in there if container.id in kept]
        restart_holders(context, prepared.bounded.document, replaced, still)
    if options.wait:
        containers = wait_until_ready(
            context, record.project, record.generation, record.services, timeout=options.wait_timeout
        )
    else:
        containers = generation_of(context, record.project, record.generation)
    verified = verify(
        context, scene.facts, record.services, containers, allow_unenforced=options.allow_unenforced
    )
    if options.wait:
        containers = _still_standing(context, record, containers)
    return containers, verified


def _still_standing(
    context: Context, record: EnvironmentRecord, containers: tuple[Container, ...]
) -> tuple[Container, ...]:
    """A last look: a service without a health check may have ended right after it was seen running."""
    context.clock.sleep(max(0.0, unsettled(containers, context.clock.now().wall)))
    containers = generation_of(context, record.project, record.generation)
    if any(state.standing == "failed" for state in standings(record.services, containers)):
        raise failure(context, record.services, containers)
    return containers


def _explained(context: Context, record: EnvironmentRecord, error: StackctlError) -> StackctlError:
    """Compose's error, or the better one that the containers tell: whose health check or exit it was.

    An exit from before this call explains nothing of it.
    """
    containers = generation_of(context, record.project, record.generation)
    recent = tuple(one for one in containers if one.state == "running" or one.started >= record.began)
    if not any(state.standing == "failed" for state in standings(record.services, recent)):
        return error
    return ServiceFailed(str(failure(context, record.services, recent)), hint=error.hint)


def _remove_orphans(
    context: Context, planned: tuple[ServiceChange, ...], containers: tuple[Container, ...]
) -> None:
    gone = {change.service for change in planned if change.kind == "remove"}
    take_down(context, [c for c in containers if c.service in gone], ())


def plan_words(planned: tuple[ServiceChange, ...]) -> dict[str, str]:
    """What is done to each service, as one word, for JSON."""
    return {change.service: change.kind for change in planned}
