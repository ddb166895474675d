"""GET / lists what people wrote, POST / adds a line."""

import json
import os
import socket
from wsgiref.simple_server import make_server


def redis(*words):
    """One command to Redis; a list for an array, else text."""
    with socket.create_connection((os.environ["STORE"], 6379), timeout=5) as connection:
        parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
        connection.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
        return answer(connection.makefile("rb"))


def answer(stream):
    line = stream.readline().decode().rstrip()
    if line[0] == "$":
        return stream.read(int(line[1:]) + 2)[:-2].decode()
    if line[0] == "*":
        return [answer(stream) for _ in range(int(line[1:]))]
    if line[0] == "-":
        raise RuntimeError(line)
    return line[1:]


def application(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        text = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
        redis("RPUSH", "entries", text)
    entries = [] if environ["PATH_INFO"] == "/health" else redis("LRANGE", "entries", "0", "-1")
    body = {"greeting": os.environ.get("GREETING", ""), "entries": entries}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


if __name__ == "__main__":
    make_server("", 8000, application).serve_forever()
