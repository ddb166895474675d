"""A supervisor as a process of a test, and what it said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ground import Ground
from waiting import lives, until


def journal(home: Path, event: str = "") -> list[dict[str, Any]]:
    """The lines of the supervisor's log, or those of one event."""
    path = home / "supervisor" / "supervisor.log"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if event in ("", line["event"])]


def heartbeat(home: Path) -> dict[str, Any]:
    """Its last sign of life, empty when there is none."""
    try:
        found: dict[str, Any] = json.loads((home / "supervisor" / "heartbeat.json").read_text())
    except OSError:
        return {}
    return found


def good_look(ground: Ground, seconds: float = 60) -> None:
    """Wait for a look that begins after now."""
    before = heartbeat(ground.home).get("boottime", 0.0)
    until(lambda: heartbeat(ground.home).get("boottime", 0.0) > before, seconds, "a good look")


def said(ground: Ground, event: str, seconds: float = 60, more_than: int = 0) -> dict[str, Any]:
    """Wait for a line of the log; the last one."""
    until(
        lambda: len(journal(ground.home, event)) > more_than,
        seconds,
        f"{event!r} in {journal(ground.home)[-8:]}",
    )
    return journal(ground.home, event)[-1]


@contextmanager
def supervisor(ground: Ground, *options: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A supervisor in the foreground, ended at the end; it must not have died of anything else."""
    words = ["supervise", "--log-format", "json", "--quiet", *options]
    child = subprocess.Popen(
        ground.argv(*words),
        cwd=ground.checkout,
        env=ground.environment(**env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(lambda: child.poll() is not None or journal(ground.home, "began"), 60, "its beginning")
        yield child
        assert child.poll() is None, f"the supervisor ended by itself with {child.returncode}"
        assert not journal(ground.home, "bug")
    finally:
        if lives(child.pid):
            os.kill(child.pid, signal.SIGCONT)
            child.terminate()
        try:
            child.wait(60)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(10)
            raise
