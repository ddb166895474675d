"""As much of MariaDB's protocol as the blog needs: mysql_native_password, and queries with text results."""

import hashlib
import os
import socket
import struct


def query(statement, *values):
    """The rows of one statement in a connection of its own; `%s` stands for a value."""
    quoted = [value.replace("\\", "\\\\").replace("'", "\\'") for value in values]
    connection = Connection()
    try:
        return connection.query(statement % tuple(f"'{value}'" for value in quoted))
    finally:
        connection.socket.close()


class Connection:
    def __init__(self):
        self.socket = socket.create_connection((os.environ["MYSQL_HOST"], 3306), timeout=5)
        self.stream = self.socket.makefile("rb")
        greeting = self._packet()
        start = greeting.index(b"\0", 1) + 5
        salt = greeting[start : start + 8] + greeting[start + 27 : start + 39]
        names = [os.environ[name].encode() for name in ("MARIADB_USER", "MARIADB_DATABASE")]
        token = scramble(os.environ["MARIADB_PASSWORD"].encode(), salt)
        flags = 0x1 | 0x8 | 0x200 | 0x8000 | 0x80000
        head = struct.pack("<IIB23x", flags, 1 << 24, 45)
        plugin = b"mysql_native_password\0"
        self._send(head + names[0] + b"\0" + bytes([len(token)]) + token + names[1] + b"\0" + plugin, 1)
        self._packet()

    def query(self, statement):
        self._send(b"\3" + statement.encode(), 0)
        first = self._packet()
        if first[0] == 0:
            return []
        for _ in range(first[0] + 1):
            self._packet()
        rows = []
        while True:
            packet = self._packet()
            if packet[0] == 0xFE and len(packet) < 9:
                return rows
            rows.append(list(texts(packet)))

    def _send(self, data, number):
        self.socket.sendall(struct.pack("<I", len(data))[:3] + bytes([number]) + data)

    def _packet(self):
        size = struct.unpack("<I", self.stream.read(4)[:3] + b"\0")[0]
        data = self.stream.read(size)
        if data[0] == 0xFF:
            raise RuntimeError(data[3:].decode())
        return data


def scramble(password, salt):
    once = hashlib.sha1(password).digest()
    mask = hashlib.sha1(salt + hashlib.sha1(once).digest()).digest()
    return bytes(a ^ b for a, b in zip(once, mask, strict=True))


def texts(packet):
    at = 0
    while at < len(packet):
        size, at = packet[at], at + 1
        if size == 0xFC:
            size, at = struct.unpack_from("<H", packet, at)[0], at + 2
        yield packet[at : at + size].decode()
        at += size
