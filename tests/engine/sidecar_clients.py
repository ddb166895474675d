"""The smallest clients of AMQP and NATS that can keep a message and ask for it again, over plain sockets."""

from __future__ import annotations

import base64
import json
import socket
import struct
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

DEADLINE_S = 20


class Connection:
    """A TCP connection to where a URL points, and what the URL says of the user."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self.user = unquote(parts.username or "")
        self.password = unquote(parts.password or "")
        self.path = unquote(parts.path[1:])
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=DEADLINE_S)
        self.stream = self.socket.makefile("rb")

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stream.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> str:
        """One line, without its end; empty when the other side has gone."""
        return self.stream.readline().decode().strip()

    def read(self, count: int) -> bytes:
        """Exactly so many bytes."""
        data = self.stream.read(count)
        assert len(data) == count, "the server closed the connection"
        return data


def short(text: str) -> bytes:
    """A short string of AMQP."""
    return bytes([len(text.encode())]) + text.encode()


class Amqp(Connection):
    """A connection of AMQP 0-9-1 with one channel, whose messages are confirmed."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.send(b"AMQP\x00\x00\x09\x01")
        self._expect(10, 10)
        answer = f"\0{self.user}\0{self.password}".encode()
        login = struct.pack(">I", 0) + short("PLAIN") + struct.pack(">I", len(answer)) + answer
        self._method(0, 10, 11, login + short("en_US"))
        channels, frame, _ = struct.unpack(">HIH", self._expect(10, 30))
        self._method(0, 10, 31, struct.pack(">HIH", channels, frame, 0))
        self._method(0, 10, 40, short(self.path) + short("") + b"\0")
        self._expect(10, 41)
        self._method(1, 20, 10, short(""))
        self._expect(20, 11)

    def publish(self, queue: str, body: bytes) -> None:
        """Put a persistent message into a durable queue, and wait until the server has it on disk."""
        self._method(1, 50, 10, struct.pack(">H", 0) + short(queue) + b"\x02" + struct.pack(">I", 0))
        self._expect(50, 11)
        self._method(1, 85, 10, b"\0")
        self._expect(85, 11)
        self._method(1, 60, 40, struct.pack(">H", 0) + short("") + short(queue) + b"\0")
        # The one property is delivery-mode, and 2 is persistent
        self._frame(2, 1, struct.pack(">HHQHB", 60, 0, len(body), 1 << 12, 2))
        self._frame(3, 1, body)
        self._expect(60, 80)

    def get(self, queue: str) -> bytes:
        """Take the first message of a queue."""
        self._method(1, 60, 70, struct.pack(">H", 0) + short(queue) + b"\x01")
        self._expect(60, 71)
        self._receive()
        return self._receive()

    def _method(self, channel: int, group: int, method: int, arguments: bytes) -> None:
        self._frame(1, channel, struct.pack(">HH", group, method) + arguments)

    def _frame(self, kind: int, channel: int, payload: bytes) -> None:
        self.send(struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce")

    def _receive(self) -> bytes:
        _, _, size = struct.unpack(">BHI", self.read(7))
        payload = self.read(size)
        assert self.read(1) == b"\xce"
        return payload

    def _expect(self, group: int, method: int) -> bytes:
        payload = self._receive()
        assert struct.unpack(">HH", payload[:4]) == (group, method), payload
        return payload[4:]


class Nats(Connection):
    """A connection of NATS, and requests to JetStream."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        assert self.line().startswith("INFO ")
        who = {"user": self.user, "pass": self.password, "verbose": False}
        self.send(f"CONNECT {json.dumps(who)}\r\nSUB answers 1\r\n".encode())

    def ask(self, subject: str, body: bytes) -> Any:
        """What is answered to a message, read as JSON."""
        self.send(f"PUB {subject} answers {len(body)}\r\n".encode() + body + b"\r\n")
        while not (line := self.line()).startswith("MSG "):
            assert line, "the server closed the connection"
            assert not line.startswith("-ERR"), line
        answer = json.loads(self.read(int(line.split()[-1])))
        self.line()
        assert "error" not in answer, answer
        return answer

    def publish(self, stream: str, body: bytes) -> None:
        """Make a stream on disk and put a message into it, and wait until the server has it."""
        settings = {"name": stream, "subjects": [stream.lower()], "storage": "file"}
        self.ask(f"$JS.API.STREAM.CREATE.{stream}", json.dumps(settings).encode())
        assert self.ask(stream.lower(), body)["seq"] == 1

    def get(self, stream: str) -> bytes:
        """The first message of a stream."""
        answer = self.ask(f"$JS.API.STREAM.MSG.GET.{stream}", b'{"seq": 1}')
        return base64.b64decode(answer["message"]["data"])


class Memcached(Connection):
    """A connection of memcached's text protocol."""

    def set(self, key: str, value: str) -> None:
        """Store a value for good."""
        self.send(f"set {key} 0 0 {len(value)}\r\n{value}\r\n".encode())
        assert self.line() == "STORED"

    def get(self, key: str) -> str:
        """The value of a key; empty when there is none."""
        self.send(f"get {key}\r\n".encode())
        if self.line() == "END":
            return ""
        value = self.line()
        assert self.line() == "END"
        return value
