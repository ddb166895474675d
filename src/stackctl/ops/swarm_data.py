"""Data on the nodes of a Swarm: chosen once, made by a container on that node, deleted by `purge` alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.errors import EngineRefused, NotReady, ServiceFailed
from stackctl.core.swarm_facts import BROKEN_TASKS, NAMESPACE
from stackctl.core.swarm_pins import BASE, Pin, choose_node, data_label, holders
from stackctl.ops.placing import stamp_of

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.swarm_facts import Node, SwarmScene, SwarmTask
    from stackctl.ops.context import Context

SECONDS = 120.0
"""For a container that makes or deletes folders: its node may have to pull the image."""
_LOOK = 0.2
_ABOVE = "/var/lib"
"""There on every Linux; Swarm mounts no folder that is not."""


def place_data(
    context: Context,
    scene: SwarmScene,
    record: EnvironmentRecord,
    pins: tuple[Pin, ...],
    constraints: Mapping[str, tuple[str, ...]],
) -> EnvironmentRecord:
    """Choose a node for each new folder, make the folder there, and label the node; the record is written.

    The label comes last: a node that has it has the folder.

    Args:
        constraints: Service -> what its node must meet.

    Raises:
        EngineRefused: No node may hold it, or several say that they do.
        ServiceFailed, NotReady: The folder could not be made.
    """
    for pin in pins:
        node = _holder(scene, record, pin)
        if node is not None:
            record = _held(record, pin, node)
            continue
        node = choose_node(scene.nodes, constraints.get(pin.service, ()))
        if node is None:
            raise EngineRefused(
                f"no node takes the data of `{pin.service}`: none is ready and meets its `placement`",
                hint="`docker node ls` shows the nodes",
            )
        context.progress.step(f"making the folder of `{pin.service}` on {node.hostname}")
        record = _held(record, pin, node)
        context.store.write(record)
        run_on_node(context, record, node, pin.image, _making(record.project, pin), _ABOVE)
        context.engine.swarm().label_node(node.id, data_label(record.project, pin.name), "true")
    context.store.write(record)
    return record


def _holder(scene: SwarmScene, record: EnvironmentRecord, pin: Pin) -> Node | None:
    found, label = holders(record.project, pin.name, scene.nodes), data_label(record.project, pin.name)
    if len(found) > 1:
        names = ", ".join(node.hostname for node in found)
        raise EngineRefused(
            f"{names} say that they hold the data of `{pin.service}`, and only one can",
            hint=f"`docker node update --label-rm {label} NODE` where it is not",
        )
    return found[0] if found else None


def _held(record: EnvironmentRecord, pin: Pin, node: Node) -> EnvironmentRecord:
    return replace(record, held={**record.held, pin.name: (node.id, pin.image)})


def _making(project: str, pin: Pin) -> str:
    folder = f"{BASE}/{project}/{pin.name}"
    return (
        f"mkdir -p {folder}; chmod 711 {BASE} {BASE}/{project}; chown {pin.uid}:{pin.uid} {folder}; "
        f"chmod 700 {folder}"
    )


def check_holders(scene: SwarmScene, record: EnvironmentRecord) -> None:
    """See that every node that holds data is there, before anything is ended or deleted.

    Raises:
        EngineRefused: One is away, so that its data cannot be deleted.
    """
    away = [
        f"`{name}` on {_name(scene, where[0])}"
        for name, where in record.held.items()
        if _away(scene, where[0])
    ]
    if away:
        raise EngineRefused(
            f"data cannot be deleted while its node is away: {', '.join(away)}",
            hint="bring the node back and active, then try again; nothing was ended or deleted",
        )


def delete_data(context: Context, scene: SwarmScene, record: EnvironmentRecord) -> None:
    """Delete every folder of an environment on its node, and take the labels away.

    Raises:
        ServiceFailed, NotReady: A node could not do it.
    """
    for name, (node, image) in sorted(record.held.items()):
        found = scene.node(node)
        if found is None:  # it has left the Swarm, and took the data along
            context.progress.warn(
                f"the node that held the data of `{name}` has left the Swarm; it is still there"
            )
            continue
        if found.labels.get(data_label(record.project, name)) != "true":
            context.progress.warn(
                f"{found.hostname} has no label for the data of `{name}`, which is left alone"
            )
            continue
        context.progress.step(f"deleting the data of `{name}` on {found.hostname}")
        folder = f"{BASE}/{record.project}"
        script = f"rm -rf -- {folder}/{name}; rmdir {folder} 2>/dev/null || true"
        run_on_node(context, record, found, image, script, _ABOVE)
        context.engine.swarm().label_node(node, data_label(record.project, name), "")


def _away(scene: SwarmScene, node: str) -> bool:
    found = scene.node(node)
    return found is not None and not found.takes_work


def _name(scene: SwarmScene, node: str) -> str:
    found = scene.node(node)
    return f"{found.hostname} ({found.words})" if found else node


def run_on_node(
    context: Context, record: EnvironmentRecord, node: Node, image: str, script: str, folder: str
) -> None:
    """Have a container on a node run a script over a folder of it, and wait for its end.

    Raises:
        ServiceFailed: It failed.
        NotReady: It did not end in time.
    """
    swarm, name = context.engine.swarm(), f"{record.project}_folders"
    labels = {**stamp_of(record).labels(), NAMESPACE: record.project}
    _forget(context, name)
    try:
        swarm.start_once(name, node=node.id, image=image, script=script, mounts=(folder,), labels=labels)
        _wait(context, name, node)
    finally:
        _forget(context, name)


def _wait(context: Context, name: str, node: Node) -> None:
    end = context.clock.now().boottime + SECONDS
    task: SwarmTask | None = None
    while context.clock.now().boottime < end:
        tasks = context.engine.swarm().service_called(name)[1]
        task = max(tasks, key=lambda one: one.created, default=None)
        if task is not None and task.state == "complete":
            return
        if task is not None and task.state in BROKEN_TASKS:
            raise ServiceFailed(f"the folder could not be seen to on {node.hostname}: {task.error}")
        context.clock.sleep(_LOOK)
    state = f"{task.state} {task.error}".strip() if task else "not there"
    raise NotReady(f"the folder could not be seen to on {node.hostname}: the task for it is {state}")


def _forget(context: Context, name: str) -> None:
    service, _ = context.engine.swarm().service_called(name)
    if service is not None:
        context.engine.swarm().remove("service", [service.id])
