"""What a rendered service is attached to: files, data folders, ports and secrets, in Compose's long form."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from posixpath import normpath
from typing import Any

from stackctl.core.holes import FILES, SECRETS, data_hole
from stackctl.core.tokens import show

SECRETS_PATH = "/run/secrets"
"""Where Compose mounts secrets in a container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What the services of one template can mount.

    Args:
        files: Paths below `files/` that were rendered.
        prefix: Folder of the environment's files that this template's stand in, with a slash, or empty.
        data: Names of the data folders that are declared.
    """

    files: Collection[str] = field(default_factory=tuple)
    prefix: str = ""
    data: Collection[str] = field(default_factory=tuple)


def attach(service: Mapping[str, Any], shelf: Shelf) -> dict[str, Any]:
    """The service with its mounts and ports in long form and texts where Compose takes only texts.

    Raises:
        ValueError: A mount names a file or folder that there is not.
    """
    fitted = dict(service)
    if isinstance(service.get("volumes"), list):
        fitted["volumes"] = [_mount(one, shelf) for one in service["volumes"]]
    if isinstance(service.get("ports"), list):
        fitted["ports"] = [_port(one) for one in service["ports"]]
    for key in ("environment", "labels"):
        if isinstance(service.get(key), dict):
            fitted[key] = {name: _text(value) for name, value in service[key].items()}
    return fitted


def fingerprint(files: Mapping[str, str]) -> str:
    """The sha256 of files, names and texts, whatever their order."""
    digest = sha256()
    for name, text in sorted(files.items()):
        for part in (name.encode(), text.encode(errors="surrogatepass")):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def bind(source: str, target: str, *, read_only: bool = False) -> dict[str, Any]:
    """A bind mount whose source must be there beforehand."""
    mount = {"type": "bind", "source": source, "target": target, "bind": {"create_host_path": False}}
    return {**mount, "read_only": True} if read_only else mount


def attach_secrets(service: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The service with these secrets besides those that it lists."""
    listed = list(service.get("secrets") or [])
    missing = sorted(set(names) - set(secret_names(service)))
    return {**service, "secrets": [*listed, *missing]} if listed or missing else dict(service)


def secret_names(service: Mapping[str, Any]) -> list[str]:
    """The names of the secrets that a service lists, in either form."""
    listed = service.get("secrets") or []
    return [str(one.get("source", "")) if isinstance(one, dict) else str(one) for one in listed]


def secret_source(name: str) -> dict[str, str]:
    """The top-level entry of a secret: the file that the shell keeps for it."""
    return {"file": f"{SECRETS}/{name}"}


def secret_path(name: str) -> str:
    """Where a service finds the secret."""
    return f"{SECRETS_PATH}/{name}"


def _stands_in(name: str, folder: str) -> bool:
    return not folder or name == folder or name.startswith(f"{folder}/")


def _mount(entry: Any, shelf: Shelf) -> Any:
    if isinstance(entry, dict):
        source, target = str(entry.get("source", "")), str(entry.get("target", ""))
    else:
        source, _, target = str(entry).partition(":")
        target = target.partition(":")[0]
    if not source.startswith("."):
        return entry
    kind, _, rest = normpath(source).partition("/")
    if kind == "files":
        return bind(_file(rest, shelf), target, read_only=True)
    if kind == "data":
        return bind(_data(rest, shelf), target)
    raise ValueError(f"`{source}` cannot be mounted: a template mounts `./files/…` and `./data/<name>`")


def _file(path: str, shelf: Shelf) -> str:
    if not any(_stands_in(name, path) for name in shelf.files):
        raise ValueError(f"`./files/{path}` is mounted, and the template has no such file")
    return "/".join(part for part in (FILES, shelf.prefix.rstrip("/"), path) if part)


def _data(name: str, shelf: Shelf) -> str:
    if name not in shelf.data:
        raise ValueError(
            f"`./data/{name}` is mounted, and the template declares no such folder below `data:`"
        )
    return data_hole(name)


def _port(entry: Any) -> Any:
    """A published port as text; none, when placement is to choose it."""
    if not isinstance(entry, dict) or "published" not in entry:
        return entry
    kept = {key: value for key, value in entry.items() if key != "published"}
    published = show(entry["published"])
    return kept if published in ("", "0") else {**kept, "published": published}


def _text(value: Any) -> Any:
    """A truth value as text, which is all that Compose takes in an environment or a label."""
    return show(value) if isinstance(value, bool) else value
