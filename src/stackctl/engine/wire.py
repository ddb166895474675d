"""HTTP as little as docker's API needs it: one kept-alive connection, one deadline a call.

The standard library's client costs 40 ms to import and bounds each read instead of each answer.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from stackctl.core.errors import DaemonDown, DaemonFrozen, EngineForbidden, EngineRefused, EngineUnavailable
from stackctl.core.units import show_duration
from stackctl.engine.dialing import Line, UnixLine

_LONGEST = 64 << 20
_HEXADECIMAL = b"0123456789abcdefABCDEF"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the API: its status and body."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body as plain data; None when it is empty or no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def message(self) -> str:
        """What the engine says went wrong, in its own words."""
        found = self.json()
        word = found.get("message", "") if isinstance(found, dict) else ""
        return str(word) or self.body[:500].decode(errors="replace").strip()


class TooLong(EngineRefused):
    """An answer of more bytes than were asked for; what there is of it is not read."""


class _Closed(Exception):
    """The peer closed the connection before it answered."""


class Wire:
    """One connection to an engine; not to be shared between threads.

    Args:
        line: The way to it, or the path of its unix socket.
        patience: Seconds within which an answer must be complete.
    """

    def __init__(self, line: Line | str, patience: float = 10.0) -> None:
        self._way = UnixLine(line) if isinstance(line, str) else line
        self._patience = patience
        self._socket: socket.socket | None = None
        self._pending = b""
        self._deadline = 0.0
        self._most = 0
        self._answered = False

    def __del__(self) -> None:
        self.close()  # engines live as long as a command and have no better moment

    def call(
        self,
        method: str,
        target: str,
        body: Mapping[str, Any] | bytes | None = None,
        *,
        extra: float = 0.0,
        most: int = 0,
    ) -> Answer:
        """Ask and read the whole answer.

        Args:
            method: GET, HEAD, POST, PUT or DELETE.
            target: Path and query, quoted.
            body: Sent as JSON when given; bytes are a tar archive.
            extra: Seconds beyond the usual patience, for calls that wait by design (a stop's grace).
            most: Bytes of an answer at most, 0 for as many as there are.

        Raises:
            TooLong: The answer is longer.
            DaemonDown: Nothing listens.
            EngineForbidden: No right to use the socket.
            DockerMissing: The way there takes a docker command.
            DaemonFrozen: No complete answer in time.
            EngineRefused: The answer is not HTTP.
        """
        kept_alive, self._most = self._socket is not None, most
        self._deadline = time.monotonic() + self._patience + extra
        with self._faults(self._patience + extra):
            try:
                return self._exchange(method, target, body)
            except (_Closed, ConnectionError):
                # an idle connection that the daemon dropped is no failure; a write is not repeated
                if not kept_alive or method != "GET":
                    raise
                self.close()
                return self._exchange(method, target, body)

    def peer(self) -> int:
        """Process id of who listens, as seen from our pid namespace: 0 when it lies outside or is unknown.

        Raises:
            DaemonDown, EngineForbidden, DaemonFrozen: As `call`.
        """
        if not hasattr(socket, "SO_PEERCRED") or not self._way.here:
            return 0
        self._deadline = time.monotonic() + self._patience
        with self._faults(self._patience):
            credentials = self._connection().getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int.from_bytes(credentials[:4], sys.byteorder)

    def hand_over(
        self, target: str, *, method: str = "GET", raw: bool = False
    ) -> tuple[socket.socket, bytes]:
        """Ask for an answer without end, and give the connection away once it has begun.

        Args:
            target: Path and query, quoted.
            method: GET or POST.
            raw: Ask for the bare connection, to read from and write to, instead of an answer in chunks.

        Returns:
            The connection, which does not block, and what came of the answer already.

        Raises:
            DaemonDown, EngineForbidden, DaemonFrozen: As `call`.
            EngineRefused: The engine refuses, or its answer has not the form that was asked for.
        """
        self._deadline = time.monotonic() + self._patience
        with self._faults(self._patience):
            self._send(method, target, None, upgrade=raw)
            status, headers = self._head()
            chunked = headers.get("transfer-encoding", "").lower() == "chunked"
            if (status != 101) if raw else (status != 200 or not chunked):
                raise EngineRefused(f"the docker daemon answered {status} where a stream was asked for")
            connection, begun = self._connection(), self._pending
            connection.setblocking(False)
            self._socket, self._pending = None, b""
            return connection, begun

    def close(self) -> None:
        """Let go of the connection; the next call makes a new one, or takes one that waits."""
        if self._socket is not None:
            if self._answered and not self._pending and self._way.spare is not None:
                self._way.spare.append(self._socket)
            else:
                self._socket.close()
        self._socket, self._pending, self._answered = None, b"", False

    def _exchange(self, method: str, target: str, body: Mapping[str, Any] | bytes | None) -> Answer:
        self._send(method, target, body)
        status, headers = self._head()
        content = b"" if status in (204, 304) or method == "HEAD" else self._body(headers)
        if headers.get("connection", "").lower() == "close":
            self.close()
        self._answered = self._socket is not None
        return Answer(status, content)

    def _send(
        self, method: str, target: str, body: Mapping[str, Any] | bytes | None, *, upgrade: bool = False
    ) -> None:
        self._answered, packed = False, isinstance(body, bytes)
        payload = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        head = f"{method} {target} HTTP/1.1\r\nHost: docker\r\nContent-Length: {len(payload)}\r\n"
        head += "Connection: Upgrade\r\nUpgrade: tcp\r\n" if upgrade else ""
        form = "application/x-tar" if packed else "application/json"
        kind = f"Content-Type: {form}\r\n\r\n" if payload else "\r\n"
        self._tick(self._connection()).sendall((head + kind).encode() + payload)

    def _head(self) -> tuple[int, dict[str, str]]:
        status = self._line().split(b" ", 2)
        if len(status) < 2 or not status[0].startswith(b"HTTP/1.") or not status[1].isdigit():
            raise EngineRefused(f"what listens on {self._way.name} does not speak docker's language")
        headers = {}
        while line := self._line():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        return int(status[1]), headers

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return b"".join(self._chunks())
        length = headers.get("content-length", "")
        if length.isdigit():
            self._check_length(int(length))
            return self._exactly(int(length))
        return self._until_closed()

    def _check_length(self, length: int) -> None:
        if self._most and length > self._most:
            raise TooLong(f"what listens on {self._way.name} answers with more than {self._most} bytes")

    def _chunks(self) -> Iterator[bytes]:
        length = 0
        while True:
            size = self._line().split(b";")[0].strip()
            if not size or size.strip(_HEXADECIMAL):
                raise EngineRefused(f"what listens on {self._way.name} sent a broken answer")
            length += int(size, 16)
            self._check_length(length)
            data = self._exactly(int(size, 16))
            self._line()
            if not data:
                return
            yield data

    def _line(self) -> bytes:
        while b"\n" not in self._pending:
            self._more()
        line, _, self._pending = self._pending.partition(b"\n")
        return line.rstrip(b"\r")

    def _exactly(self, length: int) -> bytes:
        parts, have = [self._pending], len(self._pending)
        while have < length:
            self._pending = b""
            self._more()
            parts.append(self._pending)
            have += len(self._pending)
        content = b"".join(parts)
        self._pending = content[length:]
        return content[:length]

    def _until_closed(self) -> bytes:
        try:
            while True:
                self._more()
        except _Closed:
            content = self._pending
        self.close()
        return content

    def _more(self) -> None:
        data = self._tick(self._connection()).recv(1 << 16)
        if not data:
            raise _Closed
        self._pending += data
        if len(self._pending) > _LONGEST:
            raise EngineRefused(f"what listens on {self._way.name} sent more than {_LONGEST >> 20} MiB")

    def _tick(self, connection: socket.socket) -> socket.socket:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        return connection

    def _connection(self) -> socket.socket:
        if self._socket is None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket = _waiting(self._way.spare) or self._way.connect(left)
        return self._socket

    @contextmanager
    def _faults(self, seconds: float) -> Iterator[None]:
        """Whatever goes wrong leaves no half-read connection behind, and becomes an error with a hint."""
        try:
            yield
        except BaseException as error:
            said = getattr(self._socket, "last_words", "") if isinstance(error, (OSError, _Closed)) else ""
            self.close()
            if isinstance(error, (OSError, _Closed)):
                if not self._way.here:
                    raise _explain_far(error, self._way.name, seconds, said) from None
                raise _explain(error, self._way.name, seconds) from None
            raise


def _waiting(spare: list[socket.socket] | None) -> socket.socket | None:
    """A connection that waits for another question; what can be read of one means that it was hung up."""
    while spare:
        connection = spare.pop()
        if not select.select([connection], [], [], 0)[0]:
            return connection
        connection.close()
    return None


def _explain_far(
    error: OSError | _Closed, name: str, seconds: float, said: str
) -> EngineUnavailable | DaemonFrozen:
    hint = f"`docker -H {name} version` must answer without a question; `stackctl doctor` checks the rest"
    if isinstance(error, TimeoutError):
        late = show_duration(seconds) or "1s"
        return DaemonFrozen(f"the docker daemon at {name} did not answer within {late}", hint=hint)
    if said:
        from stackctl.engine.errors import last_line, redact

        why = last_line(redact(said, ()))
    elif isinstance(error, _Closed):
        why = "it hung up"
    else:
        why = error.strerror or str(error)
    return DaemonDown(f"no docker daemon answers at {name}: {why}", hint=hint)


def _explain(error: OSError | _Closed, path: str, seconds: float) -> EngineUnavailable | DaemonFrozen:
    if isinstance(error, TimeoutError):
        return DaemonFrozen(
            f"the docker daemon behind {path} did not answer within {show_duration(seconds) or '1s'}",
            hint="`docker info` hangs as well; look at the daemon's log, and restart it if it stays so",
        )
    if isinstance(error, PermissionError):
        return EngineForbidden(
            f"no right to use the docker socket {path}",
            hint="add yourself to the group that owns it (`sudo usermod -aG docker $USER`, then log in "
            "again) or use rootless docker",
        )
    if isinstance(error, FileNotFoundError):
        why = f"there is no docker socket at {path}"
    elif isinstance(error, ConnectionRefusedError):
        why = f"no docker daemon listens on {path}"
    else:
        why = f"the docker daemon behind {path} hung up"
    return DaemonDown(why, hint="start the daemon (`sudo systemctl start docker`), or set DOCKER_HOST")
