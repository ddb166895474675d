"""What an engine on another machine needs to be told: which files have to be there, and how it is reached."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from stackctl.core.errors import Problem
from stackctl.core.holes import FILES, REMOTE, ROOT, SECRETS, hole_name

_BROUGHT = ((FILES, f"{REMOTE}/files"), (SECRETS, f"{REMOTE}/secrets"))
_CHOICES = (
    "nothing copies a working folder to the engine's host: build it into the image, use a named volume, put "
    "it into the `files/` of a template (which are brought there), or name an absolute path of that host"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A file or folder to be put on the engine's host.

    Args:
        path: Relative to the environment's folder there.
        content: None for a folder.
        kept: Where it is there already, nothing of it is changed.
    """

    path: str
    mode: int
    uid: int = 0
    gid: int = 0
    content: bytes | None = None
    kept: bool = False


def remote_folder(base: str, home: str, project: str) -> str:
    """Where an environment's files and data are on the engine's host.

    Args:
        base: The folder of all, as `remote_folder` of the configuration has it.
        home: The state directory's identity, which keeps two users' environments apart.
    """
    return posixpath.join(base, home, project)


def folder_of(placement: Mapping[str, str]) -> str:
    """The folder on the engine's host that a placement names; empty where it has none there."""
    return placement.get(hole_name(REMOTE), "")


def relocated(document: Mapping[str, Any]) -> dict[str, Any]:
    """The bounded document with what it mounts of the environment's own files at their place on that host."""
    services = {name: _mounted(one) for name, one in (document.get("services") or {}).items()}
    found = {**document, "services": services}
    for section in ("secrets", "configs"):
        if document.get(section):
            found[section] = {name: _filed(one) for name, one in document[section].items()}
    return found


def given_files(document: Mapping[str, Any]) -> dict[str, str]:
    """The user's own files that `secrets` and `configs` of the document name: name on that host -> source."""
    entries = (one for key in ("secrets", "configs") for one in (document.get(key) or {}).values())
    sources = {str(one["file"]) for one in entries if isinstance(one, Mapping) and one.get("file")}
    return {_given(one): one for one in sorted(sources) if _brought(one) is None}


def local_paths(document: Mapping[str, Any], root: str) -> tuple[Problem, ...]:
    """What a document binds of this machine's working folder, which the engine's host does not have.

    Args:
        root: Absolute path of that folder.
    """
    return tuple(
        Problem(
            path=f"services.{name}.volumes",
            message=f"`{source.replace(ROOT, '.', 1)}` is a folder or file of this machine",
            hint=_CHOICES,
            service=name,
        )
        for name, service in sorted((document.get("services") or {}).items())
        for source in _bound(service)
        if source.startswith(ROOT) or _within(source, root)
    )


def ssh_words(host: str) -> str:
    """The machine as ssh(1) takes it: `-p 2222 build@farm`; of an engine at a TCP port, its name.

    Args:
        host: The engine's address, such as `ssh://build@farm:2222` or `tcp://farm:2376`.
    """
    scheme, _, rest = host.partition("://")
    user, at, machine = rest.partition("/")[0].rpartition("@")
    name, port = _split(machine)
    who = f"{user}{at}{name.strip('[]')}"
    return f"-p {port} {who}" if port and scheme == "ssh" else who


def machine_of(host: str) -> str:
    """The name or address of an engine's machine; empty for one that is reached on this one."""
    scheme, _, rest = host.partition("://")
    if scheme == "unix" or not rest:
        return ""
    name = _split(rest.partition("/")[0].rpartition("@")[2])[0].strip("[]")
    return "" if name in ("localhost", "::1") or name.startswith("127.") else name


def tunnel(host: str, ports: Iterable[tuple[str, int]]) -> str:
    """The command that brings loopback ports of the engine's host to the same ports of this machine.

    Args:
        host: The engine's address.
        ports: Address on that host and port, of each.
    """
    each = sorted((port, address) for address, port in set(ports))
    words = " ".join(f"-L {port}:{_bracketed(address)}:{port}" for port, address in each)
    return f"ssh -N {words} {ssh_words(host)}"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _split(machine: str) -> tuple[str, str]:
    name, colon, port = machine.rpartition(":")
    return (name, port) if colon and port.isdecimal() else (machine, "")


def _mounted(service: Mapping[str, Any]) -> dict[str, Any]:
    volumes = service.get("volumes")
    if not volumes:
        return dict(service)
    return {**service, "volumes": [_moved(one) if _is_bind(one) else one for one in volumes]}


def _moved(mount: Mapping[str, Any]) -> dict[str, Any]:
    return {**mount, "source": _brought(str(mount["source"])) or mount["source"]}


def _filed(entry: Any) -> Any:
    if not isinstance(entry, Mapping) or not entry.get("file"):
        return entry
    source = str(entry["file"])
    return {**entry, "file": _brought(source) or f"{REMOTE}/{_given(source)}"}


def _brought(source: str) -> str | None:
    """Where one of the environment's own files is on that host; None for what is not its own."""
    for here, there in _BROUGHT:
        if source.startswith(here):
            return there + source[len(here) :]
    return source if source.startswith(REMOTE) else None


def _given(source: str) -> str:
    return f"given/{sha256(source.encode()).hexdigest()[:12]}"


def _bound(service: Mapping[str, Any]) -> Iterator[str]:
    for one in service.get("volumes") or ():
        if _is_bind(one):
            yield str(one["source"])


def _is_bind(mount: Any) -> bool:
    return isinstance(mount, Mapping) and mount.get("type") == "bind" and bool(mount.get("source"))


def _within(source: str, root: str) -> bool:
    return bool(root) and posixpath.join(source, "").startswith(posixpath.join(root, ""))
