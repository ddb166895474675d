"""The queue of orders to pack, a list in Redis."""

import os
import socket


def ask(*words):
    with socket.create_connection((os.environ["QUEUE_HOST"], 6379), timeout=5) as connection:
        parts = [f"${len(word)}\r\n{word}\r\n" for word in words]
        connection.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
        stream = connection.makefile("rb")
        head = stream.readline().decode().strip()
        if head.startswith("-"):
            raise RuntimeError(head)
        return stream.readline().decode().strip() if head[0] == "$" and head != "$-1" else None


def put(order):
    ask("RPUSH", "to-pack", str(order))


def take():
    return ask("LPOP", "to-pack")
