"""Sockets that misbehave: one that accepts and never answers, and one that stands before a real engine."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

Rewrite = Callable[[str, bytes], bytes]


def _listener(space: int) -> socket.socket:
    """A port of the loopback in the network of a process; a socket stays where it was made.

    Only the thread that makes it moves there, and ends with that.
    """
    made: list[socket.socket] = []

    def make() -> None:
        with Path(f"/proc/{space or os.getpid()}/ns/net").open("rb") as network:
            assert ctypes.CDLL(None, use_errno=True).setns(network.fileno(), 0) == 0, ctypes.get_errno()
        made.append(socket.create_server(("127.0.0.1", 0)))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


@contextmanager
def black_hole(path: Path | None = None, *, space: int = 0) -> Iterator[str]:
    """Accepts every connection and never answers; its address (`unix://…`, or `127.0.0.1:port`).

    Args:
        path: The socket it is; without one it is a port.
        space: A process in whose network the port is.
    """
    if path is None:
        listener = _listener(space)
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(64)
        address = f"unix://{path}"
    held: list[socket.socket] = []

    def swallow() -> None:
        with suppress(OSError):
            while True:
                held.append(listener.accept()[0])

    thread = threading.Thread(target=swallow, daemon=True)
    thread.start()
    try:
        yield address
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
        for one in held:
            one.close()


class Proxy:
    """Stands before an engine's socket: each call can be slowed down, answered otherwise, or cut off.

    Args:
        path: Where it listens.
        target: The engine's own socket.
        delay: Seconds before each call is passed on.
        rewrite: Request target ("GET /info") and the body of its answer -> the body that is given instead.
        before: Called with the request target before it is passed on.
    """

    def __init__(
        self,
        path: Path,
        target: str = "/var/run/docker.sock",
        *,
        delay: float = 0.0,
        rewrite: Rewrite | None = None,
        before: Callable[[str], None] | None = None,
    ) -> None:
        self.host = f"unix://{path}"
        self.delay, self.rewrite, self.before = delay, rewrite, before
        self.calls: list[str] = []
        self._target = target
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Proxy:  # noqa: PYI034 - Self is not in Python 3.10
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in [self._listener, *self._open]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in [self._accepting, *self._threads]:
            thread.join(10)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, ValueError, IndexError), client:
            source = client.makefile("rb")
            while head := _head(source):
                self._pass_on(client, head, source)

    def _pass_on(self, client: socket.socket, head: list[bytes], source: Any) -> None:
        method, target, _ = head[0].decode().split(" ", 2)
        call = f"{method} {target}"
        self.calls.append(call)
        if self.before is not None:
            self.before(call)
        time.sleep(self.delay)
        body = source.read(int(_field(head, b"content-length") or 0))
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(self._target)
            self._open.append(server)
            lines = [line for line in head if not line.lower().startswith(b"connection:")]
            closing = b"" if _field(head, b"upgrade") else b"\r\nConnection: close"
            server.sendall(b"\r\n".join(lines) + closing + b"\r\n\r\n" + body)
            if _field(head, b"upgrade"):
                _both_ways(client, source, server)
            elif self.rewrite is None:
                _copy(server, client)
                raise ValueError("one call a connection")
            else:
                client.sendall(_rewritten(server, call, self.rewrite))


def _head(source: Any) -> list[bytes]:
    lines = []
    while (line := source.readline()) and line.strip():
        lines.append(line.rstrip(b"\r\n"))
    return lines


def _field(head: list[bytes], name: bytes) -> str:
    for line in head[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip().decode()
    return ""


def _copy(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(1 << 16):
        target.sendall(data)


def _both_ways(client: socket.socket, source: Any, server: socket.socket) -> None:
    def back() -> None:
        with suppress(OSError):
            _copy(server, client)
            client.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=back, daemon=True)
    thread.start()
    while data := source.read1(1 << 16):
        server.sendall(data)
    thread.join(10)


def _rewritten(server: socket.socket, call: str, rewrite: Rewrite) -> bytes:
    source = server.makefile("rb")
    head = _head(source)
    body = _chunks(source) if _field(head, b"transfer-encoding") == "chunked" else source.read()
    kept = [
        line
        for line in head
        if not line.lower().startswith((b"content-length:", b"transfer-encoding:", b"connection:"))
    ]
    body = rewrite(call, body)
    return b"\r\n".join([*kept, b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body


def _chunks(source: Any) -> bytes:
    found = b""
    while size := int(source.readline().split(b";")[0], 16):
        found += source.read(size)
        source.readline()
    source.readline()
    return found


def edited(path_end: str, change: Callable[[Any], Any]) -> Rewrite:
    """A rewrite that changes the JSON of calls whose path ends so, and passes everything else on."""

    def rewrite(call: str, body: bytes) -> bytes:
        path = call.split(" ", 1)[1].partition("?")[0]
        return json.dumps(change(json.loads(body))).encode() if path.endswith(path_end) else body

    return rewrite
