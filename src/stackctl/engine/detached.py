"""The one kind of child that outlives us: it watches over what we leave behind when we are killed."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence


def start(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Start a process in a session of its own, with nothing of our terminal; returns its process id.

    A signal to our process group does not reach it, and it holds none of our pipes open.
    """
    child = subprocess.Popen(
        list(argv),
        env=dict(environ),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    # Popen.__del__ warns about a child that still runs; this one is meant to
    child.returncode = 0
    return child.pid
