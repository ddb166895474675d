"""Giving an environment its ports, subnets, users and folders, and writing its files, under one lock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stackctl.core.errors import PortTaken
from stackctl.core.gateways import bridge_gateway
from stackctl.core.holes import GATEWAY, cpus_hole, find_holes, hole_name
from stackctl.core.labels import Stamp
from stackctl.core.placement import Placement, PlacementWorld, environment_file, place
from stackctl.core.ports import fixed_ports
from stackctl.core.remote import folder_of
from stackctl.core.urls import inside
from stackctl.ops.remote_files import bring, remote_place

if TYPE_CHECKING:
    from stackctl.core.deployment import Deployment
    from stackctl.core.records import EnvironmentRecord, ServiceRecord
    from stackctl.core.stack import SidecarPlan
    from stackctl.ops.context import Context
    from stackctl.ops.looking import Scene
    from stackctl.ops.preparing import Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An environment with its place on this host; `record` is on disk, in phase `starting`."""

    record: EnvironmentRecord
    placement: Placement


def place_environment(
    context: Context, scene: Scene, prepared: Prepared, record: EnvironmentRecord
) -> Placed:
    """Allocate what the document leaves open, and write the record before docker hears of it.

    The allocation is one critical section of this user: two `up`s at once never get one port.

    Raises:
        PortTaken: A port that was asked for by number is held by somebody else.
        EngineRefused: No port or subnet is left in the configured range, or a sidecar is to be reached from
            containers on other networks and the engine's bridge has no address for that.
    """
    with context.store.lock("placement", command=f"placing {record.project}", wait=30.0):
        world = world_of(context, scene, prepared)
        world = replace(world, remote=remote_place(context, record, scene.facts))
        _check_fixed_ports(context, prepared, world)
        placed = place_in(context, world, prepared, record)
    for note in placed.placement.notes:
        context.progress.warn(note)
    return placed


def place_in(
    context: Context, world: PlacementWorld, prepared: Prepared, record: EnvironmentRecord
) -> Placed:
    """Fill the holes of a document from what a world has left, and write the record.

    Raises:
        PortTaken, EngineRefused: As `place_environment`.
    """
    placement = place(
        prepared.bounded.document,
        world=world,
        kept=record.placement,
        stamp=stamp_of(record),
        folder=str(context.store.folder(record.project)),
        owner=(context.user, context.group),
        caller_is_root=context.user == 0,
        data=prepared.rendered.data,
        services=prepared.bounded.services,
    )
    record = replace(
        record,
        placement=placement.values,
        ports=tuple(fixed_ports(prepared.bounded.document)),
        services=_lowered(record.services, placement.values),
        warnings=placement.notes,
    )
    context.store.write(record)
    return Placed(record=record, placement=placement)


def stamp_of(record: EnvironmentRecord) -> Stamp:
    """The labels of an environment's objects."""
    return Stamp(
        project=record.project,
        stack=record.stack,
        instance=record.instance,
        generation=record.generation,
        home=record.home,
        user=record.user,
        engine=record.engine,
    )


def world_of(context: Context, scene: Scene, prepared: Prepared) -> PlacementWorld:
    """What is taken on this host by others than this environment, and what may be given out.

    Raises:
        EngineRefused: The document asks for the engine's bridge, and that has no address for it.
    """
    project, document = prepared.project, prepared.bounded.document
    own = {port.host_port for container in scene.containers for port in container.ports}
    bound = context.engine.ports_in_use() - own
    networks = context.engine.networks()
    subnets = [s for network in networks if network not in scene.networks for s in network.subnets]
    isolated = hole_name(GATEWAY) in find_holes(document)
    return PlacementWorld(
        ports=context.configuration.ports,
        subnets=context.configuration.subnets,
        taken_ports=frozenset(bound) | frozenset(context.store.owned_ports(project)),
        taken_subnets=(*subnets, *context.store.owned_subnets(project)),
        cpus=scene.facts.cpus,
        root=str(prepared.found.base.resolve()) if prepared.stack.compose else "",
        gateway=bridge_gateway(networks, scene.facts, context.engine.host_addresses()) if isolated else "",
    )


def _check_fixed_ports(context: Context, prepared: Prepared, world: PlacementWorld) -> None:
    owned = context.store.owned_ports(prepared.project)
    for port, path in fixed_ports(prepared.bounded.document).items():
        if port in owned:
            holder = f"the environment `{owned[port]}`"
        elif port in world.taken_ports:
            holder = context.engine.port_holder(port)
        else:
            continue
        raise PortTaken(
            f"{path}: port {port} is taken by {holder}",
            hint="ask for another one, or for none so that a free one is chosen",
        )


def _lowered(services: Mapping[str, ServiceRecord], values: Mapping[str, str]) -> dict[str, ServiceRecord]:
    """The services with the cpus that placement gave them."""
    found = {}
    for name, service in services.items():
        given = values.get(hole_name(cpus_hole(name, service.cpus)))
        found[name] = replace(service, cpus=float(given)) if given else service
    return found


def write_folder(context: Context, prepared: Prepared, placed: Placed) -> Deployment:
    """Write the environment's files, secrets, data folders and document; returns what compose is driven with.

    Raises:
        StateError: Something cannot be written, or a link stands where a folder must be.
        UsageError: A secret's file is missing.
    """
    store, project, rendered = context.store, prepared.project, prepared.rendered
    store.write_files(project, rendered.files)
    secrets = store.ensure_secrets(project, rendered.secrets)
    for name, text in connection_files(prepared, secrets).items():
        store.write_secret_text(project, name, text)
    if folder_of(placed.record.placement):
        bring(context, prepared, placed, stamp_of(placed.record))
        return store.write_document(project, prepared.text, environment_file(placed.placement))
    for warning in store.ensure_data(project, rendered.data, (context.user, context.group)):
        context.progress.warn(warning)
    return store.write_document(project, prepared.text, environment_file(placed.placement))


def connection_files(prepared: Prepared, secrets: Mapping[str, str]) -> dict[str, str]:
    """The files that carry sidecars' URLs to services: `<service>.env`, or `<sidecar>-url` by file.

    Args:
        secrets: Name of a secret -> its value.
    """
    from stackctl.core.dotenv import dotenv

    by_service, files = connection_values(prepared, secrets)
    return {**files, **{f"{service}.env": dotenv(values) for service, values in by_service.items()}}


def connection_values(
    prepared: Prepared, secrets: Mapping[str, str]
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """The sidecars' URLs: service -> variable -> URL, and those that go by file, by the file's name.

    Args:
        secrets: Name of a secret -> its value.
    """
    plans = {plan.name: plan for plan in prepared.rendered.sidecars}
    by_service: dict[str, dict[str, str]] = {}
    files = {}
    for service, names in sorted(prepared.rendered.connections.items()):
        values = by_service.setdefault(service, {})
        for plan in (plans[name] for name in names if plans[name].env):
            url = _inside(plan, secrets)
            if plan.env.endswith("_FILE"):
                files[f"{plan.name}-url"] = url
            else:
                values[plan.env] = url
    return by_service, files


def _inside(plan: SidecarPlan, secrets: Mapping[str, str]) -> str:
    return inside(plan.name, plan.port, plan.url, secrets)
