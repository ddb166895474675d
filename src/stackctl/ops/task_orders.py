"""What the engine is asked to make for a task's own container, which knows its sidecars by their URLs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stackctl.core.creation import container_order
from stackctl.core.records import TASK_SERVICE
from stackctl.core.remote import folder_of
from stackctl.core.sidecars import FILE_SUFFIX
from stackctl.core.urls import inside
from stackctl.ops.reaching import secret_values

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord
    from stackctl.ops.context import Context
    from stackctl.ops.placing import Placed
    from stackctl.ops.task_preparing import PreparedTask

BRIDGE = "bridge"
"""The engine's own network, on which a task is that has no other."""


def order_for(
    context: Context, prepared: PreparedTask, placed: Placed, joined: list[str]
) -> Mapping[str, Any]:
    """The engine's order for its own container; it knows its sidecars by their URLs."""
    record, whole = placed.record, prepared.prepared
    service = whole.bounded.document["services"][TASK_SERVICE]
    folder = folder_of(record.placement) or context.store.folder(record.project)
    listed = [str(name) for name in service.get("secrets") or ()]
    return container_order(
        service,
        values=placed.placement.values,
        environment=_urls(context, prepared, record),
        secrets={name: f"{folder}/secrets/{name}" for name in listed},
        network=joined[0] if joined else str(service.get("network_mode") or BRIDGE),
        project=record.project,
        name=TASK_SERVICE,
    )


def _urls(context: Context, prepared: PreparedTask, record: EnvironmentRecord) -> dict[str, str]:
    """The variables that carry URLs: of its own sidecars, then of the environment that it runs in.

    What it was given by hand wins. Its own sidecars' URLs by file are secrets that are mounted.
    """
    task, given = record.task, prepared.spec.environment
    around = context.store.read(task.inside) if task and task.inside else None
    found: dict[str, str] = {}
    for owner in (one for one in (around, record) if one is not None and one.sidecars):
        secrets = secret_values(context, owner)
        for name, sidecar in owner.sidecars.items():
            by_file = sidecar.env.endswith(FILE_SUFFIX)
            variable = sidecar.env.removesuffix(FILE_SUFFIX) if owner is around else sidecar.env
            if variable and variable not in given and not (by_file and owner is record):
                found[variable] = inside(name, sidecar.port, sidecar.url, secrets)
    return found
