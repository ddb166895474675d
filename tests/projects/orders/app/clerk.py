"""Writes each order into the book, once."""

import fcntl
import os
import struct
import time
from pathlib import Path

from amqp import Channel


def write(line):
    """Add a line to the book; the broker hands an order out again where a clerk fell over it."""
    with Path("/book/orders.txt").open("a+b") as book:
        fcntl.flock(book, fcntl.LOCK_EX)
        book.seek(0)
        if line not in book.read().splitlines():
            book.write(line + b"\n")
            book.flush()
            os.fsync(book.fileno())


def serve():
    """Until the connection breaks."""
    channel = Channel()
    while True:
        found = channel.get()
        if found is None:
            time.sleep(0.2)
            continue
        tag, body = found
        write(body)
        channel.acknowledge(tag)


def serve_once_more():
    try:
        serve()
    except (OSError, struct.error) as error:
        print("waiting for the broker:", error)
        time.sleep(1)


if __name__ == "__main__":
    while True:
        serve_once_more()
