"""POST /orders takes an order, GET /orders lists them."""

import json
from wsgiref.simple_server import make_server

import jobs
from postgres import Connection


def application(environ, start_response):
    with Connection() as db:
        if environ["REQUEST_METHOD"] == "POST":
            item = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
            ((order,),) = db.rows("INSERT INTO orders (item) VALUES (%s) RETURNING id", item)
            jobs.put(order)
            body = {"id": int(order)}
        else:
            rows = db.rows("SELECT id, item, packed_by FROM orders ORDER BY id")
            body = [{"id": int(i), "item": item, "packed_by": by} for i, item, by in rows]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


if __name__ == "__main__":
    make_server("", 8000, application).serve_forever()
