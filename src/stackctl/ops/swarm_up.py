"""`up` on a Swarm: from a prepared stack to services that run within their limits, or to what was before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import uuid4

from stackctl.core.documents import dump, load
from stackctl.core.errors import EngineRefused, StackctlError
from stackctl.core.placement import PlacementWorld, place_ports
from stackctl.core.records import LIVE, SWARM, EnvironmentRecord
from stackctl.core.swarm import ENV_SUFFIX, NO_SWAP, SwarmDocument, SwarmInputs, swarm_document
from stackctl.core.swarm_stages import deadline_labels, part_of, stages, told_of
from stackctl.core.swarm_standing import swarm_standings
from stackctl.ops.placing import connection_values, stamp_of
from stackctl.ops.recording import deadline, service_records, sidecar_records
from stackctl.ops.swarm_data import place_data
from stackctl.ops.swarm_deadlines import tell_deadline
from stackctl.ops.swarm_looking import look_at_swarm
from stackctl.ops.swarm_undoing import undo_on_swarm
from stackctl.ops.swarm_verifying import verify_on_swarm
from stackctl.ops.swarm_waiting import wait_on_swarm
from stackctl.ops.unheeded import unheeded_on_swarm

if TYPE_CHECKING:
    from stackctl.core.records import ServiceRecord
    from stackctl.core.swarm_facts import Cluster, SwarmScene, SwarmService
    from stackctl.ops.context import Context
    from stackctl.ops.preparing import Prepared
    from stackctl.ops.up import UpOptions

DEPLOY_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmUp:
    """What `up` did on a Swarm.

    Args:
        changes: What was done to each service: create, update, remove or keep.
    """

    record: EnvironmentRecord
    scene: SwarmScene
    changes: Mapping[str, str]

    @property
    def unchanged(self) -> bool:
        """True when it was up already and nothing had to be done."""
        return all(word == "keep" for word in self.changes.values())


def up_on_swarm(context: Context, prepared: Prepared, options: UpOptions) -> SwarmUp:
    """Bring an environment up on the Swarm that the engine manages, or make it what its stack file now says.

    Raises:
        Busy: Another command is working on it.
        StackctlError: What this call made is undone again; the message says why.
    """
    with context.store.lock(prepared.project, command=options.command, wait=options.lock_wait):
        old = context.store.read(prepared.project)
        _check_kind(context, old, prepared.project)
        scene = look_at_swarm(context, prepared.project, old)
        _check_strangers(scene, prepared.project)
        changes = planned_on_swarm(context, prepared, scene, old)
        if old is not None and _nothing_to_do(old, prepared, scene, changes, options):
            return _kept(context, old, scene, changes, options)
        record = _begin(context, scene.cluster, scene, old, prepared, options)
        swarm_document(
            prepared.bounded.document, _inputs(context, record, prepared)
        )  # refuses before it writes
        context.store.write(record)
        try:
            return _bring_up(context, scene, record, prepared, changes, options)
        except BaseException as error:
            undo_on_swarm(context, scene, old, record, error)
            raise


def _check_kind(context: Context, old: EnvironmentRecord | None, project: str) -> None:
    if old is None or old.on_swarm:
        return
    if old.phase in LIVE or context.store.has_data(project):
        what = "containers" if old.phase in LIVE else "data"
        raise EngineRefused(
            f"`{project}` is an environment of one engine, with {what} there",
            hint="`--instance NAME` makes another one on the Swarm; "
            "`stackctl purge` deletes this one, its data too",
        )


def _check_strangers(scene: SwarmScene, project: str) -> None:
    if scene.strangers:
        raise EngineRefused(
            f"the Swarm has a stack `{project}` that is not this environment: {', '.join(scene.strangers)}",
            hint=f"`docker stack services {project}` shows it; `--instance NAME` makes another environment",
        )


def planned_on_swarm(
    context: Context, prepared: Prepared, scene: SwarmScene, old: EnvironmentRecord | None
) -> dict[str, str]:
    """What `up` would do to each service: create, update, remove or keep.

    Raises:
        PolicyError: The stack asks for what Swarm does not do.
    """
    there = {service.name: service for service in scene.services}
    wanted = prepared.bounded.document["services"]
    if old is None or not there:
        return dict.fromkeys(sorted(wanted), "create")
    path = context.store.folder(prepared.project) / "swarm.yaml"
    before = load(path.read_text(), source=str(path)).data if path.is_file() else {}
    asked = replace(old, services=_asked(prepared))
    after = swarm_document(prepared.bounded.document, _inputs(context, asked, prepared)).document
    found = dict.fromkeys(set(there) - set(wanted), "remove")
    for name in wanted:
        same = told_of(before, name) == told_of(after, name)
        same = same and name in there and there[name].replicas == asked.services[name].replicas
        found[name] = "create" if name not in there else "keep" if same else "update"
    return dict(sorted(found.items()))


def _asked(prepared: Prepared) -> dict[str, ServiceRecord]:
    return {
        name: replace(service, replicas=_replicas(prepared, name))
        for name, service in service_records(prepared).items()
    }


def _replicas(prepared: Prepared, service: str) -> int:
    settings = prepared.stack.services.get(service)
    if settings is not None and settings.replicas is not None:
        return settings.replicas
    return prepared.bounded.services[service].replicas


def _nothing_to_do(
    record: EnvironmentRecord,
    prepared: Prepared,
    scene: SwarmScene,
    changes: Mapping[str, str],
    options: UpOptions,
) -> bool:
    if record.phase != "running" or record.document != prepared.digest or options.pull:
        return False
    if any(word != "keep" for word in changes.values()) or record.variables != dict(prepared.given):
        return False
    if any(secret.from_file for secret in prepared.rendered.secrets):
        return False
    ready = all(one.standing == "ready" for one in swarm_standings(record.services, scene))
    return ready or not options.wait


def _kept(
    context: Context,
    record: EnvironmentRecord,
    scene: SwarmScene,
    changes: Mapping[str, str],
    options: UpOptions,
) -> SwarmUp:
    verify_on_swarm(context, record, scene, allow_unenforced=options.allow_unenforced)
    if options.lifetime is not None:
        record = replace(record, lifetime=options.lifetime, deadline=deadline(context, options.lifetime))
        tell_deadline(context, record, scene)  # first: it is the managers' word that ends it
        context.store.write(record)
    return SwarmUp(record=record, scene=scene, changes=changes)


def _begin(
    context: Context,
    cluster: Cluster,
    scene: SwarmScene,
    old: EnvironmentRecord | None,
    prepared: Prepared,
    options: UpOptions,
) -> EnvironmentRecord:
    """The record of an `up` that begins; what runs keeps its generation and its deadline."""
    now = context.clock.now()
    runs = old if old is not None and scene.services else None
    there = old if old is not None and (scene.services or scene.things) else None
    lifetime = options.lifetime or prepared.effective[""].limits.lifetime
    record = EnvironmentRecord(
        project=prepared.project,
        stack=prepared.stack.name,
        instance=prepared.instance,
        generation=there.generation if there else str(uuid4()),
        phase="starting",
        root=prepared.found.root,
        stack_file=prepared.found.source,
        engine=cluster.id,
        engine_host=context.engine.facts().host,
        home=context.store.identity,
        user=context.user,
        created=runs.created if runs else now.wall,
        lifetime=lifetime,
        deadline=deadline(context, lifetime),
        placement=_ports(context, prepared, old),
        services=_asked(prepared),
        sidecars=sidecar_records(prepared),
        secrets=tuple(spec.name for spec in prepared.rendered.secrets),
        variables=dict(prepared.given),
        began=now.wall,
        lease=context.store.lease(options.command),
        orchestrator=SWARM,
        held=old.held if old is not None else {},
    )
    if runs and options.lifetime is None:
        record = replace(record, lifetime=runs.lifetime, deadline=runs.deadline)
    return record


def _ports(context: Context, prepared: Prepared, old: EnvironmentRecord | None) -> dict[str, str]:
    """A port for each that is asked for without a number, kept for its life; no record of ours has it too.

    Raises:
        PortTaken: None is left in the configured range.
    """
    configuration = context.configuration
    with context.store.lock("placement", command=f"placing {prepared.project}", wait=30.0):
        world = PlacementWorld(
            ports=configuration.ports,
            subnets=configuration.subnets,
            taken_ports=frozenset(context.store.owned_ports(prepared.project)),
        )
        return place_ports(
            prepared.bounded.document,
            world=world,
            kept=old.placement if old is not None else {},
            project=prepared.project,
            note=context.progress.warn,
        )


def _inputs(context: Context, record: EnvironmentRecord, prepared: Prepared) -> SwarmInputs:
    names = {spec.name for spec in prepared.rendered.secrets}
    names |= {f"{plan.name}-url" for plan in prepared.rendered.sidecars}
    return SwarmInputs(
        stamp=stamp_of(record),
        services=record.services,
        settings=prepared.stack.services,
        files=prepared.rendered.files,
        folder=str(context.store.folder(record.project)),
        data=prepared.rendered.data,
        ports=record.placement,
        secrets={name: context.store.secret_stamp(record.project, name) for name in names},
    )


def _write_folder(context: Context, record: EnvironmentRecord, prepared: Prepared) -> None:
    """Write the files that a Swarm is told of: rendered ones, secrets, and the sidecars' URLs."""
    store, project = context.store, record.project
    store.write_files(project, prepared.rendered.files)
    secrets = store.ensure_secrets(project, prepared.rendered.secrets)
    by_service, files = connection_values(prepared, secrets)
    for name, text in files.items():
        store.write_secret_text(project, name, text)
    for service, values in by_service.items():
        lines = "".join(f"{name}={value}\n" for name, value in sorted(values.items()))
        store.write_secret_text(project, f"{service}{ENV_SUFFIX}", lines)
    store.write_document(project, prepared.text, "")


def _bring_up(
    context: Context,
    before: SwarmScene,
    record: EnvironmentRecord,
    prepared: Prepared,
    changes: Mapping[str, str],
    options: UpOptions,
) -> SwarmUp:
    _write_folder(context, record, prepared)
    translated = swarm_document(prepared.bounded.document, _inputs(context, record, prepared))
    for note in (*translated.notes, *unheeded_on_swarm(prepared)):
        context.progress.warn(note)
    constraints = {name: one.placement for name, one in prepared.stack.services.items() if one.placement}
    record = place_data(context, before, record, translated.pins, constraints)
    scene = _deploy(context, before, record, prepared, translated, options)
    gone = [one.id for one in scene.services if one.name not in record.services]
    context.engine.swarm().remove("service", gone)
    verified = verify_on_swarm(context, record, scene, allow_unenforced=options.allow_unenforced)
    if verified.swap_free:
        context.progress.warn(f"swap is not limited on {', '.join(verified.swap_free)}: {NO_SWAP}")
    _remove_outdated(context, scene, translated)
    record = replace(
        record,
        phase="running",
        updated=context.clock.now().wall,
        document=prepared.digest,
        verified=verified.words,
        lease=None,
    )
    context.store.write(record)
    return SwarmUp(record=record, scene=look_at_swarm(context, record.project, record), changes=changes)


def _deploy(
    context: Context,
    before: SwarmScene,
    record: EnvironmentRecord,
    prepared: Prepared,
    translated: SwarmDocument,
    options: UpOptions,
) -> SwarmScene:
    """Tell the Swarm of services in their order, each stage once those that it waits for are ready."""
    updates = {service.id: service.updated for service in before.services}
    pinned = all("@sha256:" in str(one.get("image")) for one in translated.document["services"].values())
    labels = deadline_labels(record.deadline.wall, record.lifetime)
    given_up = _given_up(record, before)
    told: tuple[str, ...] = ()
    scene = before
    for names in stages(prepared.bounded.document):
        told = (*told, *names)
        context.progress.step(f"starting {', '.join(names)}")
        text = dump(part_of(translated.document, told, labels))
        path = context.store.write_swarm_document(record.project, text)
        context.engine.swarm().deploy(record.project, path, timeout=DEPLOY_SECONDS, pinned=pinned)
        for service in given_up:
            if service.name in names:
                context.engine.swarm().start_anew(service.id)
        if options.wait:
            waited = {name: record.services[name] for name in told}
            last = len(told) == len(record.services)
            scene = wait_on_swarm(context, record, waited, updates, timeout=options.wait_timeout, settle=last)
    return scene if options.wait else look_at_swarm(context, record.project, record)


def _given_up(record: EnvironmentRecord, scene: SwarmScene) -> list[SwarmService]:
    """Services that Swarm starts no more, which it would not do either for being told the same again."""
    asked = {one.name: record.services[one.name] for one in scene.services if one.name in record.services}
    failed = {one.service for one in swarm_standings(asked, scene) if one.standing == "failed"}
    return [one for one in scene.services if one.name in failed]


def _remove_outdated(context: Context, scene: SwarmScene, translated: SwarmDocument) -> None:
    """Remove the configs and secrets of an earlier text; what a task still uses is left for the next time."""
    swarm = context.engine.swarm()
    for kind in ("config", "secret"):
        current = {one["name"] for one in translated.document.get(f"{kind}s", {}).values()}
        for thing in scene.things:
            if thing.kind == kind and thing.name not in current:
                try:
                    swarm.remove(kind, [thing.id])
                except StackctlError:
                    continue
