"""The declared holes of a bounded document: what belongs to a host and a run, and is filled by placement."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

PREFIX = "STACKCTL_"
HOLE = re.compile(r"\$\{(STACKCTL_[A-Z0-9_]+)(:\?|:-)([^}]*)\}")

PROJECT = "${STACKCTL_PROJECT:?}"
INSTANCE = "${STACKCTL_INSTANCE:-}"
GENERATION = "${STACKCTL_GENERATION:?}"
HOME = "${STACKCTL_HOME_ID:?}"
USER = "${STACKCTL_USER_ID:?}"
ENGINE = "${STACKCTL_ENGINE_ID:?}"
FILES = "${STACKCTL_FILES:?}"
SECRETS = "${STACKCTL_SECRETS:?}"


def _word(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def port_hole(service: str, port: int, protocol: str = "tcp") -> str:
    """The host port for a container port: `${STACKCTL_PORT_DB_5432:?}`."""
    suffix = "" if protocol == "tcp" else f"_{protocol.upper()}"
    return f"${{{PREFIX}PORT_{_word(service)}_{port}{suffix}:?}}"


def data_hole(name: str) -> str:
    """The data folder of a sidecar or template: `${STACKCTL_DATA_DB:?}`."""
    return f"${{{PREFIX}DATA_{_word(name)}:?}}"


def user_hole(name: str) -> str:
    """The `uid:gid` that owns a data folder: `${STACKCTL_USER_DB:?}`."""
    return f"${{{PREFIX}USER_{_word(name)}:?}}"


def subnet_hole(network: str = "default") -> str:
    """The subnet of a network: `${STACKCTL_SUBNET:?}`, `${STACKCTL_SUBNET_BACKEND:?}`."""
    return f"${{{PREFIX}SUBNET:?}}" if network == "default" else f"${{{PREFIX}SUBNET_{_word(network)}:?}}"


def cpus_hole(service: str, cpus: float) -> str:
    """The cpus of a service, lowered by placement where the host has fewer: `${STACKCTL_CPUS_WEB:-2}`."""
    return f"${{{PREFIX}CPUS_{_word(service)}:-{cpus:g}}}"


def hole_name(hole: str) -> str:
    """The variable behind a hole (`${STACKCTL_SUBNET:?}` -> `STACKCTL_SUBNET`)."""
    match = HOLE.fullmatch(hole)
    if not match:
        raise ValueError(f"not a hole: {hole!r}")
    return match[1]


def strings(node: Any) -> Iterator[str]:
    """Every string in a document, keys left out."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from strings(value)


def find_holes(document: Any) -> dict[str, str | None]:
    """Every hole in a document: variable name -> its default, None when it must be filled."""
    found: dict[str, str | None] = {}
    for text in strings(document):
        for name, kind, rest in HOLE.findall(text):
            found[name] = rest if kind == ":-" else None
    return found
