"""Where the engine is: the same answer that the docker command would find, without starting it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackctl.core.errors import EngineUnavailable

SYSTEM_SOCKET = "/var/run/docker.sock"
UNIX = "unix://"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One engine's address.

    Args:
        host: The address as docker writes it (`unix:///var/run/docker.sock`, `ssh://build@farm`).
        context: Name of the docker context that it came from, empty when none did.
    """

    host: str
    context: str = ""

    @property
    def socket(self) -> str:
        """Path of the unix socket, empty when the engine is reached in another way."""
        return self.host[len(UNIX) :] if self.host.startswith(UNIX) else ""

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`environ` with the engine pinned, so that a child of ours never chooses another one."""
        pinned = dict(environ)
        if self.socket or not self.context:
            pinned["DOCKER_HOST"] = self.host
            pinned.pop("DOCKER_CONTEXT", None)
        else:
            pinned["DOCKER_CONTEXT"] = self.context
            pinned.pop("DOCKER_HOST", None)
        return pinned


def find_endpoint(environ: Mapping[str, str]) -> Endpoint:
    """The engine that `environ` and docker's own configuration choose, in docker's own order.

    DOCKER_HOST, then DOCKER_CONTEXT or the current context, then the system's socket; where that does not
    exist, the rootless one below XDG_RUNTIME_DIR.

    Raises:
        EngineUnavailable: The chosen context does not exist.
    """
    host = environ.get("DOCKER_HOST", "")
    if host:
        return Endpoint(f"{UNIX}{host}" if host.startswith("/") else host)
    context = environ.get("DOCKER_CONTEXT") or _current_context(environ)
    if context and context != "default":
        return Endpoint(_context_host(environ, context), context)
    rootless = f"{environ.get('XDG_RUNTIME_DIR', '')}/docker.sock"
    if not os.access(SYSTEM_SOCKET, os.F_OK) and rootless[0] == "/" and os.access(rootless, os.F_OK):
        return Endpoint(f"{UNIX}{rootless}")
    return Endpoint(f"{UNIX}{SYSTEM_SOCKET}")


def find_program(name: str, environ: Mapping[str, str]) -> str:
    """Full path of a command on the PATH of `environ`, empty when there is none."""
    if "/" in name:
        return name if os.access(name, os.X_OK) else ""
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        path = Path(folder or ".") / name
        if os.access(path, os.X_OK) and path.is_file():
            return str(path)
    return ""


def _folder(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME", "/")) / ".docker")


def _current_context(environ: Mapping[str, str]) -> str:
    found = _read_json(_folder(environ) / "config.json").get("currentContext", "")
    return found if isinstance(found, str) else ""


def contexts(environ: Mapping[str, str]) -> dict[str, str]:
    """Name -> address of every context that docker knows."""
    found = {}
    for path in sorted((_folder(environ) / "contexts" / "meta").glob("*/meta.json")):
        meta = _read_json(path)
        with suppress(KeyError, TypeError):
            found[str(meta["Name"])] = str(meta["Endpoints"]["docker"]["Host"])
    return dict(sorted(found.items()))


def in_the_clear(endpoint: Endpoint, environ: Mapping[str, str]) -> bool:
    """Whether it is a TCP port without TLS, which gives the engine to whoever reaches it."""
    if not endpoint.host.startswith("tcp://"):
        return False
    if endpoint.context:
        return not _certificates(endpoint.context, environ).is_dir()
    return not (environ.get("DOCKER_TLS") or environ.get("DOCKER_TLS_VERIFY"))


def _certificates(context: str, environ: Mapping[str, str]) -> Path:
    return _folder(environ) / "contexts" / "tls" / _folder_name(context)


def endpoint_at(host: str, environ: Mapping[str, str]) -> Endpoint:
    """An engine by its address; by the context of that address where its certificates are kept by one."""
    for name, address in contexts(environ).items() if host.startswith("tcp://") else ():
        if address == host and _certificates(name, environ).is_dir():
            return Endpoint(host, name)
    return Endpoint(host)


def _folder_name(context: str) -> str:
    import hashlib  # 3 ms that only contexts need

    # docker names a context's folder by the hash of its name
    return hashlib.sha256(context.encode()).hexdigest()


def _context_host(environ: Mapping[str, str], context: str) -> str:
    meta = _read_json(_folder(environ) / "contexts" / "meta" / _folder_name(context) / "meta.json")
    try:
        return str(meta["Endpoints"]["docker"]["Host"])
    except (KeyError, TypeError):
        raise EngineUnavailable(
            f"the docker context `{context}` does not exist",
            hint="`docker context ls` shows those that do; `docker context use default` goes back",
        ) from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}  # docker itself goes on with its defaults
    return found if isinstance(found, dict) else {}
