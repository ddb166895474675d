"""Ways to an engine's API: its unix socket, a plain TCP port, or whatever the docker command can reach."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from stackctl.engine.endpoint import in_the_clear

if TYPE_CHECKING:
    from stackctl.engine.endpoint import Endpoint


PLAIN_PORT = 2375
TCP = "tcp://"
_RETRY = 0.05


class Line(Protocol):
    """One way to an engine's API.

    Attributes:
        name: What messages call it.
        here: Whether what listens is a process of this machine's kernel, as its socket tells.
        spare: Connections that wait for another question, where making one is dear; None where it is cheap.
    """

    name: str
    here: bool
    spare: list[socket.socket] | None

    def connect(self, seconds: float) -> socket.socket:
        """A connection, within so many seconds.

        Raises:
            OSError: There is none.
            DockerMissing: It takes a docker command.
        """
        ...


class UnixLine:
    """The engine's unix socket."""

    here = True
    spare: list[socket.socket] | None = None

    def __init__(self, path: str) -> None:
        self.name = path

    def connect(self, seconds: float) -> socket.socket:
        """A connection; where the queue of those that wait is full, the daemon is frozen, or busy."""
        deadline = time.monotonic() + seconds
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                connection.connect(self.name)
            except OSError as error:
                connection.close()
                if not isinstance(error, BlockingIOError):
                    raise
                if time.monotonic() + _RETRY >= deadline:
                    raise TimeoutError from None
                time.sleep(_RETRY)
            else:
                return connection


class TcpLine:
    """A port that speaks the API in the clear."""

    here = False
    spare: list[socket.socket] | None = None

    def __init__(self, host: str, port: int) -> None:
        self.name = f"{TCP}{host}:{port}"
        self._address = (host.strip("[]"), port)

    def connect(self, seconds: float) -> socket.socket:
        """A connection that notices when the other machine is gone."""
        connection = socket.create_connection(self._address, timeout=seconds)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return connection


def find_line(endpoint: Endpoint, environ: Mapping[str, str], scrubbed: Mapping[str, str]) -> Line:
    """The way to an engine.

    Args:
        endpoint: Where it is.
        environ: The caller's environment, which says whether there is TLS.
        scrubbed: What a child that talks to docker may see, with this engine pinned.
    """
    if endpoint.socket:
        return UnixLine(endpoint.socket)
    host, port = split_address(endpoint.host) if in_the_clear(endpoint, environ) else ("", 0)
    if port:
        return TcpLine(host, port)
    from stackctl.engine.dialled import CommandLine

    return CommandLine(endpoint.host, scrubbed)


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `tcp://HOST:PORT`; port 0 where it is written in another way, for docker to judge."""
    rest = address.removeprefix(TCP).rstrip("/")
    host, colon, port = rest.rpartition(":")
    if rest.endswith("]") or not colon:
        host, port = rest, str(PLAIN_PORT)
    plain = host and port.isdecimal() and not set("/@?#") & set(host)
    return (host, int(port)) if plain else (host, 0)
