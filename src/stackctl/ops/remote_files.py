"""An environment's files and data on an engine's host that is another machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.errors import EngineRefused, PolicyError
from stackctl.core.holes import ROOT, hole_name, user_hole
from stackctl.core.records import LIVE
from stackctl.core.remote import Item, folder_of, given_files, local_paths, relocated, remote_folder
from stackctl.ops.preparing import with_bounded

if TYPE_CHECKING:
    from stackctl.core.facts import EngineFacts
    from stackctl.core.labels import Stamp
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.stack import DataFolder
    from stackctl.ops.context import Context
    from stackctl.ops.placing import Placed
    from stackctl.ops.preparing import Prepared

OTHERS = 3
"""Images of others that are tried where none of the environment's own is there any more, or has a shell."""
_BACK = "set the docker context or DOCKER_HOST back"


def settled(facts: EngineFacts, prepared: Prepared) -> Prepared:
    """The stack as its engine is to have it: on another machine it mounts what was brought there.

    Raises:
        PolicyError: It mounts folders of this machine that nothing brings there, all of them at once.
    """
    if not facts.remote:
        return prepared
    problems = local_paths(prepared.bounded.document, str(prepared.found.base.resolve()))
    if problems:
        raise PolicyError(
            f"{prepared.found.source} mounts what the engine's host at {facts.host} does not have",
            problems=problems,
        )
    document = prepared.bounded.document
    return replace(with_bounded(prepared, relocated(document)), brought=given_files(document))


def check_data_is_here(context: Context, record: EnvironmentRecord | None, facts: EngineFacts) -> None:
    """Say where the data of an environment is when it is not on the engine that is chosen now.

    Raises:
        EngineRefused: It is on another engine's host, and its record is all that remembers where.
    """
    if record is None or record.phase in LIVE or record.engine == facts.id:
        return
    folder = folder_of(record.placement)
    if folder and (record.sidecars or _has_data(record)):
        raise EngineRefused(
            f"the data of `{record.project}` is on the engine at {record.engine_host} ({record.engine}), in "
            f"{folder}, and {facts.host} is another one ({facts.id})",
            hint=f"{_BACK}; `--instance NAME` makes another environment here, `stackctl purge` there "
            "deletes it",
        )
    if facts.remote and context.store.has_data(record.project):
        context.progress.warn(
            f"the data of `{record.project}` stays on this machine; on {facts.host} it begins with none"
        )


def _has_data(record: EnvironmentRecord) -> bool:
    return any(name.startswith("STACKCTL_DATA_") for name in record.placement)


def remote_place(context: Context, record: EnvironmentRecord, facts: EngineFacts) -> str:
    """The environment's folder on another machine, kept for its whole life; empty where the engine is here.

    A new one is told by the generation from that of an environment of the same name on another machine.

    Args:
        record: With the last placement, if that was on the same engine.
    """
    if not facts.remote:
        return ""
    base, home = context.configuration.remote_folder, context.store.identity
    new = remote_folder(base, home, f"{record.project}-{record.generation[:8]}")
    return folder_of(record.placement) or new


def bring(context: Context, prepared: Prepared, placed: Placed, stamp: Stamp) -> None:
    """Put an environment's files, secrets and empty data folders on the engine's host.

    Raises:
        StateError, UsageError: A file here cannot be read.
        EngineRefused: The engine does not take them.
    """
    folder, values = folder_of(placed.record.placement), placed.placement.values
    root = prepared.found.base.resolve()
    files = {there: Path(here.replace(ROOT, str(root), 1)) for there, here in prepared.brought.items()}
    items = (*context.store.parcel(prepared.project, files), *_data(prepared.rendered.data, values))
    if not items:
        return
    services = prepared.bounded.document["services"].values()
    images = sorted({str(one["image"]) for one in services if one.get("image")})
    context.progress.step(f"bringing files to {folder} on the engine's host")
    context.engine.bring(folder, items, images=images, labels=stamp.labels())


def _data(folders: Sequence[DataFolder], values: Mapping[str, str]) -> tuple[Item, ...]:
    found = []
    for one in folders:
        uid, _, gid = values.get(hole_name(user_hole(one.name)), "1000:1000").partition(":")
        path = f"data/{one.name}"
        found.append(Item(path=path, mode=0o700, uid=int(uid), gid=int(gid), kept=True))
    return (Item(path="data", mode=0o755), *found) if found else ()


def delete_there(context: Context, record: EnvironmentRecord | None, images: Sequence[str]) -> None:
    """Delete an environment's folder on the engine's host, which only its record names.

    Raises:
        EngineRefused: Another engine is chosen, or it could not be deleted; nothing else was then.
    """
    folder = folder_of(record.placement) if record is not None else ""
    if record is None or not folder:
        return
    facts = context.engine.facts()
    if facts.id != record.engine:
        raise EngineRefused(
            f"the data of `{record.project}` is on the engine at {record.engine_host} ({record.engine}), "
            f"and {facts.host} is another one ({facts.id})",
            hint=f"{_BACK}, and try again",
        )
    own = [name for name, one in context.engine.images(images).items() if one is not None]
    problem = ""
    for image in (*own, *context.engine.local_images()[:OTHERS]):
        context.progress.step(f"deleting {folder} on the engine's host through a container of {image}")
        problem = _deleted(context, folder, image)
        if not problem:
            return
    why = problem or "the engine has no image"
    raise EngineRefused(
        f"{folder} on the engine's host could not be deleted: {why}",
        hint=f"load an image that has a shell, or delete {folder} there by hand and purge it again",
    )


def _deleted(context: Context, folder: str, image: str) -> str:
    """Delete a folder there; why it could not be, empty when it is gone."""
    try:
        context.engine.delete_remote(folder, image)
    except EngineRefused as error:
        return str(error)
    return ""
