"""`purge`: the only way that an environment's data is ever deleted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.errors import StateError
from stackctl.ops.down import Aim, end
from stackctl.ops.looking import look
from stackctl.ops.remote_files import delete_there

if TYPE_CHECKING:
    from stackctl.ops.context import Context


def purge(context: Context, project: str, *, command: str) -> None:
    """End an environment and delete its data, secrets and record.

    Raises:
        Busy, EngineRefused: As for `down`.
        StateError: Something could not be deleted; what remains lies in the trash folder that it names.
    """
    with context.store.lock(project, command=command, wait=30.0):
        delete(context, project, _images(context, project))


def delete(context: Context, project: str, images: Sequence[str] | None = None) -> None:
    """Delete all files of an environment or task that has ended, for a caller that holds its lock.

    Args:
        images: One of them deletes what other users own; those of its document where it is None.

    Raises:
        StateError: Something could not be deleted; what remains lies in the trash folder that it names.
        EngineRefused: What lies on another machine could not be deleted; nothing else was then.
    """
    found = _recorded_images(context, project) if images is None else images
    delete_there(context, context.store.read(project), found)
    try:
        context.store.purge(project)
    except StateError:
        left = context.store.trash_left(project)
        if left is None or not found:
            raise
        _delete_from_inside(context, left, found[0])
        context.store.purge(project)


def _images(context: Context, project: str) -> list[str]:
    """The images of what ran, after it was ended; one of them can delete what a container wrote."""
    if context.store.read(project) is None:
        return []
    scene = look(context, project)
    images = sorted({container.image for container in scene.containers})
    end(context, scene, "stackctl purge", Aim(reason="purged"))
    return images or _recorded_images(context, project)


def _recorded_images(context: Context, project: str) -> list[str]:
    from stackctl.core.documents import load

    path = context.store.folder(project) / "compose.yaml"
    if not path.is_file():
        return []
    services = load(path.read_text(), source=str(path)).data.get("services", {})
    return sorted({service["image"] for service in services.values() if service.get("image")})


def _delete_from_inside(context: Context, folder: Path, image: str) -> None:
    """Let root in a container of the environment's own image delete files of other users."""
    context.progress.step(f"deleting files of other users through a container of {image}")
    context.engine.delete_inside(folder, image)
