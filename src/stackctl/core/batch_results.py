"""What a batch writes down of each task that has ended, and how it counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from stackctl.core.records import LIVE

if TYPE_CHECKING:
    from stackctl.core.tasks import TaskLine

LINES = 20
"""The last lines of a task's output that stand in its result; all of it is in its folder."""
MOST = 4096
"""Characters of them."""
INTERRUPTED = "the batch was interrupted"
FAILED_FAST = "another task of the batch failed"
OURS = (INTERRUPTED, FAILED_FAST)
"""Reasons of cancellations that are no outcome: `--resume` runs these tasks again."""
BAD = ("failed", "killed", "expired", "lost")
SHOWN = ("succeeded", *BAD, "cancelled")


def result_of(line: TaskLine, output: str) -> dict[str, Any]:
    """One task's result; times in seconds since the epoch, memory in bytes, null for what is not known.

    The engine's own times of a very short task may be a millisecond the wrong way round.
    """
    code = 0 if line.phase == "succeeded" else line.exit_code
    return {
        "key": line.key,
        "id": line.id,
        "phase": line.phase,
        "exit_code": code,
        "started": line.started or None,
        "finished": max(line.started, line.finished) or None,
        "peak_memory": line.peak_memory or None,
        "peak_pids": line.peak_pids or None,
        "reason": line.reason,
        "incident": line.incident or None,
        "node": line.node or None,
        "output": last_lines(output),
    }


def last_lines(output: str) -> list[str]:
    """The last lines of a text, so few characters that a line of results stays small."""
    cut = output[-MOST:]
    lines = cut.splitlines()[-LINES:]
    if len(cut) < len(output) and len(lines) < LINES and len(lines) > 1:
        return lines[1:]  # the first is only the end of one
    return lines


def never_began(line: TaskLine) -> bool:
    """Whether a task was given up before its own container was ever started."""
    return line.phase == "lost" and not line.started


def is_outcome(line: TaskLine) -> bool:
    """Whether a task has ended for good, and not only because its batch did."""
    if line.phase in LIVE or never_began(line):
        return False
    return line.phase != "cancelled" or line.reason not in OURS


def outcomes(lines: Iterable[TaskLine]) -> dict[str, TaskLine]:
    """Key -> the first task with that key that has ended for good."""
    found: dict[str, TaskLine] = {}
    for line in sorted(lines, key=lambda one: (one.created, one.id)):
        if is_outcome(line):
            found.setdefault(line.key, line)
    return found


def counts(phases: Iterable[str]) -> dict[str, int]:
    """How many ended in which phase, every phase named."""
    found = Counter(phases)
    return {name: found[name] for name in SHOWN}


def any_bad(found: Mapping[str, int]) -> bool:
    """Whether a task went wrong."""
    return any(found[name] for name in BAD)
