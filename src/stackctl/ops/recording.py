"""How an environment's record goes from phase to phase; each step is on disk before docker hears of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from stackctl.core.records import Deadline, Ending, EnvironmentRecord, ServiceRecord, SidecarRecord
from stackctl.core.remote import folder_of
from stackctl.core.stray_processes import plain_guard

if TYPE_CHECKING:
    from stackctl.core.facts import Container
    from stackctl.core.limits import Watchdog
    from stackctl.core.records import Phase
    from stackctl.ops.context import Context
    from stackctl.ops.looking import Scene
    from stackctl.ops.preparing import Prepared
    from stackctl.ops.up import UpOptions


def begin(context: Context, scene: Scene, prepared: Prepared, options: UpOptions) -> EnvironmentRecord:
    """The record of an `up` that begins, phase `starting`; not yet written, since it is not yet placed.

    An environment of which something runs keeps its generation and its deadline. One whose containers only
    exist (after a reboot) keeps the generation, which stands on their labels; anything else starts both anew.
    What stood before without belonging to a command is not tied to one by it.
    """
    now = context.clock.now()
    old = scene.record if scene.containers else None
    running = any(container.state == "running" for container in scene.containers)
    lifetime = options.lifetime or prepared.effective[""].limits.lifetime
    record = EnvironmentRecord(
        project=prepared.project,
        stack=prepared.stack.name,
        instance=prepared.instance,
        generation=old.generation if old else str(uuid4()),
        phase="starting",
        root=prepared.found.root,
        stack_file=prepared.found.source,
        engine=scene.facts.id,
        engine_host=scene.facts.host,
        home=context.store.identity,
        user=context.user,
        created=old.created if old else now.wall,
        lifetime=lifetime,
        deadline=deadline(context, lifetime),
        placement=_last_placement(scene),
        services=service_records(prepared),
        sidecars=sidecar_records(prepared),
        secrets=tuple(spec.name for spec in prepared.rendered.secrets),
        variables=dict(prepared.given),
        volumes_of=prepared.volumes_of,
        kept_volumes=dict(prepared.kept_volumes),
        tied=options.tied and not _stood(scene),
        began=scene.facts.system_time or now.wall,
        budget=budget(prepared),
        lease=context.store.lease(options.command),
    )
    if old and running and options.lifetime is None:
        record = replace(record, lifetime=old.lifetime, deadline=old.deadline)
    return record


def _last_placement(scene: Scene) -> Mapping[str, str]:
    """The values of the last `up`; of another machine's engine they say nothing about this one."""
    record, facts = scene.record, scene.facts
    if record is None:
        return {}
    elsewhere = record.engine != facts.id and (facts.remote or folder_of(record.placement))
    return {} if elsewhere else record.placement


def _stood(scene: Scene) -> bool:
    """Whether there is something of an environment that nobody tied to a command."""
    record = scene.record
    if record is None or record.tied:
        return False
    if record.phase == "starting":  # of what a killed `up` left, only what it found there was somebody's
        return any(container.created < record.began for container in scene.containers)
    return record.phase in ("running", "lost") and bool(scene.containers)


def deadline(context: Context, lifetime: float) -> Deadline:
    """The end of a lifetime of so many seconds that begins now."""
    now = context.clock.now()
    return Deadline(wall=now.wall + lifetime, boottime=now.boottime + lifetime, boot=now.boot)


def sidecar_records(prepared: Prepared) -> dict[str, SidecarRecord]:
    """How each sidecar is reached."""
    return {
        plan.name: SidecarRecord(port=plan.port, url=plan.url, env=plan.env)
        for plan in prepared.rendered.sidecars
    }


def service_records(prepared: Prepared) -> dict[str, ServiceRecord]:
    """What is asked for each service, with its thresholds as absolute numbers."""
    return {
        name: replace(
            service, watchdog=thresholds(prepared.watchdogs[name], service), guard=guard_of(prepared, name)
        )
        for name, service in prepared.bounded.services.items()
    }


def budget(prepared: Prepared) -> dict[str, int]:
    """The marks on the sum over all services, as far as there are any; every service's watchdog has them."""
    whole = next(iter(prepared.watchdogs.values()), None)
    marks = {"pids": whole.budget_pids, "memory": whole.budget_memory} if whole else {}
    return {name: mark for name, mark in marks.items() if mark}


def with_thresholds(record: EnvironmentRecord, prepared: Prepared) -> EnvironmentRecord:
    """The record with the thresholds and guards that the stack file has now; they stand in no document."""
    services = {
        name: replace(
            service, watchdog=thresholds(prepared.watchdogs[name], service), guard=guard_of(prepared, name)
        )
        for name, service in record.services.items()
    }
    return replace(record, services=services, budget=budget(prepared))


def guard_of(prepared: Prepared, service: str) -> dict[str, Any]:
    """The guard that the stack file gives a service, as a record keeps it; empty for none."""
    settings = prepared.stack.services.get(service)
    return plain_guard(settings.guard) if settings is not None and settings.guard is not None else {}


def thresholds(watchdog: Watchdog, service: ServiceRecord) -> dict[str, str | int | float]:
    """A watchdog's marks for the limits of one service."""
    return {
        "pids": watchdog.pids.at(service.pids),
        "memory": watchdog.memory.at(service.memory),
        "sustain_pids": watchdog.sustain_pids,
        "sustain_memory": watchdog.sustain_memory,
        "urgent_pids": watchdog.urgent_pids.at(service.pids),
        "urgent_memory": watchdog.urgent_memory.at(service.memory),
        "on_violation": watchdog.on_violation,
    }


def finish(
    context: Context, record: EnvironmentRecord, scene: Scene, *, lifetime: float | None = None
) -> EnvironmentRecord:
    """Write the record of an environment that runs, with the ids of what was made."""
    record = replace(
        record,
        phase="running",
        updated=context.clock.now().wall,
        containers=ids_by_service(scene.containers),
        networks={network.name: network.id for network in scene.networks},
        lease=record.lease if record.tied else None,
        ending=None,
    )
    if lifetime is not None:
        record = replace(record, lifetime=lifetime, deadline=deadline(context, lifetime))
    context.store.write(record)
    return record


def ids_by_service(containers: tuple[Container, ...]) -> Mapping[str, tuple[str, ...]]:
    """Container ids by service, in the order of the services' names."""
    found: dict[str, tuple[str, ...]] = {}
    for container in sorted(containers, key=lambda one: (one.service, one.number)):
        found[container.service] = (*found.get(container.service, ()), container.id)
    return found


def ended(
    context: Context,
    record: EnvironmentRecord,
    phase: Phase,
    reason: str,
    incident: str = "",
) -> EnvironmentRecord:
    """Write the record of an environment of which nothing runs any more; its data and placement stay.

    Args:
        incident: Id of the incident that tells more, empty for none.
    """
    now = context.clock.now().wall
    record = replace(
        record,
        phase=phase,
        updated=now,
        containers={},
        networks={},
        lease=None,
        tied=False,
        attempts=0,
        ending=Ending(reason=reason, at=now, incident=incident),
    )
    context.store.write(record)
    return record
