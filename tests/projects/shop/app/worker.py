"""Packs what was ordered."""

import os
import socket
import time

import jobs
from postgres import Connection


def pack():
    """Whether there was anything to pack."""
    order = jobs.take()
    if order is None:
        return False
    with Connection() as db:
        db.rows("UPDATE orders SET packed_by = %s WHERE id = %s", socket.gethostname(), order)
    print("packed", order)
    return True


if __name__ == "__main__":
    while True:
        try:
            busy = pack()
        except OSError as error:
            print("not now:", error)
            busy = False
        if not busy:
            time.sleep(float(os.environ["POLL_SECONDS"]))
