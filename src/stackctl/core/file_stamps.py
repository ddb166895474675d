"""Labels that say which rendered files a service mounts, so that a changed file recreates its container.

A container keeps the inode that it was started with: a file that is replaced beside it changes nothing
inside, and Compose, which sees only paths, would not recreate anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from stackctl.core.holes import FILES
from stackctl.core.labels import PREFIX

LABEL = f"{PREFIX}files"


def stamp_files(document: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    """The document with a label on each service that mounts rendered files; the digest of those files."""
    services = {name: _stamped(service, files) for name, service in document.get("services", {}).items()}
    return {**document, "services": services}


def _stamped(service: Mapping[str, Any], files: Mapping[str, str]) -> Mapping[str, Any]:
    mounted = sorted(path for path in files if any(_holds(source, path) for source in _sources(service)))
    if not mounted:
        return service
    whole = sha256("\0".join(f"{path}\0{files[path]}" for path in mounted).encode())
    return {**service, "labels": {**service.get("labels", {}), LABEL: whole.hexdigest()[:16]}}


def _sources(service: Mapping[str, Any]) -> list[str]:
    mounts = [mount for mount in service.get("volumes", ()) if isinstance(mount, dict)]
    sources = [str(mount.get("source", "")) for mount in mounts]
    return [source[len(FILES) :].strip("/") for source in sources if source.startswith(FILES)]


def _holds(source: str, path: str) -> bool:
    return source in ("", path) or path.startswith(f"{source}/")
