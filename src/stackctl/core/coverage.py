"""Which paths that an image declares as VOLUME no mount covers: data there is lost on `down`.

An uncovered VOLUME gets an anonymous volume that the next container does not find again; the postgres image
moved its VOLUME in version 18, and data was lost on the plain path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stackctl.core.errors import Problem

if TYPE_CHECKING:
    from stackctl.core.facts import Image


def uncovered(document: Mapping[str, Any], images: Mapping[str, Image | None]) -> tuple[Problem, ...]:
    """One problem for each declared VOLUME that no mount covers.

    Args:
        document: A bounded document, its mounts in long form.
        images: Image reference -> what the engine knows of it; unknown ones say nothing.
    """
    problems = []
    for name, service in sorted(document.get("services", {}).items()):
        image = images.get(service.get("image", ""))
        covered = _targets(service)
        for volume in image.volumes if image else ():
            if not _covers(covered, volume):
                problems.append(_problem(name, volume, image))
    return tuple(problems)


def _targets(service: Mapping[str, Any]) -> set[str]:
    targets = {
        str(mount.get("target", "")) for mount in service.get("volumes", ()) if isinstance(mount, dict)
    }
    tmpfs = service.get("tmpfs", ())
    entries = [tmpfs] if isinstance(tmpfs, str) else tmpfs
    return targets | {str(entry).split(":")[0] for entry in entries}


def _covers(targets: set[str], volume: str) -> bool:
    mounted = {target.rstrip("/") for target in targets}
    parts = volume.rstrip("/").split("/")
    return any("/".join(parts[:count]) in mounted for count in range(2, len(parts) + 1))


def _problem(service: str, volume: str, image: Image | None) -> Problem:
    reference = image.reference if image else ""
    return Problem(
        path=f"services.{service}.volumes",
        service=service,
        message=f"{reference} keeps data in {volume}, which no mount covers: it would be lost on `down`",
        hint=f"mount a data folder at {volume}, or a tmpfs when it may be lost",
    )
