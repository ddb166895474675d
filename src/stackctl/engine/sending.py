"""Files and folders on the engine's host where that is another machine, through a container of its own.

Nothing is run for putting them there: the engine unpacks an archive into a container that was made and never
started. Deleting takes a shell.
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from uuid import uuid4

from stackctl.core.errors import EngineRefused
from stackctl.engine.making import Making
from stackctl.engine.parse import parse_image
from stackctl.engine.transport import quote

if TYPE_CHECKING:
    from stackctl.core.remote import Item

PLACE = "/stackctl"
MOST_TRIED = 5
"""Images that are looked at where none of the environment's own is there yet."""


class Sending(Making):
    """The engine as environments on another machine use it."""

    def bring(
        self, folder: str, items: Sequence[Item], *, images: Sequence[str], labels: Mapping[str, str]
    ) -> None:
        """Put files and folders below a folder of the engine's host, which is made where it is missing.

        Args:
            folder: An absolute path on that host.
            items: A folder stands before what is in it.
            images: What the environment runs; one that the engine has is taken, else any. It is not run.
            labels: Those of the environment, so that what a crash leaves is known as its own.

        Raises:
            EngineRefused, ImageMissing, TimedOut: As the engine says.
        """
        image, volumes = self._least(images)
        order = {
            "Image": image,
            "Entrypoint": ["-"],
            "Labels": dict(labels),
            "HostConfig": {
                "NetworkMode": "none",
                "Binds": [f"{folder}:{PLACE}"],
                # else the engine makes a volume for each, which nobody would remove
                "Mounts": [{"Type": "tmpfs", "Target": one} for one in volumes],
            },
        }
        container = self.create_container(f"stackctl-bring-{uuid4().hex[:12]}", order)
        try:
            wanted = [one for one in items if not (one.kept and self._has(container, one.path))]
            target = f"/containers/{quote(container)}/archive?path={PLACE}"
            answer = self._ask("PUT", target, archive(wanted), extra=60.0)
            if answer.status >= 400:
                raise EngineRefused(f"the engine's host does not take files below {folder}: {answer.message}")
        finally:
            self._transport.remove("containers", [container])

    def local_images(self) -> tuple[str, ...]:
        """Ids of the images that the engine has, the newest first."""
        answer = self._ask("GET", "/images/json")
        found = answer.json() if answer.status == 200 else None
        return tuple(str(one["Id"]) for one in found or () if isinstance(one, dict) and one.get("Id"))

    def _least(self, images: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """The image with the fewest volumes, by id, and those."""
        for names in (images, self.local_images()[:MOST_TRIED]):
            found = [self._transport.image(name) for name in names]
            parsed = [parse_image(one, "") for one in found if one]
            if parsed:
                least = min(parsed, key=lambda one: len(one.volumes))
                return least.id, least.volumes
        raise EngineRefused(
            "the engine has no image at all, and files are put on its host through a container",
            hint="pull or load one, such as busybox, and try again",
        )

    def _has(self, container: str, path: str) -> bool:
        target = f"/containers/{quote(container)}/archive?path={quote(f'{PLACE}/{path}')}"
        return self._ask("HEAD", target).status == 200

    def delete_remote(self, folder: str, image: str) -> None:
        """Delete a folder of the engine's host with all that is in it, see `inside.delete_inside`.

        Args:
            folder: An absolute path there, at least two folders deep.
            image: One that the engine has, with a shell.

        Raises:
            EngineRefused: It failed; the message has its last words.
        """
        from stackctl.engine import inside

        path = PurePosixPath(folder)
        inside.delete_inside(path.parent, image, self.environment, only=path.name)


def archive(items: Sequence[Item]) -> bytes:
    """The items as a tar archive, with their owners and modes."""
    import tarfile  # here, since every command would load it, and with it all kinds of compression

    whole, now = io.BytesIO(), time.time()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for one in items:
            entry = tarfile.TarInfo(one.path)
            entry.mode, entry.uid, entry.gid, entry.mtime = one.mode, one.uid, one.gid, now
            if one.content is None:
                entry.type = tarfile.DIRTYPE
            else:
                entry.size = len(one.content)
            tar.addfile(entry, io.BytesIO(one.content or b""))
    return whole.getvalue()
