"""Starts processes and never waits for them; for a picture and a test it stops at as many as they name."""

import signal
import subprocess
import time

time.sleep(4)  # `stackctl up` is done by then
for _ in range(50):
    subprocess.Popen(["sleep", "600"])
    time.sleep(0.02)
signal.pause()
