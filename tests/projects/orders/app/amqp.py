"""As much of AMQP 0-9-1 as is needed here: publish to a durable queue, get from it, acknowledge."""

import os
import socket
import struct
from urllib.parse import urlsplit

QUEUE = b"orders"


def short(text):
    return bytes([len(text)]) + text


class Channel:
    """Channel 1 of a connection of its own."""

    def __init__(self):
        url = urlsplit(os.environ["AMQP_URL"])
        self.socket = socket.create_connection((url.hostname, url.port), timeout=10)
        self.stream = self.socket.makefile("rb")
        self.socket.sendall(b"AMQP\0\0\x09\x01")
        self._expect(10, 10)
        login = f"\0{url.username}\0{url.password}".encode()
        reply = struct.pack("!I", 0) + short(b"PLAIN") + struct.pack("!I", len(login)) + login + short(b"C")
        self._method(0, 10, 11, reply)
        tune = self._expect(10, 30)
        self._method(0, 10, 31, tune[:6] + b"\0\0")
        self._method(0, 10, 40, short(b"/") + b"\0\0")
        self._expect(10, 41)
        self._method(1, 20, 10, b"\0")
        self._expect(20, 11)
        self._method(1, 50, 10, b"\0\0" + short(QUEUE) + b"\x02" + struct.pack("!I", 0))
        self._expect(50, 11)

    def publish(self, body):
        self._method(1, 85, 10, b"\0")
        self._expect(85, 11)
        self._method(1, 60, 40, b"\0\0" + short(b"") + short(QUEUE) + b"\0")
        self._frame(2, 1, struct.pack("!HHQHB", 60, 0, len(body), 0x1000, 2))
        self._frame(3, 1, body)
        self._expect(60, 80)

    def get(self):
        """(tag, body), or None where the queue is empty."""
        self._method(1, 60, 70, b"\0\0" + short(QUEUE) + b"\0")
        found = self._expect(60, 71, 72)
        if found is None:
            return None
        size = struct.unpack("!Q", self._read()[1][4:12])[0]
        body = b""
        while len(body) < size:
            body += self._read()[1]
        return found[:8], body

    def acknowledge(self, tag):
        self._method(1, 60, 80, tag + b"\0")

    def _frame(self, kind, channel, data):
        self.socket.sendall(struct.pack("!BHI", kind, channel, len(data)) + data + b"\xce")

    def _method(self, channel, group, number, data):
        self._frame(1, channel, struct.pack("!HH", group, number) + data)

    def _read(self):
        while True:
            kind, _, size = struct.unpack("!BHI", self.stream.read(7))
            data = self.stream.read(size + 1)[:-1]
            if kind != 8:
                return kind, data

    def _expect(self, group, number, other=None):
        _, data = self._read()
        found = struct.unpack("!HH", data[:4])
        if found == (group, other):
            return None
        if found != (group, number):
            raise ConnectionError(f"expected {group}.{number}: {data!r}")
        return data[4:]
