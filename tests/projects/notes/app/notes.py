"""POST /NAME keeps a note, GET / shows all of them and how this was set up."""

import json
import os
import socket
from pathlib import Path
from wsgiref.simple_server import make_server

SETUP = ("MODE", "TOKEN", "PEPPER", "COMMON", "SHARED")


def index(name, size):
    """Tell the index how long a note is."""
    with socket.create_connection(("search", 11211), timeout=5) as connection:
        connection.sendall(f"set {name} 0 0 {len(str(size))}\r\n{size}\r\n".encode())
        return connection.recv(100) == b"STORED\r\n"


def application(environ, start_response):
    indexed = None
    name = Path(environ["PATH_INFO"]).name
    if environ["REQUEST_METHOD"] == "POST" and name:
        text = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        Path("/notes", name).write_bytes(text)
        indexed = index(name, len(text))
    notes = {path.name: path.read_text() for path in sorted(Path("/notes").iterdir())}
    body = {"notes": notes, "indexed": indexed, "setup": {key: os.environ.get(key) for key in SETUP}}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


if __name__ == "__main__":
    make_server("", 8000, application).serve_forever()
