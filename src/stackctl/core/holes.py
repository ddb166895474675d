"""The declared holes of a bounded document: what belongs to a host and a run, and is filled by placement."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from stackctl.core.names import short_hash

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
ROOT = "${STACKCTL_ROOT:?}"
"""The folder that people's own compose files call their own."""
REMOTE = "${STACKCTL_REMOTE:?}"
"""The environment's folder on the engine's host, where that is another machine."""
GATEWAY = "${STACKCTL_GATEWAY:?}"
"""The address of the engine's own bridge on the host."""

_FIXED = frozenset({PROJECT, INSTANCE, GENERATION, HOME, USER, ENGINE, FILES, SECRETS, ROOT, REMOTE, GATEWAY})
_FAMILY = re.compile(
    r"\$\{STACKCTL_(?:"
    r"(?:PORT|DATA|USER)_[A-Z0-9_]+:\?|"
    r"SUBNET(?:_[A-Z0-9_]+)?:\?|"
    r"CPUS_[A-Z0-9_]+:-\d+(?:\.\d+)?"
    r")\}"
)
_PATH = re.compile(r"\$\{STACKCTL_(?:DATA_[A-Z0-9_]+|FILES|SECRETS|ROOT|REMOTE):\?\}")
_OWNER = re.compile(r"\$\{STACKCTL_USER_[A-Z0-9_]+:\?\}")
_PLAIN = re.compile(r"[a-z0-9-]*")
_DOLLAR = re.compile(r"\$\$|" + HOLE.pattern + r"|\$")
_OUTSIDE_WORD = re.compile(r"[^A-Z0-9]")


def _word(name: str) -> str:
    word = _OUTSIDE_WORD.sub("_", name.upper())
    return word if _PLAIN.fullmatch(name) else f"{word}_{short_hash(name, 4).upper()}"


def port_hole(service: str, port: int, protocol: str = "tcp") -> str:
    """The host port for a container port: `${STACKCTL_PORT_DB_5432:?}`."""
    suffix = "" if protocol == "tcp" else f"_{protocol.upper()}"
    return f"${{{PREFIX}PORT_{_word(service)}_{port}{suffix}:?}}"


def data_hole(name: str) -> str:
    """The data folder of a sidecar or template: `${STACKCTL_DATA_DB:?}`."""
    return f"${{{PREFIX}DATA_{_word(name)}:?}}"


def user_hole(name: str) -> str:
    """The `uid:gid` that owns a data folder: `${STACKCTL_USER_DB:?}`; one named `id` is told from `USER`."""
    word = _word(name)
    return f"${{{PREFIX}USER_{f'ID_{short_hash(name, 4).upper()}' if word == 'ID' else word}:?}}"


def subnet_hole(network: str = "default") -> str:
    """The subnet of a network: `${STACKCTL_SUBNET:?}`, `${STACKCTL_SUBNET_BACKEND:?}`."""
    return f"${{{PREFIX}SUBNET:?}}" if network == "default" else f"${{{PREFIX}SUBNET_{_word(network)}:?}}"


def show_cpus(cpus: float) -> str:
    """A number of cpus as holes and documents have it: plain decimals, to a hundredth at the finest."""
    return f"{cpus:.6f}".rstrip("0").rstrip(".")


def cpus_hole(service: str, cpus: float) -> str:
    """The cpus of a service, lowered by placement where the host has fewer: `${STACKCTL_CPUS_WEB:-2}`."""
    return f"${{{PREFIX}CPUS_{_word(service)}:-{show_cpus(cpus)}}}"


def hole_name(hole: str) -> str:
    """The variable behind a hole (`${STACKCTL_SUBNET:?}` -> `STACKCTL_SUBNET`)."""
    match = HOLE.fullmatch(hole)
    if not match:
        raise ValueError(f"not a hole: {hole!r}")
    return match[1]


def declared(hole: str) -> bool:
    """Whether it is one of ours, in exactly our form: a default of somebody's own could hide anything."""
    return hole in _FIXED or _FAMILY.fullmatch(hole) is not None


def names_owner(text: str) -> bool:
    """Whether it is the hole of a data folder's owner, who is never root; USER may be."""
    return text != USER and _OWNER.fullmatch(text) is not None


def split_path_hole(text: str) -> tuple[str, str] | None:
    """The data, files or secrets hole that a path begins with and the rest of it, or None."""
    match = _PATH.match(text)
    return (match[0], text[match.end() :]) if match else None


def strays(text: str) -> tuple[str, ...]:
    """What Compose would interpolate in a text beside declared holes; `$$` is a plain dollar sign."""
    found = [match[0] for match in _DOLLAR.finditer(text)]
    return tuple(one for one in found if one != "$$" and not declared(one))


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
        for match in _DOLLAR.finditer(text):
            if match[1]:
                found[match[1]] = match[3] if match[2] == ":-" else None
    return found
