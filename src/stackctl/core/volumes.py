"""Named volumes of a project that Compose ran before: found by their labels, and used as somebody else's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from stackctl.core.names import shorten
from stackctl.core.rules import says_no

if TYPE_CHECKING:
    from stackctl.core.facts import Volume

PROJECT_LABEL = "com.docker.compose.project"
VOLUME_LABEL = "com.docker.compose.volume"
_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]*")


def project_word(raw: Any) -> str:
    """The name of a project of Compose's.

    Raises:
        ValueError: It cannot be one.
    """
    if not isinstance(raw, str) or not _PROJECT.fullmatch(raw):
        raise ValueError(f"the name of a Compose project was expected, not {shorten(str(raw))!r}")
    return raw


def own_volumes(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Keys of the named volumes that a document lets Compose make."""
    volumes = document.get("volumes") or {}
    return tuple(key for key, one in volumes.items() if says_no((one or {}).get("external")))


def earlier_volumes(document: Mapping[str, Any], volumes: Iterable[Volume]) -> dict[str, str]:
    """Key in the document -> name of the volume that a project has for it.

    Args:
        volumes: Those of the project.
    """
    named = {one.labels.get(VOLUME_LABEL, ""): one.name for one in volumes}
    return {key: named[key] for key in own_volumes(document) if key in named}


def with_volumes(document: Mapping[str, Any], kept: Mapping[str, str]) -> dict[str, Any]:
    """The document with volumes that are there already: external ones, which nothing ever removes.

    Args:
        kept: Key in the document -> name of the volume; keys that the document has no more count nothing.
    """
    volumes = {
        key: {"external": True, "name": kept[key]} if key in kept else one
        for key, one in (document.get("volumes") or {}).items()
    }
    return {**document, **({"volumes": volumes} if volumes else {})}
