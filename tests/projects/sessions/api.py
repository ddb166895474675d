"""POST /USER opens a session on the primary, GET /USER looks for it on a replica, GET / lists them."""

import json
import os
import socket
from wsgiref.simple_server import make_server


def redis(host, *words):
    with socket.create_connection((os.environ[host], 6379), timeout=5) as connection:
        stream = connection.makefile("rb")
        for command in (("AUTH", os.environ["PASSWORD"]), words):
            parts = [f"${len(word)}\r\n{word}\r\n" for word in command]
            connection.sendall(f"*{len(command)}\r\n{''.join(parts)}".encode())
            found = answer(stream)
        return found


def answer(stream):
    line = stream.readline().decode().rstrip()
    if line[0] == "-":
        raise RuntimeError(line)
    if line[0] == "*":
        return [answer(stream) for _ in range(int(line[1:]))]
    if line[0] == "$":
        return None if line == "$-1" else stream.read(int(line[1:]) + 2)[:-2].decode()
    return line[1:]


def application(environ, start_response):
    user = environ["PATH_INFO"].strip("/")
    if environ["REQUEST_METHOD"] == "POST":
        body = redis("WRITE", "HINCRBY", "sessions", user, "1")
    elif user:
        body = redis("READ", "HGET", "sessions", user)
    else:
        found = redis("READ", "HGETALL", "sessions")
        body = dict(sorted(zip(found[::2], found[1::2], strict=True)))
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


if __name__ == "__main__":
    make_server("", 8000, application).serve_forever()
