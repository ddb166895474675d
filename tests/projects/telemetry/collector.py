"""Writes what comes from NATS into a file, a line for each reading."""

import socket
import time
from pathlib import Path


def collect(book):
    with socket.create_connection(("nats", 4222), timeout=30) as connection:
        stream = connection.makefile("rb")
        connection.sendall(b'CONNECT {"verbose":false}\r\nSUB readings 1\r\n')
        while line := stream.readline():
            word, _, rest = line.partition(b" ")
            if word == b"MSG":
                book.write(stream.read(int(rest.split()[-1]) + 2).strip() + b"\n")
                book.flush()
            elif line.startswith(b"PING"):
                connection.sendall(b"PONG\r\n")


def main():
    with Path("/readings/all.txt").open("ab") as book:
        while True:
            try:
                collect(book)
            except OSError as error:
                print("no NATS:", error)
            time.sleep(0.5)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped as asked")
