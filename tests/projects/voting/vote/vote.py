"""POST / with `voter choice` hands a vote in."""

import argparse
import socket
from wsgiref.simple_server import make_server

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--choices", type=lambda text: text.split(","))


def hand_in(vote):
    with socket.create_connection(("vote-redis", 6379), timeout=5) as connection:
        connection.sendall(f"*3\r\n$5\r\nLPUSH\r\n$5\r\nvotes\r\n${len(vote)}\r\n{vote}\r\n".encode())
        return connection.recv(100).startswith(b":")


def serve(choices):
    def application(environ, start_response):
        done = True
        if environ["REQUEST_METHOD"] == "POST":
            vote = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
            done = vote.split(" ")[1] in choices and hand_in(vote)
        start_response("200 OK" if done else "400 Bad Request", [("Content-Type", "text/plain")])
        return [" or ".join(choices).encode()]

    make_server("", 80, application).serve_forever()


if __name__ == "__main__":
    serve(PARSER.parse_args().choices)
