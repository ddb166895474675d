"""As much of PostgreSQL's protocol as this shop needs: log in with SCRAM, run statements, read rows."""

import base64
import hashlib
import hmac
import os
import secrets
import socket
import struct
from pathlib import Path


class Connection:
    """Use it in a `with`; each statement commits by itself."""

    def __init__(self):
        self.user, database = os.environ["DB_USER"], os.environ["DB_NAME"]
        self.password = Path(os.environ["DB_PASSWORD_FILE"]).read_text().strip().encode()
        self.socket = socket.create_connection((os.environ["DB_HOST"], 5432), timeout=5)
        self.stream = self.socket.makefile("rb")
        words = b"".join(w.encode() + b"\0" for w in ("user", self.user, "database", database)) + b"\0"
        self.socket.sendall(struct.pack("!ii", len(words) + 8, 196608) + words)
        self._log_in()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def rows(self, statement, *values):
        """Run a statement; `%s` in it stands for a value."""
        quoted = ["'" + str(value).replace("'", "''") + "'" for value in values]
        self._send(b"Q", (statement % tuple(quoted)).encode() + b"\0")
        found = []
        kind = b""
        while kind != b"Z":
            kind, data = self._receive()
            if kind == b"D":
                found.append(self._row(data))
        return found

    def _row(self, data):
        (count,), offset, row = struct.unpack_from("!h", data), 2, []
        for _ in range(count):
            (size,) = struct.unpack_from("!i", data, offset)
            offset += 4
            row.append(None if size < 0 else data[offset : offset + size].decode())
            offset += max(size, 0)
        return row

    def _send(self, kind, data):
        self.socket.sendall(kind + struct.pack("!i", len(data) + 4) + data)

    def _receive(self):
        kind, size = struct.unpack("!ci", self.stream.read(5))
        data = self.stream.read(size - 4)
        if kind == b"E":
            raise RuntimeError(data.replace(b"\0", b" ").decode())
        return kind, data

    def _log_in(self):
        while True:
            kind, data = self._receive()
            if kind == b"Z":
                return
            if kind == b"R" and data[:4] == b"\0\0\0\x0a":
                self.first = f"n=,r={secrets.token_hex(12)}".encode()
                self._send(b"p", b"SCRAM-SHA-256\0" + self._sized(b"n,," + self.first))
            elif kind == b"R" and data[:4] == b"\0\0\0\x0b":
                self._send(b"p", self._proof(data[4:]))

    @staticmethod
    def _sized(data):
        return struct.pack("!i", len(data)) + data

    def _proof(self, challenge):
        nonce, salt, rounds = (part[2:] for part in challenge.split(b","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(salt), int(rounds))
        key = hmac.digest(salted, b"Client Key", "sha256")
        final = b"c=biws,r=" + nonce
        signed = b",".join((self.first, challenge, final))
        signature = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        return final + b",p=" + base64.b64encode(proof)
