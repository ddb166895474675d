"""What Compose made of people's own files, as a document of ours: the same bytes wherever it is made.

Compose itself reads the files (`docker compose config`), so that everything in them means what it meant to
Compose. What it wrote into them that belongs to one project or one folder becomes a hole again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stackctl.core.holes import PROJECT, ROOT
from stackctl.core.rules import Change

PLACE = "stackctl-project-goes-here"
"""What Compose is told that the project is called; wherever it turns up, the project's own name belongs."""
OVERRIDE_FILES = (
    *("compose.override.yaml", "compose.override.yml"),
    *("docker-compose.override.yaml", "docker-compose.override.yml"),
)
_NAMED = ("networks", "volumes", "secrets", "configs")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeSources:
    """Which files Compose is to read, and what they mean there.

    Args:
        files: Absolute paths, later ones over earlier ones; `-` is `text`.
        directory: Absolute path that relative paths start from: the first file's folder.
        env_files: Absolute paths; none for the `.env` beside the files, as Compose has it.
        variables: What is interpolated before all else.
        profiles: Profiles that are active.
        text: A compose file that is on no disk.
    """

    files: tuple[str, ...]
    directory: str
    env_files: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()
    text: str = ""


Reader = Callable[[ComposeSources, str], Mapping[str, Any]]
"""Takes the sources and the project's name; returns the document that Compose makes of them."""


def settle(
    document: Mapping[str, Any],
    *,
    root: str,
    named: Callable[[str], bool] = lambda _: False,
    real: Callable[[str], str] = str,
) -> tuple[dict[str, Any], tuple[Change, ...]]:
    """The document with the project's name and the own folder as holes, and without fixed container names.

    Args:
        document: As `docker compose config` prints it for the project `PLACE`.
        root: Absolute path of the folder that counts as the stack's own.
        named: Whether a service may keep its `container_name`.
        real: Takes the path of a mount, a build, a secret or a config; returns where its links lead.

    Returns:
        The document, and what was changed in it beyond that.
    """
    settled = {key: value for key, value in document.items() if key != "name"}
    for section in _NAMED:
        if isinstance(settled.get(section), dict):
            settled[section] = {key: _unnamed(key, one) for key, one in settled[section].items()}
    settled["services"] = dict(settled.get("services") or {})
    changes: list[Change] = []
    for name, service in settled["services"].items():
        if isinstance(service, dict):
            settled["services"][name] = _service(name, service, named(name), changes)
    settled = _followed(settled, "", real, changes)
    return _moved(settled, root.rstrip("/")), tuple(changes)


def _unnamed(key: str, section: Any) -> Any:
    """A network, volume, secret or config without the name that Compose gave it by itself."""
    if isinstance(section, dict) and section.get("name") == f"{PLACE}_{key}":
        return {name: value for name, value in section.items() if name != "name"}
    return section


def _service(
    name: str, service: Mapping[str, Any], may_be_named: bool, changes: list[Change]
) -> dict[str, Any]:
    """A service; its fixed name becomes a name on its networks, so that two checkouts can both run."""
    fixed = service.get("container_name")
    build = service.get("build")
    if isinstance(build, dict) and isinstance(build.get("ssh"), list):
        service = {**service, "build": {**build, "ssh": sorted(map(_ssh_key, build["ssh"]))}}
    kept = {key: value for key, value in service.items() if key != "extends"}  # Compose did, and may leave it
    if not fixed or may_be_named or PLACE in str(fixed):
        return kept
    kept.pop("container_name")
    if not service.get("network_mode"):
        networks = service.get("networks") or {"default": None}
        if isinstance(networks, list):
            networks = dict.fromkeys(networks)
        kept["networks"] = {key: _aliased(one, str(fixed)) for key, one in networks.items()}
    reason = (
        "a fixed container name lets only one environment exist; `container-name` under `allow:` keeps it"
    )
    changes.append(
        Change(path=f"services.{name}.container_name", what="made an alias on its networks", reason=reason)
    )
    return kept


def _ssh_key(text: Any) -> str:
    """A key as Compose reads it: what it prints (`id: path`, in any order) it would take for a name."""
    name, sign, path = str(text).partition(": ")
    return f"{name}={path}" if sign else name


def _aliased(network: Any, alias: str) -> dict[str, Any]:
    section = dict(network or {})
    aliases = list(section.get("aliases") or [])
    return {**section, "aliases": aliases if alias in aliases else [*aliases, alias]}


_HOST_PATHS = re.compile(
    r"services\..+\.(?:volumes\[\d+\]\.source|build\.context|build\.additional_contexts\..+)"
    r"|(?:secrets|configs)\..+\.file|volumes\..+\.driver_opts\.device"
)
"""Where a document names files and folders of the host."""


def _followed(node: Any, path: str, real: Callable[[str], str], changes: list[Change]) -> Any:
    """The document with every path of the host as its links lead, so that policy judges that."""
    if isinstance(node, dict):
        return {
            key: _followed(value, f"{path}.{key}".lstrip("."), real, changes) for key, value in node.items()
        }
    if isinstance(node, list):
        return [_followed(value, f"{path}[{place}]", real, changes) for place, value in enumerate(node)]
    if not isinstance(node, str) or not node.startswith("/") or not _HOST_PATHS.fullmatch(path):
        return node
    led = real(node)
    if led != node:
        reason = "it is a link, and policy judges where it leads"
        changes.append(Change(path=path, what=f"taken as {led}", reason=reason))
    return led


def _moved(node: Any, root: str) -> Any:
    """Every text with the project's name as its hole, and a path below the root as one below its hole."""
    if isinstance(node, str):
        text = node.replace(PLACE, PROJECT) if PLACE in node else node
        if text == root or text.startswith(f"{root}/"):
            return ROOT + text[len(root) :]
        return text
    if isinstance(node, dict):
        return {
            _moved(key, "\0") if PLACE in str(key) else key: _moved(value, root)
            for key, value in node.items()
        }
    if isinstance(node, (list, tuple)):
        return [_moved(value, root) for value in node]
    return node


def active(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document for what is to run: its services are active, so they name no profiles any more."""
    services = {
        name: {key: value for key, value in one.items() if key != "profiles"}
        if isinstance(one, dict)
        else one
        for name, one in (document.get("services") or {}).items()
    }
    return {**document, "services": services}


def stack_name(document_name: str, folder: str) -> str:
    """What a stack without a stack file is called: as the file says, else as its folder."""
    raw = (document_name or folder).lower()
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "" for c in raw)
    return kept.lstrip("-_")[:48] or "compose"
