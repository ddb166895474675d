"""A page that takes long to make, and is made once a minute at most; every visit is counted."""

import json
import os
import socket
import time
from pathlib import Path
from wsgiref.simple_server import make_server

LOG = Path("/visits/log.txt")


def cache(command, body=b""):
    """The first line of memcached's answer, and what it has."""
    host, port = os.environ["CACHE"].split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(command.encode() + b"\r\n" + body)
        stream = connection.makefile("rb")
        head = stream.readline().decode().split()
        return head, stream.read(int(head[3])) if head[0] == "VALUE" else b""


def page(path):
    key = "page" + path.replace("/", ":")
    head, found = cache(f"get {key}")
    if head[0] == "VALUE":
        return found.decode(), True
    time.sleep(float(os.environ["SLOW_SECONDS"]))
    made = f"made by {socket.gethostname()}"
    cache(f"set {key} 0 60 {len(made)}", made.encode() + b"\r\n")
    return made, False


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/visits":
        body = {"visits": LOG.read_text().splitlines() if LOG.exists() else []}
    else:
        with LOG.open("a") as log:
            log.write(f"{path}\n")
        text, cached = page(path)
        body = {"text": text, "cached": cached, "by": socket.gethostname()}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


if __name__ == "__main__":
    make_server("", 8000, application).serve_forever()
