"""Somebody else's work: it holds memory and says, ten times a second, how long a small request takes.

Usage: bystander.py MIB SECONDS. A request starts a process, fills 4 MiB and asks a server in this process.
Each line that it writes is the time of a request (seconds since the epoch) and its milliseconds, `inf` for
one that failed.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time

EVERY = 0.1
here, there = socket.socketpair()


def serve() -> None:
    while data := there.recv(64):
        there.sendall(data)


def request() -> None:
    subprocess.run(["true"], check=True)
    filled = bytearray(b"x") * (4 << 20)
    here.sendall(bytes(filled[:4]))
    here.recv(64)


def timed() -> str:
    begin = time.perf_counter()
    try:
        request()
    except (OSError, MemoryError, subprocess.CalledProcessError):
        return "inf"
    return f"{(time.perf_counter() - begin) * 1000:.2f}"


kept = bytearray(b"x") * (int(sys.argv[1]) << 20)
end = time.time() + float(sys.argv[2])
threading.Thread(target=serve, daemon=True).start()
while (now := time.time()) < end:
    print(f"{now:.3f} {timed()}", flush=True)
    time.sleep(max(0.0, now + EVERY - time.time()))
