"""GET / lists the posts, POST / writes one, PUT /NAME uploads a file."""

import json
import os
from pathlib import Path
from wsgiref.simple_server import make_server

from mysql import query

TABLE = (
    "CREATE TABLE IF NOT EXISTS posts (id int AUTO_INCREMENT PRIMARY KEY, body text) CHARACTER SET utf8mb4"
)


def application(environ, start_response):
    data = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"] or 0))
    if environ["PATH_INFO"].startswith("/files/"):
        Path("/uploads", Path(environ["PATH_INFO"]).name).write_bytes(data)
    elif data:
        query("INSERT INTO posts (body) VALUES (%s)", data.decode())
    posts = [{"id": int(key), "body": body} for key, body in query("SELECT id, body FROM posts ORDER BY id")]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"title": os.environ["TITLE"], "posts": posts}).encode()]


if __name__ == "__main__":
    query(TABLE)
    make_server("", 9000, application).serve_forever()
