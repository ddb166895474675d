"""A test suite that cleans nothing up: each of its tests leaves a server behind that outlives the suite.

Usage: suite.py MIB, what each server holds in memory; it ends by itself a minute later.
"""

from __future__ import annotations

import os
import sys
import time

TESTS = 4
SECONDS_OF_A_TEST = 0.06
LIFE = 60.0


def leave_a_server(mebibytes: int) -> None:
    """Start one as daemons are started: forked twice, in a session of its own, so that init adopts it."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if not os.fork():
        kept = bytearray(b"x") * (mebibytes << 20)
        time.sleep(LIFE)
        del kept
    os._exit(0)


for _ in range(TESTS):
    leave_a_server(int(sys.argv[1]))
    time.sleep(SECONDS_OF_A_TEST)
