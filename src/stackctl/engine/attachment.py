"""A container's streams on one connection, and the wait for its end: what the daemon says as it happens."""

from __future__ import annotations

import json
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from stackctl.engine.chunks import Chunks
from stackctl.engine.transport import quote
from stackctl.engine.wire import Wire

if TYPE_CHECKING:
    from stackctl.engine.dialing import Line

_HEADER = 8
_AT_ONCE = 1 << 16
STDERR = 2


class Attachment:
    """The streams of one container; to be opened before it is started, so that nothing is missed.

    Attributes:
        closed: True once nothing more will come.
    """

    def __init__(self, connection: socket.socket, begun: bytes, *, terminal: bool) -> None:
        self.closed = False
        self._connection, self._raw, self._terminal = connection, begun, terminal

    @classmethod
    def open(
        cls, line: Line | str, container: str, patience: float, *, stdin: bool, terminal: bool
    ) -> Attachment:
        """Attach to a container.

        Raises:
            DaemonDown, EngineForbidden, DaemonFrozen, EngineRefused: It could not be attached to.
        """
        query = f"stream=1&stdout=1&stderr=1&stdin={int(stdin)}"
        target = f"/containers/{quote(container)}/attach?{query}"
        connection, begun = Wire(line, patience).hand_over(target, method="POST", raw=True)
        return cls(connection, begun, terminal=terminal)

    def fileno(self) -> int:
        """The descriptor that becomes readable; -1 when it is closed."""
        return self._connection.fileno()

    def read(self) -> tuple[tuple[int, bytes], ...]:
        """What has arrived: (1 for its standard output, 2 for its standard error; bytes), without waiting."""
        try:
            data = self._connection.recv(_AT_ONCE)
        except BlockingIOError:
            return ()
        except OSError:
            data = b""
        if not data:
            self.close()
        self._raw += data
        if self._terminal:
            found, self._raw = ((1, self._raw),) if self._raw else (), b""
            return found
        return self._frames()

    def _frames(self) -> tuple[tuple[int, bytes], ...]:
        found, at = [], 0
        while at + _HEADER <= len(self._raw):
            stream, size = struct.unpack_from(">B3xI", self._raw, at)
            if at + _HEADER + size > len(self._raw):
                break
            found.append((stream, self._raw[at + _HEADER : at + _HEADER + size]))
            at += _HEADER + size
        self._raw = self._raw[at:]
        return tuple(found)

    def write(self, data: bytes) -> None:
        """Hand bytes to its standard input; what it does not want any more is dropped."""
        with suppress(OSError):
            self._connection.settimeout(30.0)
            self._connection.sendall(data)
        with suppress(OSError):
            self._connection.setblocking(False)

    def end_input(self) -> None:
        """Say that nothing more comes on its standard input."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Hang up; the container runs on."""
        self.closed = True
        self._connection.close()


class ExitWait:
    """The daemon's word that a container has ended, to `select` on.

    Attributes:
        code: Its exit code; None while it is not known.
        closed: True once nothing more will be said: it ended, or the daemon went, which `inspect` tells.
    """

    def __init__(self, connection: socket.socket, begun: bytes) -> None:
        self.code: int | None = None
        self.closed = False
        self._connection, self._chunks = connection, Chunks()
        self._text = self._chunks.feed(begun)
        self._judge()

    @classmethod
    def open(cls, line: Line | str, container: str, patience: float) -> ExitWait:
        """Wait for a container that runs, or is about to be started.

        Raises:
            DaemonDown, EngineForbidden, DaemonFrozen, EngineRefused: It cannot be waited for.
        """
        target = f"/containers/{quote(container)}/wait?condition=next-exit"
        return cls(*Wire(line, patience).hand_over(target, method="POST"))

    def fileno(self) -> int:
        """The descriptor that becomes readable; -1 when it is closed."""
        return self._connection.fileno()

    def read(self) -> int | None:
        """Its exit code if that has arrived, without waiting."""
        try:
            data = self._connection.recv(_AT_ONCE)
        except BlockingIOError:
            return self.code
        except OSError:
            data = b""
        if not data:
            self.close()
        self._text += self._chunks.feed(data)
        self._judge()
        return self.code

    def _judge(self) -> None:
        with suppress(ValueError):
            found = json.loads(self._text)
            if isinstance(found, dict) and isinstance(found.get("StatusCode"), int):
                self.code = found["StatusCode"]
                self.close()

    def close(self) -> None:
        """Hang up."""
        self.closed = True
        self._connection.close()
