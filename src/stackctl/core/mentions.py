"""What a compose file mentions: the variables that it interpolates, and the files that it reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stackctl.core.errors import StackctlError

_VARIABLE = re.compile(r"\$\$|\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_TAGS = re.compile(r"!(?:reset|override)(?=\s|$)")
"""Compose's own tags; they say nothing of which files there are."""
_ELSEWHERE = ("://", "git@", "oci:")


@dataclass(frozen=True, slots=True)
class Mentioned:
    """Files that a compose file reads, as written: other compose files, and env files."""

    compose: tuple[str, ...] = ()
    env: tuple[str, ...] = ()


def variables_in(text: str) -> frozenset[str]:
    """Names of the variables that a text interpolates, those in comments too."""
    return frozenset(match[1] for match in _VARIABLE.finditer(text) if match[1])


def files_in(text: str) -> Mentioned:
    """The files that a compose file includes, extends or takes variables from.

    Those whose path is interpolated or lies elsewhere than in a file system are left out.
    """
    from stackctl.core.documents import load

    try:
        data = load(_TAGS.sub("", text), source="").data
    except StackctlError:
        return Mentioned()  # Compose says what is wrong with it
    if not isinstance(data, dict):
        return Mentioned()
    services = data.get("services")
    each = [one for one in services.values() if isinstance(one, dict)] if isinstance(services, dict) else []
    compose = [*_texts(data.get("include"), "path"), *(path for one in each for path in _extended(one))]
    env = [path for one in each for path in _texts(one.get("env_file"), "path")]
    env += [
        path
        for entry in _listed(data.get("include"))
        if isinstance(entry, dict)
        for path in _texts(entry.get("env_file"), "path")
    ]
    return Mentioned(_plain(compose), _plain(env))


def _extended(service: dict[str, Any]) -> Iterator[str]:
    extends = service.get("extends")
    if isinstance(extends, dict):
        yield from _texts(extends.get("file"), "file")


def _texts(value: Any, key: str) -> Iterator[str]:
    for entry in _listed(value):
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, dict):
            yield from _texts(entry.get(key), key)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _plain(paths: list[str]) -> tuple[str, ...]:
    kept = (one for one in paths if "$" not in one and not any(mark in one for mark in _ELSEWHERE))
    return tuple(dict.fromkeys(kept))
