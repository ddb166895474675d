"""POST / hands an order in, GET / shows the book."""

from pathlib import Path
from wsgiref.simple_server import make_server

from amqp import Channel

BOOK = Path("/book/orders.txt")


def application(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        channel = Channel()
        channel.publish(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        channel.socket.close()
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [BOOK.read_bytes() if BOOK.exists() else b""]


if __name__ == "__main__":
    make_server("", 8000, application).serve_forever()
